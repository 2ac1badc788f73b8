/* Forbidden acts tried from inside the sandbox, each in a process of its own: the kernel kills it (SIGSYS) or
 * says no. And what SQLite needs still works. */
#define _GNU_SOURCE /* the acts themselves */
#include "base/arena.h"
#include "engine/sandbox.h"
#include "lib/tmpdir.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static struct sandbox sandbox;
static char inside[FS_PATH_MAX + 16], outside[FS_PATH_MAX + 16];
static int leaked_fd = -1;

/* Each returns 0 when it was let do what it must not. */
#define ACT(name, ...)                                                                                       \
    static long act_##name(void)                                                                             \
    {                                                                                                        \
        return (long)(__VA_ARGS__);                                                                          \
    }

static const char *in_dir(const char *name)
{
    static char path[FS_PATH_MAX + 40];
    (void)snprintf(path, sizeof path, "%s/%s", inside, name);
    return path;
}

static const char *out_dir(const char *name)
{
    static char path[FS_PATH_MAX + 40];
    (void)snprintf(path, sizeof path, "%s/%s", outside, name);
    return path;
}

static long opened(int fd)
{
    return fd >= 0 ? 0 : -1;
}

static int link_out(void)
{
    return linkat(AT_FDCWD, out_dir("secret"), AT_FDCWD, in_dir("linked"), 0);
}

