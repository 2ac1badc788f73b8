/* The walls around an engine. */
#define _GNU_SOURCE /* close_range, O_PATH, syscall() */
#include "engine/sandbox.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights younger than Debian 12's headers, by the kernel's ABI. */
#define FS_TRUNCATE  (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define NET_ALL      3ULL         /* ABI 4: bind and connect TCP */
#define SCOPE_ALL    3ULL         /* ABI 6: abstract sockets and signals */
#define FS_OF_ABI_1  ((1ULL << 13) - 1)

struct ruleset_attr { /* struct landlock_ruleset_attr of ABI 6 */
    uint64_t fs, net, scoped;
};

/* --- Landlock --- */

static uint64_t fs_rights(int abi)
{
    return FS_OF_ABI_1 | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
           (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static uint64_t fs_granted(int abi)
{
    uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                      LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                      LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
                      LANDLOCK_ACCESS_FS_REMOVE_DIR | FS_TRUNCATE;
    return rights & fs_rights(abi);
}

static enum err_code enter_landlock(int abi, const char *dir, struct err *err)
{
    struct ruleset_attr attr = {
        .fs = fs_rights(abi), .net = abi >= 4 ? NET_ALL : 0, .scoped = abi >= 6 ? SCOPE_ALL : 0};
    size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    AUTO_FD rules = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (rules < 0)
        return err_errno(err, ERR_UNAVAILABLE, "making the Landlock rules");
    AUTO_FD root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (root < 0)
        return err_errno(err, ERR_UNAVAILABLE, "opening the database's directory");
    struct landlock_path_beneath_attr beneath = {.allowed_access = fs_granted(abi), .parent_fd = root};
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
        return err_errno(err, ERR_UNAVAILABLE, "adding the Landlock rule");
    if (syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        return err_errno(err, ERR_UNAVAILABLE, "entering Landlock");
    return ERR_OK;
}

/* --- seccomp --- */

/* What SQLite, the socket and the C library need. No socket, clone, execve, ptrace, kill, ioctl, prctl. */
static const char *const ALLOWED[] = {
    "read",
    "write",
    "pread64",
    "pwrite64",
    "lseek",
    "open",
    "openat",
    "close",
    "access",
    "faccessat",
    "faccessat2",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "readlink",
    "readlinkat",
    "getcwd",
    "ftruncate",
    "copy_file_range",
    "sync_file_range",
    "sync_file_range2",
    "fsync",
    "fdatasync",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "fchmod",
    "fchown",
    "umask",
    "recvfrom",
    "sendto",
    "writev",
    "poll",
    "ppoll",
    "munmap",
    "mremap",
    "brk",
    "madvise",
    "futex",
    "nanosleep",
    "clock_nanosleep",
    "clock_gettime",
    "gettimeofday",
    "time",
    "getrandom",
    "getpid",
    "gettid",
    "getuid",
    "geteuid",
    "sysinfo",
    "sched_yield",
    "rt_sigreturn",
    "restart_syscall",
    "exit",
    "exit_group",
#if SANDBOX_RELAXED
    "rt_sigprocmask",
    "rt_sigaction",
    "sigaltstack",
    "sched_getaffinity",
    "getrlimit",
    "prlimit64",
    "tgkill",
#endif
};

static int allow_names(scmp_filter_ctx ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(ALLOWED); i++) {
        int number = seccomp_syscall_resolve_name(ALLOWED[i]);
        int rc = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
        if (rc != 0 && number >= 0) /* negative: a call that this architecture does not have */
            return rc;
    }
    return 0;
}

/* Memory is never executable, locks are the only fcntl beside flags, priority only falls. */
static int allow_conditions(scmp_filter_ctx ctx)
{
    static const int COMMANDS[] = {F_GETFD, F_SETFD, F_GETFL, F_SETLK, F_SETLKW, F_GETLK};
    int rc =
        seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(
            ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 3,
            SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS), SCMP_A1(SCMP_CMP_EQ, 0),
            SCMP_A2(SCMP_CMP_EQ, SANDBOX_NICE)); /* itself alone */
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS) && rc == 0; i++)
        rc = seccomp_rule_add(
            ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)COMMANDS[i], 0));
    return rc;
}

