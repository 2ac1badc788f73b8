/* Making a branch, and making it anew. */
#include "base/check.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "branch/branch.h"
#include "branch/merged.h"

/* --- Files --- */

/* From the engine's out/, where it was made durable. A branch keeps what it begins with, for its difference.
 */
static enum err_code fill(const struct registry_disk *disk, const struct branch_wish *in, const char *dir,
    bool is_branch, struct err *err)
{
    char source[FS_PATH_MAX], from[FS_PATH_MAX], to[FS_PATH_MAX], name[ID_MAX + 16];

    registry_path(source, disk->data_dir, id_str(&in->source_id));
    str_print(name, sizeof name, "out/%s.db", in->copy_id.text);
    fs_join(from, source, name);
    fs_join(to, dir, "main.db");
    enum err_code code = fs_move(from, to, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, ERR_UNAVAILABLE, "the copy is gone; try again");
    return code || !is_branch ? code : merged_mark(dir, in->with_rows, &in->copy_id, err);
}

/* Beside a branch that is there, and is to be exchanged. */
static enum err_code stage(
    const struct registry_disk *disk, const struct branch_wish *in, const struct id *id, struct err *err)
{
    char dir[FS_PATH_MAX];
    enum err_code code = registry_stage(disk->data_dir, id_str(id), err);

    registry_stage_path(dir, disk->data_dir, id_str(id));
    if (!code)
        code = fill(disk, in, dir, true, err);
    if (!code)
        code = fs_sync_dir(dir, err);
    fail_point_pass(FAIL_BRANCH_STAGED);
    return code;
}

/* Where it is to stay: nobody finds it before it is finished. */
static enum err_code place(
    const struct registry_disk *disk, const struct branch_wish *in, bool is_branch, struct err *err)
{
    char dir[FS_PATH_MAX];
    enum err_code code = registry_place(disk->data_dir, id_str(&in->copy_id), err);

    registry_path(dir, disk->data_dir, id_str(&in->copy_id));
    if (!code)
        code = fill(disk, in, dir, is_branch, err);
    fail_point_pass(FAIL_BRANCH_PLACED);
    return code;
}

/* --- Rows --- */

static enum err_code check_room(struct db *db, const struct id *namespace_id, struct err *err)
{
    int64_t count;
    enum err_code code = registry_count_branches(db, namespace_id, &count, err);

    if (code || count < LIMIT_BRANCHES_PER_NAMESPACE)
        return code;
    return err_set(err, ERR_FORBIDDEN,
        "this namespace holds its %d branches; delete one first, or let them expire",
        (int)LIMIT_BRANCHES_PER_NAMESPACE);
}

/* With its token, when one is asked for; it lives as long as the branch, and no longer than the one who asks.
 */
static enum err_code mint(struct db *db, const struct actor *by, struct arena *a,
    const struct branch_wish *in, struct branch_made *made, struct err *err)
{
    struct token_new wish;

    if (!in->token)
        return ERR_OK;
    wish = *in->token;
    wish.namespace_id = made->entry.namespace_id;
    wish.database_id = made->entry.id;
    wish.ends_by_ms = made->entry.expires_at;
    return token_create(db, by, a, &wish, &made->token, &made->secret, err);
}

static enum err_code name_of(struct arena *a, const struct branch_wish *in, struct str *ret, struct err *err)
{
    *ret = in->name;
    if (!in->name.len)
        *ret = arena_printf(a, "%s (" STR_FMT ")", in->parent.name, STR_ARG(in->ref));
    if (!ret->ptr)
        return err_set(err, ERR_TOO_LARGE, "the request is too large");
    if (!in->name.len && ret->len > (size_t)LIMIT_NAME_BYTES)
        *ret = STR_EMPTY; /* the slug, then */
    return ERR_OK;
}

static enum err_code create_tx(struct db *db, const struct actor *by, struct arena *a,
    const struct branch_wish *in, struct branch_made *made, struct err *err)
{
    char slug[SLUG_SIZE];
    struct str name = STR_EMPTY;
    const struct registry_origin origin = {
        .parent_id = in->parent.id, .ref = in->ref, .expires_at = in->expires_at < 0 ? 0 : in->expires_at};
    enum err_code code = branch_slug(str_of(in->parent.slug), in->ref, slug, err);

    if (!code)
        code = check_room(db, &in->parent.namespace_id, err);
    if (!code)
        code = name_of(a, in, &name, err);
    if (!code)
        code = registry_create_copy_intent(db, by, &in->copy_id, &in->parent.namespace_id, str_of(slug), name,
            in->region, &origin, &made->entry, err);
    if (code == ERR_CONFLICT)
        return err_set(err, code,
            "the branch would be called \"%s\", which is another database of this namespace: choose another "
            "ref, or delete that one first",
            slug);
    return code ? code : mint(db, by, a, in, made, err);
}

/* As long again as before, when nobody says. */
static int64_t renewed(const struct registry_entry *e, int64_t wish)
{
    if (wish >= 0)
        return wish;
    return e->expires_at ? clock_wall_ms() + (e->expires_at - e->forked_at) : 0;
}

static enum err_code reset_tx(struct db *db, const struct actor *by, struct arena *a,
    const struct branch_wish *in, struct branch_made *made, struct err *err)
{
    struct registry_entry *e = &made->entry;
    enum err_code code = registry_exchange_intent(db, by, e, renewed(e, in->expires_at), err);

    return code ? code : mint(db, by, a, in, made, err);
}

