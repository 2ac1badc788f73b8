/* glibc wraps the two system calls only from 2.36 on, and declares them for _GNU_SOURCE alone. */
#define _GNU_SOURCE
#include "supervise/pidfd.h"
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

int pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool pidfd_kill(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
}

bool pidfd_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}
