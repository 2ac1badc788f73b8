/* A file that is written in pieces and has no name until it is whole: a process that dies, or gives up,
 * leaves nothing behind. Where the file system knows no nameless files it has a random name in `dir`, and is
 * removed when it is closed; that directory is emptied at start. Not durable: it is for what is read once.
 * Blocks: worker threads; one thread at a time. Errors: ERR_IO, ERR_FULL, those of fs_mkdir_p. */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H

#include "base/err.h"
#include "base/str.h"

struct spool {
    int fd;         /* -1: not open */
    uint64_t bytes; /* written */
    char *name;     /* NULL: it has none */
};

#define SPOOL_INIT                                                                                           \
    {                                                                                                        \
        .fd = -1                                                                                             \
    }

/* Makes `dir` when it is absent. Mode 0600. */
MUST_CHECK enum err_code spool_open(struct spool *s, const char *dir, struct err *err);
MUST_CHECK enum err_code spool_write(struct spool *s, struct str bytes, struct err *err); /* at the end */
/* Gives the file this name, which must be free and on the same file system, and closes it. */
MUST_CHECK enum err_code spool_publish(struct spool *s, const char *path, struct err *err);
void spool_close(
    struct spool *s); /* the file is gone unless it was published; one that is not open is fine */

#endif
