/* See restart.h. */
#define _GNU_SOURCE /* link */
#include "branch/restart.h"
#include "branch/merged.h"
#include "engine/branch_base.h"

#include <errno.h>
#include <unistd.h>

enum { FILE_MODE = 0600 };

struct places {
    char live[FS_PATH_MAX], stage[FS_PATH_MAX];
};

static void find_places(
    struct places *p, const char *data_dir, const struct id *database, const struct id *copy_id)
{
    registry_path(p->live, data_dir, id_str(database));
    registry_stage_path(p->stage, data_dir, id_str(copy_id));
}

static bool is_kept(const struct places *p)
{
    char path[FS_PATH_MAX];
    fs_join(path, p->live, BASE_KEPT);
    return fs_exists(path);
}

static void drop(const struct places *p, const char *name)
{
    char path[FS_PATH_MAX];
    fs_join(path, p->stage, name);
    (void)unlink(path); /* mostly there is none */
}

/* Nobody writes it any more. */
static enum err_code link_copy(const struct places *p, struct err *err)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];
    fs_join(from, p->live, BASE_COPY);
    fs_join(to, p->stage, BASE_COPY);
    return link(from, to) ? err_errno(err, ERR_IO, "keep what the branch began with") : ERR_OK;
}

/* Until base.kept is there nobody writes main.db: when it is not there after the copy, the copy is whole. */
static enum err_code stage_rows(const struct places *p, const char *data_dir, const struct id *database,
    const struct id *copy_id, struct err *err)
{
    char kept[FS_PATH_MAX];
    enum err_code code = ERR_OK;
    bool links = is_kept(p);
    if (!links) {
        code = registry_stage_file(data_dir, id_str(database), "main.db", id_str(copy_id), BASE_COPY, err);
        links = !code && is_kept(p);
        if (links)
            drop(p, BASE_COPY);
    }
    if (links)
        code = link_copy(p, err);
    fs_join(kept, p->stage, BASE_KEPT);
    return code ? code : fs_write_atomic(kept, STR_EMPTY, FILE_MODE, err);
}

static bool is_same(const struct merged_start *a, const struct merged_start *b)
{
    return str_eq(id_str(&a->start), id_str(&b->start)) && a->rows == b->rows;
}

/* The mark comes last, and only when it stood all the time: a writer takes it away before it writes main.db
 * without a copy. */
static enum err_code stage(const struct places *p, const char *data_dir, const struct id *database,
    const struct id *copy_id, struct err *err)
{
    struct merged_start before, after;
    enum err_code code = merged_read_mark(p->live, &before, err);
    if (code || !before.start.text[0])
        return code;
    if (before.rows)
        code = stage_rows(p, data_dir, database, copy_id, err);
    if (!code)
        code = merged_read_mark(p->live, &after, err);
    if (!code && !is_same(&before, &after))
        return err_set(err, ERR_CONFLICT, "the branch was made anew");
    if (!code)
        code = merged_mark(p->stage, before.rows, &before.start, err);
    return code ? code : fs_sync_dir(p->stage, err);
}

void restart_stage(
    const char *data_dir, const struct registry_entry *e, int64_t created_at, const struct id *copy_id)
{
    struct places p;
    if (!e->ref[0] || created_at < e->forked_at)
        return;
    find_places(&p, data_dir, &e->id, copy_id);
    if (stage(&p, data_dir, &e->id, copy_id, NULL)) {
        drop(&p, BASE_MARK);
        drop(&p, BASE_KEPT);
        drop(&p, BASE_COPY);
    }
}

enum err_code restart_check(
    const char *data_dir, const struct id *database, const struct id *copy_id, struct err *err)
{
    struct places p;
    struct merged_start now, staged;
    char mark[FS_PATH_MAX];
    find_places(&p, data_dir, database, copy_id);
    enum err_code code = merged_read_mark(p.live, &now, err);
    if (!code)
        code = merged_read_mark(p.stage, &staged, err);
    if (code || is_same(&now, &staged))
        return code;
    fs_join(mark, p.stage, BASE_MARK);
    return unlink(mark) && errno != ENOENT ? err_errno(err, ERR_IO, "forget what the branch began with")
                                           : ERR_OK;
}
