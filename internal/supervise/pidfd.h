/* Processes by descriptor: a pid may belong to another process by now, a pidfd never does. */
#ifndef SUPERVISE_PIDFD_H
#define SUPERVISE_PIDFD_H

#include "base/attr.h"
#include <sys/types.h>

int pidfd_of(pid_t pid);    /* of a child that was not reaped; -1 with errno */
bool pidfd_kill(int pidfd); /* SIGKILL */
bool pidfd_ended(int pidfd);

#endif