/* Landlock, a closed descriptor or a limit says no. */
#define ACTS_REFUSED(ACT)                                                                                    \
    ACT(open_passwd, opened(open("/etc/passwd", O_RDONLY)))                                                  \
    ACT(open_shadow, opened(open("/etc/shadow", O_RDONLY)))                                                  \
    ACT(open_neighbour, opened(open(out_dir("secret"), O_RDONLY)))                                           \
    ACT(open_neighbour_write, opened(open(out_dir("secret"), O_RDWR)))                                       \
    ACT(open_parent_by_dots, opened(open(in_dir("../neighbour/secret"), O_RDONLY)))                          \
    ACT(open_symlink_out, opened(open(in_dir("way_out"), O_RDONLY)))                                         \
    ACT(create_outside, opened(open(out_dir("new"), O_CREAT | O_RDWR, 0600)))                                \
    ACT(create_in_tmp, opened(open("/tmp/hf-sandbox-escape", O_CREAT | O_RDWR, 0600)))                       \
    ACT(list_outside, opened(open(outside, O_RDONLY | O_DIRECTORY)))                                         \
    ACT(list_root, opened(open("/", O_RDONLY | O_DIRECTORY)))                                                \
    ACT(unlink_outside, unlink(out_dir("secret")))                                                           \
    ACT(mkdir_outside, mkdir(out_dir("dir"), 0700))                                                          \
    ACT(rmdir_outside, rmdir(out_dir("empty")))                                                              \
    ACT(proc_self_mem, opened(open("/proc/self/mem", O_RDWR)))                                               \
    ACT(proc_self_maps, opened(open("/proc/self/maps", O_RDONLY)))                                           \
    ACT(proc_parent_environ, opened(open("/proc/1/environ", O_RDONLY)))                                      \
    ACT(dev_null, opened(open("/dev/null", O_RDWR)))                                                         \
    ACT(dev_tty, opened(open("/dev/tty", O_RDWR)))                                                           \
    ACT(sys_kernel, opened(open("/sys/kernel/uevent_seqnum", O_RDONLY)))                                     \
    ACT(leaked_descriptor, write(leaked_fd, "x", 1) == 1 ? 0 : -1)                                           \
    ACT(large_memory,                                                                                        \
        mmap(NULL, 2UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0)

/* seccomp kills. */
#define ACTS_KILLED(ACT)                                                                                     \
    ACT(truncate_path, truncate(out_dir("secret"), 0))                                                       \
    ACT(hard_link, link_out())                                                                               \
    ACT(symlink_inside, symlink("/etc/passwd", in_dir("sym")))                                               \
    ACT(rename_out, rename(in_dir("file"), out_dir("file")))                                                 \
    ACT(rename_in, rename(out_dir("secret"), in_dir("secret")))                                              \
    ACT(socket_inet, opened(socket(AF_INET, SOCK_STREAM, 0)))                                                \
    ACT(socket_unix, opened(socket(AF_UNIX, SOCK_STREAM, 0)))                                                \
    ACT(socket_netlink, opened(socket(AF_NETLINK, SOCK_RAW, 0)))                                             \
    ACT(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0, 0}))                                     \
    ACT(fork, syscall(SYS_fork) >= 0 ? 0 : -1)                                                               \
    ACT(clone_thread, syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,   \
                          NULL, NULL, NULL, 0))                                                              \
    ACT(clone3, syscall(SYS_clone3, NULL, 0))                                                                \
    ACT(execve, execl("/bin/true", "true", (char *)NULL))                                                    \
    ACT(execveat, syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0))                               \
    ACT(ptrace, ptrace(PTRACE_TRACEME, 0, NULL, NULL))                                                       \
    ACT(priority_up, setpriority(PRIO_PROCESS, 0, -5))                                                       \
    ACT(priority_of_others, setpriority(PRIO_PROCESS, (id_t)getppid(), 19))                                  \
    ACT(kill_parent, kill(getppid(), 0))                                                                     \
    ACT(kill_all, kill(-1, 0))                                                                               \
    ACT(tgkill, syscall(SYS_tgkill, getpid(), getpid(), 0))                                                  \
    ACT(pidfd_open, syscall(SYS_pidfd_open, 1, 0))                                                           \
    ACT(process_vm_readv, process_vm_readv(1, NULL, 0, NULL, 0, 0))                                          \
    ACT(mmap_exec,                                                                                           \
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0)  \
    ACT(mprotect_exec,                                                                                       \
        mprotect((void *)((uintptr_t)&sandbox & ~4095UL), 4096, PROT_READ | PROT_WRITE | PROT_EXEC))         \
    ACT(chdir, chdir("/"))                                                                                   \
    ACT(chroot, chroot(inside))                                                                              \
    ACT(mount, mount("none", inside, "tmpfs", 0, NULL))                                                      \
    ACT(unshare, unshare(CLONE_NEWUSER))                                                                     \
    ACT(setns, setns(0, 0))                                                                                  \
    ACT(setuid, setuid(0))                                                                                   \
    ACT(capset, syscall(SYS_capset, NULL, NULL))                                                             \
    ACT(setrlimit_up, setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}))                  \
    ACT(prctl_dumpable, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))                                                  \
    ACT(seccomp_again, syscall(SYS_seccomp, 0, 0, NULL))                                                     \
    ACT(bpf, syscall(SYS_bpf, 0, NULL, 0))                                                                   \
    ACT(io_uring, syscall(SYS_io_uring_setup, 1, NULL))                                                      \
    ACT(perf_event, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0))                                        \
    ACT(userfaultfd, syscall(SYS_userfaultfd, 0))                                                            \
    ACT(memfd, opened(memfd_create("m", 0)))                                                                 \
    ACT(eventfd, opened(eventfd(0, 0)))                                                                      \
    ACT(inotify, opened(inotify_init1(0)))                                                                   \
    ACT(ioctl, ioctl(STDIN_FILENO, FIONREAD, &(int){0}))                                                     \
    ACT(fcntl_setown, fcntl(STDIN_FILENO, F_SETOWN, 1))                                                      \
    ACT(fcntl_dup, opened(fcntl(STDIN_FILENO, F_DUPFD, 10)))                                                 \
    ACT(dup, opened(dup(STDIN_FILENO)))                                                                      \
    ACT(mknod, mknod(in_dir("node"), S_IFIFO | 0600, 0))                                                     \
    ACT(setxattr, setxattr(in_dir("file"), "user.x", "1", 1, 0))                                             \
    ACT(chmod_outside, chmod(out_dir("secret"), 0777))                                                       \
    ACT(name_to_handle, syscall(SYS_name_to_handle_at, AT_FDCWD, inside, NULL, NULL, 0))                     \
    ACT(keyctl, syscall(SYS_keyctl, 0, 0, 0, 0, 0))                                                          \
    ACT(syslog, syscall(SYS_syslog, 2, NULL, 0))                                                             \
    ACT(reboot, syscall(SYS_reboot, 0, 0, 0, NULL))                                                          \
    ACT(settime, syscall(SYS_clock_settime, CLOCK_REALTIME, NULL))

ACTS_REFUSED(ACT)
ACTS_KILLED(ACT)

static const struct {
    const char *name;
    long (*fn)(void);
    bool killed;
} ACTS[] = {
#define ROW(name, ...) {#name, act_##name, false},
    ACTS_REFUSED(ROW)
#undef ROW
#define ROW(name, ...) {#name, act_##name, true},
        ACTS_KILLED(ROW)
#undef ROW
};

static void write_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0 && write(fd, "secret", 6) == 6);
    (void)close(fd);
}

static struct tmpdir tmp;

