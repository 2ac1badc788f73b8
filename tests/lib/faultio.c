/* Replacements of libc's calls that go to the kernel themselves. */
#define _GNU_SOURCE /* syscall */
#include "lib/faultio.h"
#include "lib/faultplan.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local int t_left; /* calls until the one that fails; 0: not armed */
static _Thread_local int t_error;
static _Thread_local bool t_fired;

void faultio_arm(int nth, int error)
{
    t_left = nth;
    t_error = error;
    t_fired = false;
}

bool faultio_disarm(void)
{
    t_left = 0;
    return t_fired;
}

static bool is_the_one(void)
{
    if (t_left == 0 || --t_left > 0)
        return false;
    t_fired = true;
    return true;
}

static bool fails(void)
{
    if (!is_the_one() || t_error == FAULTIO_SHORT)
        return false;
    errno = t_error;
    return true;
}

static bool truncation_fails(void)
{
    int error;
    if (!faultplan_fails(FAULT_AT_TRUNCATE, &error))
        return fails();
    errno = error;
    return true;
}

/* Bytes to write, or -1 to fail. */
static ssize_t allowed(int fd, size_t len)
{
    int error;
    bool fires = is_the_one();
    if (fires)
        error = t_error;
    else if (fd <= STDERR_FILENO || !faultplan_fails(FAULT_AT_WRITE, &error))
        return (ssize_t)len;
    errno = error;
    return error == FAULTIO_SHORT ? (ssize_t)((len + 1) / 2) : -1;
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t n = allowed(fd, len);
    return n < 0 ? -1 : (ssize_t)syscall(SYS_write, fd, data, (size_t)n);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    ssize_t n = allowed(fd, len);
    return n < 0 ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, (size_t)n, at);
}

static int synced(int fd, long call)
{
    int error;
    if (fails())
        return -1;
    if (!faultplan_mine())
        return (int)syscall(call, fd);
    if (faultplan_sync_fails(fd, &error)) {
        errno = error;
        return -1;
    }
    faultplan_synced(fd);
    return 0;
}

int fsync(int fd)
{
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size)
{
    return truncation_fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

/* The names that large-file builds use, SQLite's among them. */
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at);
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return pwrite(fd, data, len, at);
}

int ftruncate64(int fd, off_t size);
int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

int fchmod(int fd, mode_t mode)
{
    return fails() ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
