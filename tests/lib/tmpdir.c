/* Directories for tests. */
#define _GNU_SOURCE /* mkdtemp */
#include "lib/tmpdir.h"
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>

void tmpdir_init(struct tmpdir *t)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(t->path, sizeof t->path, "%s/holdfast-test-XXXXXX", base && *base ? base : "/tmp");

    CHECK(n > 0 && (size_t)n < sizeof t->path);
    CHECK(mkdtemp(t->path));
}

void tmpdir_release(struct tmpdir *t)
{
    CHECK(fs_remove_tree(t->path, NULL) == ERR_OK);
}

const char *tmpdir_path(const struct tmpdir *t, const char *name)
{
    static _Thread_local char buffers[4][FS_PATH_MAX];
    static _Thread_local unsigned turn;
    char *out = buffers[turn++ % 4];

    fs_join(out, t->path, name);
    return out;
}