int setup_engine_sandbox(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    if (sandbox_prepare(&sandbox, &err) != ERR_OK) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    tmpdir_init(&tmp);
    (void)snprintf(inside, sizeof inside, "%s/inside", tmp.path);
    (void)snprintf(outside, sizeof outside, "%s/neighbour", tmp.path);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(mkdir(outside, 0700), 0);
    assert_int_equal(mkdir(out_dir("empty"), 0700), 0);
    write_file(out_dir("secret"));
    write_file(in_dir("file"));
    assert_int_equal(symlink(out_dir("secret"), in_dir("way_out")), 0);
    return 0;
}

int teardown_engine_sandbox(void **state)
{
    (void)state;
    tmpdir_release(&tmp);
    sandbox_release(&sandbox);
    return 0;
}

/* What a build with sanitizers lets pass. */
static bool relaxed(const char *name)
{
    return SANDBOX_RELAXED && (strcmp(name, "large_memory") == 0 || strcmp(name, "tgkill") == 0 ||
                                  strcmp(name, "setrlimit_up") == 0);
}

/* Wait status of a process that enters and then acts; its exit code is 0 when the act was let pass. */
static int try_act(long (*act)(void))
{
    int status, pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = ERR_INIT;
        leaked_fd = dup(pipe_fds[1]);
        if (sandbox_enter(&sandbox, inside, pipe_fds[1], 1 << 20, &err) != ERR_OK)
            _exit(99);
        long result = act();
        _exit(result == 0 ? 0 : 1);
    }
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void test_engine_sandbox__denies_every_forbidden_act(void **state)
{
    (void)state;
    size_t failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(ACTS); i++) {
        if (relaxed(ACTS[i].name))
            continue;
        int status = try_act(ACTS[i].fn);
        bool denied = ACTS[i].killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
                                     : WIFEXITED(status) && WEXITSTATUS(status) == 1;
        if (!denied)
            print_error("%s was not denied: status %#x\n", ACTS[i].name, (unsigned)status);
        failed += !denied;
    }
    assert_int_equal(failed, 0);
    assert_true(ARRAY_LEN(ACTS) >= 60);
    assert_int_equal(access(out_dir("secret"), F_OK), 0);
}

/* What SQLite does all day. */
static long ordinary_work(void)
{
    char buf[16];
    struct stat st;
    int fd = open(in_dir("work"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    bool ok = fd >= 0 && pwrite(fd, "abc", 3, 0) == 3 && fsync(fd) == 0 && fdatasync(fd) == 0 &&
              pread(fd, buf, 3, 0) == 3 && fstat(fd, &st) == 0 && ftruncate(fd, 4096) == 0 &&
              fcntl(fd, F_SETLK, &lock) == 0;
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ok = ok && map != MAP_FAILED && munmap(map, 4096) == 0 && close(fd) == 0 && unlink(in_dir("work")) == 0;
    void *memory = malloc(32 << 20);
    ok = ok && memory && memset(memory, 1, 32 << 20);
    free(memory);
    return ok ? 0 : -1;
}

void test_engine_sandbox__lets_sqlite_work(void **state)
{
    (void)state;
    int status = try_act(ordinary_work);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* One process inside, while it waits: its line of /proc/…/status as a number. */
static unsigned long long status_mask(pid_t pid, const char *name)
{
    char path[64], line[256];
    unsigned long long mask = ~0ULL;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, name, strlen(name)) == 0)
            mask = strtoull(line + strlen(name) + 1, NULL, 16);
    }
    (void)fclose(f);
    return mask;
}

/* Root's engines too. The bounding set can be emptied by root alone; nobody else has any use for it. */
void test_engine_sandbox__drops_all_capabilities(void **state)
{
    static const char *const SETS[] = {"CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"};
    int status, fds[2];
    char byte;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = ERR_INIT;
        if (sandbox_enter(&sandbox, inside, fds[1], 1 << 20, &err) != ERR_OK)
            _exit(99);
        bool told = write(fds[1], "x", 1) == 1 && read(fds[1], &byte, 1) == 1;
        _exit(told ? 0 : 1);
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    for (size_t i = 0; i < ARRAY_LEN(SETS); i++) {
        if (strcmp(SETS[i], "CapBnd") != 0 || geteuid() == 0)
            assert_int_equal(status_mask(pid, SETS[i]), 0);
    }
    assert_int_equal(status_mask(pid, "NoNewPrivs"), 1);
    assert_int_equal(write(fds[0], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static long environment_is_empty(void)
{
    return getenv("PATH") || getenv("HOME") || !getenv("TZ") ? -1 : 0;
}

void test_engine_sandbox__clears_the_environment(void **state)
{
    (void)state;
    int status = try_act(environment_is_empty);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
