/* A directory of its own for a test, below $TMPDIR or /tmp, removed with all it holds. */
#ifndef TESTS_LIB_TMPDIR_H
#define TESTS_LIB_TMPDIR_H

#include "base/fs.h"

struct tmpdir {
    char path[FS_PATH_MAX];
};

void tmpdir_init(struct tmpdir *t);
void tmpdir_release(struct tmpdir *t);
/* <dir>/<name>, in one of four buffers used in turn. */
const char *tmpdir_path(const struct tmpdir *t, const char *name);

#define AUTO_TMPDIR CLEANUP(tmpdir_release) struct tmpdir

#endif