static enum err_code read_filter(int fd, struct sock_fprog *ret, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size % (off_t)sizeof(struct sock_filter) != 0)
        return err_set(err, ERR_UNAVAILABLE, "the seccomp filter was not written");
    ret->len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
    ret->filter = mem_array(ret->len, sizeof(struct sock_filter));
    if (pread(fd, ret->filter, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
        return err_errno(err, ERR_UNAVAILABLE, "reading the seccomp filter");
    return ERR_OK;
}

static enum err_code compile_filter(struct sock_fprog *ret, struct err *err)
{
    AUTO_FD fd = memfd_create("seccomp", MFD_CLOEXEC);
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (fd < 0 || !ctx)
        return err_set(err, ERR_UNAVAILABLE, "seccomp cannot be used on this host");
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list; only speed */
    int rc = allow_names(ctx);
    if (rc == 0)
        rc = allow_conditions(ctx);
    if (rc == 0)
        rc = seccomp_export_bpf(ctx, fd);
    seccomp_release(ctx);
    if (rc != 0)
        return err_set(err, ERR_UNAVAILABLE, "the seccomp filter cannot be made (%d)", rc);
    return read_filter(fd, ret, err);
}

enum err_code sandbox_prepare(struct sandbox *ret, struct err *err)
{
    *ret = (struct sandbox){.landlock_abi = 0};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return err_errno(err, ERR_UNAVAILABLE, "this kernel offers no Landlock");
    ret->landlock_abi = (int)abi;
    return compile_filter(&ret->filter, err);
}

void sandbox_release(struct sandbox *sb)
{
    mem_free(sb->filter.filter);
    *sb = (struct sandbox){.landlock_abi = 0};
}

/* --- Limits --- */

static bool set_limit(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit now;
    if (getrlimit(what, &now) != 0)
        return false;
    if (now.rlim_max < most)
        most = now.rlim_max;
    struct rlimit wanted = {.rlim_cur = most, .rlim_max = most};
    return setrlimit(what, &wanted) == 0;
}

static enum err_code set_limits(uint64_t file_bytes_max, struct err *err)
{
    enum { FILES_MAX = 32 }; /* the database, its log and index, temporary files, what an export writes */
    bool ok = set_limit(RLIMIT_FSIZE, file_bytes_max) && set_limit(RLIMIT_NOFILE, FILES_MAX) &&
              set_limit(RLIMIT_CORE, 0) && set_limit(RLIMIT_NPROC, 0) && set_limit(RLIMIT_MEMLOCK, 0) &&
              set_limit(RLIMIT_STACK, (rlim_t)LIMIT_ENGINE_STACK_BYTES);
#if !SANDBOX_RELAXED
    ok = ok && set_limit(RLIMIT_AS, (rlim_t)LIMIT_ENGINE_ADDRESS_BYTES);
#endif
    return ok ? ERR_OK : err_errno(err, ERR_UNAVAILABLE, "setting resource limits");
}

/* --- Capabilities --- */

static bool set_capabilities(uint32_t effective, uint32_t permitted)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = effective, .permitted = permitted}};
    return syscall(SYS_capset, &head, data) == 0;
}

static bool may_open(const char *dir)
{
    AUTO_FD root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return root >= 0 && faccessat(root, ".", R_OK | W_OK | X_OK, AT_EACCESS) == 0 &&
           (faccessat(root, "main.db", R_OK | W_OK, AT_EACCESS) == 0 || errno == ENOENT);
}

/* What root's engine could do if it left seccomp. A server that runs as root over the files of somebody else
 * needs one of them to open these; Landlock still says which. */
static enum err_code drop_capabilities(const char *dir, struct err *err)
{
    enum { CAPABILITIES_MAX = 64 };
    uint32_t foreign = CAP_TO_MASK(CAP_DAC_OVERRIDE);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* they go with the permitted ones too */
    for (unsigned long cap = 0; cap < CAPABILITIES_MAX; cap++)
        (void)prctl(
            PR_CAPBSET_DROP, cap, 0, 0, 0); /* EPERM: it is no privileged process; EINVAL: no such one */
    if (set_capabilities(0, foreign) && !may_open(dir))
        return set_capabilities(foreign, foreign) ? ERR_OK
                                                  : err_errno(err, ERR_UNAVAILABLE, "dropping capabilities");
    return set_capabilities(0, 0) ? ERR_OK : err_errno(err, ERR_UNAVAILABLE, "dropping capabilities");
}

void sandbox_tidy(int keep_fd)
{
    enum { FIRST_FD = STDERR_FILENO + 1 };
    if (keep_fd > FIRST_FD)
        (void)close_range(FIRST_FD, (unsigned)keep_fd - 1, 0); /* cannot fail on a valid range */
    (void)close_range((unsigned)(keep_fd < FIRST_FD ? FIRST_FD : keep_fd + 1), ~0U, 0);
    (void)clearenv(); /* cannot fail in glibc */
    /* SQLite's 'localtime' and the C library would look for files outside; all times are UTC. */
    (void)setenv("TZ", "UTC0", 1);
}

enum err_code sandbox_enter(
    const struct sandbox *sb, const char *dir, int keep_fd, uint64_t file_bytes_max, struct err *err)
{
    CHECK(sb->filter.len > 0);
    sandbox_tidy(keep_fd);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return err_errno(err, ERR_UNAVAILABLE, "giving up privileges");
    enum err_code rc = drop_capabilities(dir, err);
    if (rc == ERR_OK)
        rc = enter_landlock(sb->landlock_abi, dir, err);
    if (rc == ERR_OK)
        rc = set_limits(file_bytes_max, err);
    if (rc != ERR_OK)
        return rc;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &sb->filter, 0, 0) != 0)
        return err_errno(err, ERR_UNAVAILABLE, "entering seccomp");
    return ERR_OK;
}
