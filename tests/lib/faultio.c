/* Replacements of libc's calls that go to the kernel themselves. */
#define _GNU_SOURCE /* syscall */
#include "lib/faultio.h"
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

/* Bytes to write, or -1 to fail. */
static ssize_t allowed(size_t len)
{
    if (!is_the_one())
        return (ssize_t)len;
    errno = t_error;
    return t_error == FAULTIO_SHORT ? (ssize_t)((len + 1) / 2) : -1;
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t n = allowed(len);
    return n < 0 ? -1 : (ssize_t)syscall(SYS_write, fd, data, (size_t)n);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    ssize_t n = allowed(len);
    return n < 0 ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, data, (size_t)n, at);
}

int fsync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size)
{
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fchmod(int fd, mode_t mode)
{
    return fails() ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
