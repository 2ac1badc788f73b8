/* Plans of faults, shared with a child process. */
#define _GNU_SOURCE /* mmap's MAP_ANONYMOUS, O_CLOEXEC */
#include "lib/faultplan.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct faultplan *g_plan;
static sqlite3_mem_methods g_memory;

struct faultplan *faultplan_new(void)
{
    struct faultplan *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

void faultplan_free(struct faultplan *p)
{
    CHECK(munmap(p, sizeof *p) == 0);
}

void faultplan_arm(struct faultplan *p, enum fault_at at, unsigned nth, int error, bool for_ever)
{
    p->at = at;
    p->nth = nth;
    p->error = error;
    p->for_ever = for_ever;
    p->seen = p->hits = p->trespasses = p->directory_syncs = 0;
    p->harmless = false;
    p->armed = true;
}

void faultplan_off(struct faultplan *p)
{
    p->armed = false;
}

struct faultplan *faultplan_mine(void)
{
    return g_plan;
}

static bool touches_disk(enum fault_at at)
{
    return at == FAULT_AT_WRITE || at == FAULT_AT_SYNC || at == FAULT_AT_TRUNCATE;
}

bool faultplan_fails(enum fault_at at, int *ret_error)
{
    struct faultplan *p = g_plan;
    if (!p || !p->armed)
        return false;
    if (p->at == FAULT_AT_SYNC && p->hits > 0 && !p->harmless && touches_disk(at))
        p->trespasses++;
    if (p->at != at)
        return false;
    unsigned number = ++p->seen;
    if (number != p->nth && !(p->for_ever && number > p->nth))
        return false;
    p->hits++;
    if (p->error == FAULT_DIE)
        (void)kill(getpid(), SIGKILL);
    *ret_error = p->error;
    return true;
}

/* SQLite syncs the directory of a new log once more than the engine, and rightly does not care. */
bool faultplan_sync_fails(int fd, int *ret_error)
{
    struct faultplan *p = g_plan;
    struct stat st;
    bool directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    bool fails = faultplan_fails(FAULT_AT_SYNC, ret_error);
    if (p && fails && directory && p->directory_syncs > 0)
        p->harmless = true;
    if (p && !fails && directory)
        p->directory_syncs++;
    return fails;
}

/* --- What a power cut leaves --- */

static void copy_file(int from, const char *path)
{
    static char buf[1 << 16];
    ssize_t n;
    off_t at = 0;
    int to = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(to >= 0);
    while ((n = syscall(SYS_pread64, from, buf, sizeof buf, at)) > 0) {
        CHECK(syscall(SYS_pwrite64, to, buf, (size_t)n, at) == n);
        at += n;
    }
    CHECK(n == 0);
    (void)close(to); /* nothing is buffered */
}

void faultplan_synced(int fd)
{
    char link[40], name[FS_PATH_MAX], path[FS_PATH_MAX];
    if (!g_plan || !g_plan->durable[0])
        return;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name - 1);
    CHECK(n > 0);
    name[n] = '\0';
    const char *slash = strrchr(name, '/');
    if (!slash || strncmp(slash, "/main.db", 8) != 0)
        return; /* the directory itself, or a temporary file */
    fs_join(path, g_plan->durable, slash + 1);
    int readable = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    CHECK(readable >= 0);
    copy_file(readable, path);
    (void)close(readable); /* only read */
}

/* --- SQLite's allocator and its table of system calls --- */

static void *plan_malloc(int size)
{
    int error;
    return faultplan_fails(FAULT_AT_SQLITE_MEM, &error) ? NULL : g_memory.xMalloc(size);
}

static void *plan_realloc(void *p, int size)
{
    int error;
    return faultplan_fails(FAULT_AT_SQLITE_MEM, &error) ? NULL : g_memory.xRealloc(p, size);
}

static bool refused(enum fault_at at)
{
    int error;
    if (!faultplan_fails(at, &error) || error == FAULT_SHORT)
        return false;
    errno = error;
    return true;
}

static int plan_open(const char *path, int flags, int mode)
{
    return refused(FAULT_AT_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static ssize_t plan_read(int fd, void *out, size_t n)
{
    return refused(FAULT_AT_READ) ? -1 : syscall(SYS_read, fd, out, n);
}

static ssize_t plan_pread(int fd, void *out, size_t n, off_t at)
{
    return refused(FAULT_AT_READ) ? -1 : syscall(SYS_pread64, fd, out, n, at);
}

static void *plan_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    return refused(FAULT_AT_MMAP) ? MAP_FAILED : mmap(at, size, prot, flags, fd, offset);
}

static void replace(const char *name, sqlite3_syscall_ptr call)
{
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
    CHECK(unix_vfs != NULL);
    CHECK(unix_vfs->xSetSystemCall(unix_vfs, name, call) == SQLITE_OK);
}

void faultplan_enter(struct faultplan *p)
{
    sqlite3_mem_methods mine;
    CHECK(sqlite3_shutdown() == SQLITE_OK);
    CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &g_memory) == SQLITE_OK);
    mine = g_memory;
    mine.xMalloc = plan_malloc;
    mine.xRealloc = plan_realloc;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK);
    CHECK(sqlite3_initialize() == SQLITE_OK);
    /* The table outlives the shutdown, which the engine's own start needs. */
    replace("open", (sqlite3_syscall_ptr)plan_open);
    replace("read", (sqlite3_syscall_ptr)plan_read);
    replace("pread", (sqlite3_syscall_ptr)plan_pread); /* SQLite uses this one when it is built so */
    replace("mmap", (sqlite3_syscall_ptr)plan_mmap);
    CHECK(sqlite3_shutdown() == SQLITE_OK);
    g_plan = p;
}
