/* A server of this program over a data directory of its own, for as long as a command needs one: the real
 * thing, with its sandboxed engines, on loopback. Nothing of it is left. */
#ifndef CMD_HOLDFAST_SCRATCH_H
#define CMD_HOLDFAST_SCRATCH_H

#include "base/err.h"
#include "base/fs.h"
#include "crypto/secret.h"
#include <sys/types.h>

#define SCRATCH_NAMESPACE "scratch"
#define SCRATCH_URL_SIZE  200

struct scratch {
    char dir[FS_PATH_MAX];      /* "": there is none */
    char url[SCRATCH_URL_SIZE]; /* where it listens */
    struct secret token;        /* admin */
    pid_t pid;
};

/* Ready to be asked when it returns. scratch_stop() also after a failure, which holds the last of what the
 * server said. The server dies with this process. */
MUST_CHECK enum err_code scratch_start(struct scratch *s, struct err *err);
void scratch_stop(struct scratch *s);

#endif