static enum err_code put_tx(struct db *db, const struct actor *by, struct arena *a,
    const struct branch_wish *in, struct branch_made *made, struct err *err)
{
    struct registry_entry parent;
    enum err_code code = registry_get_by_id(db, &in->parent.id, &parent, err);

    if (!code && parent.status != REGISTRY_HEALTHY) /* deleted while its files were copied */
        code = err_set(err, ERR_NOT_FOUND, "there is no database \"%s\"", in->parent.slug);
    if (code)
        return code;
    code = registry_get_branch(db, &in->parent.id, in->ref, &made->entry, err);
    made->created = code == ERR_NOT_FOUND;
    if (made->created)
        return create_tx(db, by, a, in, made, err);
    return code ? code : reset_tx(db, by, a, in, made, err);
}

/* A slug whose owner's time is over is free. */
static enum err_code make_way(
    struct db *db, const struct registry_disk *disk, const struct branch_wish *in, struct err *err)
{
    const struct actor server = actor_server();
    char slug[SLUG_SIZE];
    struct registry_entry there, gone;
    bool over = false;
    enum err_code code = branch_slug(str_of(in->parent.slug), in->ref, slug, err);

    if (!code)
        code = registry_get(db, &in->parent.namespace_id, str_of(slug), &there, err);
    if (!code)
        code = registry_is_expired(db, &there, clock_wall_ms(), &over, err);
    if (code == ERR_NOT_FOUND || (!code && !over))
        return ERR_OK;
    return code ? code : registry_delete(db, disk, &server, &there.namespace_id, str_of(slug), &gone, err);
}

static enum err_code begin(struct db *db, const struct actor *by, struct arena *a,
    const struct branch_wish *in, struct branch_made *made, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, put_tx(db, by, a, in, made, err), err);
    fail_point_pass(FAIL_BRANCH_INTENDED);
    return code;
}

/* What was promised with the content that did not come. */
static void take_token_back(struct db *db, const struct actor *by, const struct branch_made *made)
{
    if (tx_begin_write(db, NULL) == ERR_OK)
        err_ignore(tx_end(db, token_revoke(db, by, NULL, id_str(&made->token.id), NULL), NULL));
}

/* Its token goes with the row when this fails. */
static enum err_code create(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct arena *a, const struct branch_wish *in, struct branch_made *made, struct err *err)
{
    enum err_code code = begin(db, by, a, in, made, err);

    if (code)
        return code;
    CHECK(made->created);
    code = place(disk, in, true, err);
    return registry_create_copy_finish(db, disk, by, &made->entry, code, err);
}

static enum err_code reset(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct arena *a, const struct branch_wish *in, const struct id *id, struct branch_made *made,
    struct err *err)
{
    enum err_code code = stage(disk, in, id, err);

    if (!code)
        code = begin(db, by, a, in, made, err);
    if (code) {
        registry_unstage(disk->data_dir, id_str(id));
        return code;
    }
    CHECK(!made->created);
    code = registry_exchange_finish(db, disk, &made->entry, err);
    if (code && in->token)
        take_token_back(db, by, made);
    return code;
}

enum err_code branch_put(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct arena *a, const struct branch_wish *in, struct branch_made *ret, struct err *err)
{
    struct registry_entry there;
    *ret = (struct branch_made){.created = false};
    enum err_code code = make_way(db, disk, in, err);
    if (code)
        return code;
    /* This lane alone makes branches, so what stands here now is what put_tx finds. */
    code = registry_get_branch(db, &in->parent.id, in->ref, &there, err);
    if (code == ERR_NOT_FOUND)
        code = create(db, disk, by, a, in, ret, err);
    else if (!code)
        code = reset(db, disk, by, a, in, &there.id, ret, err);
    if (code)
        registry_copy_drop(disk->data_dir, id_str(&in->source_id), id_str(&in->copy_id));
    return code;
}

/* --- Forks --- */

static enum err_code fork_tx(struct db *db, const struct actor *by, const struct branch_wish *in,
    struct str slug, struct registry_entry *ret, struct err *err)
{
    const struct registry_origin origin = {
        .parent_id = in->parent.id, .ref = STR_EMPTY, .expires_at = in->expires_at < 0 ? 0 : in->expires_at};

    return registry_create_copy_intent(
        db, by, &in->copy_id, &in->parent.namespace_id, slug, in->name, in->region, &origin, ret, err);
}

enum err_code branch_fork(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct branch_wish *in, struct str slug, struct registry_entry *ret, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, fork_tx(db, by, in, slug, ret, err), err);
    if (!code) {
        code = place(disk, in, false, err);
        code = registry_create_copy_finish(db, disk, by, ret, code, err);
    }
    if (code)
        registry_copy_drop(disk->data_dir, id_str(&in->source_id), id_str(&in->copy_id));
    return code;
}

/* --- Expiry --- */

enum err_code branch_expire(
    struct db *db, const struct registry_disk *disk, int64_t now_ms, unsigned *ret_gone, struct err *err)
{
    const struct actor server = actor_server();
    struct registry_entry due, gone;
    enum err_code code = ERR_OK;

    *ret_gone = 0;
    while (*ret_gone < BRANCH_EXPIRE_AT_ONCE &&
           (code = registry_next_expired(db, now_ms, &due, err)) == ERR_OK) {
        code = registry_delete(db, disk, &server, &due.namespace_id, str_of(due.slug), &gone, err);
        if (code)
            return code;
        ++*ret_gone;
    }
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}
