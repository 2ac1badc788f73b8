/* The life of a database: intent, disk, finish. */
#include "registry/registry_internal.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "base/rand.h"

static const char *const RESERVED[] = {"new", "restore", "trash", NULL};
static const char *const REGIONS[] = {
    "auto", "wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"};

static void evict(const struct registry_disk *disk, const struct registry_entry *e)
{
    if (disk->evict)
        disk->evict(disk->arg, id_str(&e->id));
}

static void allow(const struct registry_disk *disk, const struct registry_entry *e)
{
    if (disk->allow)
        disk->allow(disk->arg, id_str(&e->id));
}

/* A move in a transaction of its own; *e follows only when it was committed. */
static enum err_code move(struct db *db, struct registry_entry *e, enum registry_status to, struct err *err)
{
    struct registry_entry moved = *e;
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, store_move(db, &moved, to, err), err);
    if (!code)
        *e = moved;
    return code;
}

static enum err_code forget(struct db *db, const struct registry_entry *e, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    return code ? code : tx_end(db, store_remove(db, e, err), err);
}

/* In the transaction of the change. What is gone is told as it was, what is there as it is. */
static enum err_code audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct registry_entry *e, struct err *err)
{
    const struct audit_value *plain = AUDIT_VALUES(audit_text("slug", str_of(e->slug)),
        audit_text("name", str_of(e->name)), audit_text("region", str_of(e->region)));
    const struct audit_value *made =
        AUDIT_VALUES(audit_text("slug", str_of(e->slug)), audit_text("name", str_of(e->name)),
            audit_text("region", str_of(e->region)), audit_text("parent", str_of(e->parent_id.text)),
            audit_text_or_null("ref", str_of(e->ref)), audit_time("expiresAt", e->expires_at));
    const struct audit_value *values = e->parent_id.text[0] ? made : plain;
    bool lives = action == AUDIT_DATABASE_CREATED || action == AUDIT_DATABASE_RESTORED ||
                 action == AUDIT_DATABASE_BRANCHED || action == AUDIT_DATABASE_FORKED ||
                 action == AUDIT_DATABASE_BRANCH_RESET;

    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &e->namespace_id,
            .target_id = id_str(&e->id),
            .target_name = str_of(e->slug),
            .before = lives ? NULL : values,
            .after = lives ? values : NULL},
        err);
}

/* --- Create --- */

static enum err_code check_name(struct str name, struct err *err)
{
    if (name.len > LIMIT_NAME_BYTES)
        return err_field(err, "/name", "must be at most %d bytes", (int)LIMIT_NAME_BYTES);
    if (name.len && memchr(name.ptr, '\0', name.len))
        return err_field(err, "/name", "must hold no NUL");
    return utf8_valid(name) ? ERR_OK : err_field(err, "/name", "must be UTF-8 text");
}

/* A hint that means nothing on one machine: kept and told, as the hosted product does. */
static const char *known_region(struct str region)
{
    for (size_t i = 0; i < ARRAY_LEN(REGIONS); i++)
        if (str_eq(region, str_of(REGIONS[i])))
            return REGIONS[i];
    return "auto";
}

static void copy_text(char *out, size_t size, struct str text)
{
    CHECK(text.len < size);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

static enum err_code check_room(struct db *db, const struct id *namespace_id, struct err *err)
{
    int64_t live;
    enum err_code code = store_count_live(db, namespace_id, &live, err);

    if (code || live < LIMIT_DATABASES_PER_NAMESPACE)
        return code;
    return err_set(err, ERR_FORBIDDEN, "this namespace holds its %d databases; delete one first",
        (int)LIMIT_DATABASES_PER_NAMESPACE);
}

static enum audit_action made_as(const struct registry_origin *origin)
{
    if (!origin)
        return AUDIT_DATABASE_CREATED;
    return origin->ref.len ? AUDIT_DATABASE_BRANCHED : AUDIT_DATABASE_FORKED;
}

/* `id` NULL: a new one. `origin` NULL: it is made from nothing. */
static enum err_code create_intent(struct db *db, const struct actor *by, const struct id *id,
    const struct id *namespace_id, struct str slug, struct str name, struct str region,
    const struct registry_origin *origin, struct registry_entry *ret, struct err *err)
{
    enum err_code code = slug_check(slug, RESERVED, "/slug", err);

    if (!code)
        code = check_name(name, err);
    if (!code)
        code = check_room(db, namespace_id, err);
    if (code)
        return code;
    struct registry_entry e = {.id = id ? *id : id_new("db"),
        .namespace_id = *namespace_id,
        .status = REGISTRY_PROVISIONING,
        .created_at = clock_wall_ms()};
    copy_text(e.slug, sizeof e.slug, slug);
    copy_text(e.name, sizeof e.name, name.len ? name : slug);
    copy_text(e.region, sizeof e.region, str_of(known_region(region)));
    if (origin) {
        e.parent_id = origin->parent_id;
        copy_text(e.ref, sizeof e.ref, origin->ref);
        e.forked_at = e.created_at;
        e.expires_at = origin->expires_at;
    }
    code = store_insert(db, &e, err);
    if (!code)
        code = audit(db, by, made_as(origin), &e, err);
    return code ? code : store_get(db, id_str(&e.id), ret, err);
}

enum err_code registry_create_intent(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str slug, struct str name, struct str region, struct registry_entry *ret, struct err *err)
{
    return create_intent(db, by, NULL, namespace_id, slug, name, region, NULL, ret, err);
}

/* Random: whoever could foretell it could take that as well. */
static struct str slug_beside(char out[SLUG_SIZE], struct str slug)
{
    enum { DIGITS = 8 };
    struct str head = str_slice(slug, 0, SLUG_SIZE - 1 - DIGITS - 1);

    while (head.len && head.ptr[head.len - 1] == '-')
        head.len--;
    str_print(out, SLUG_SIZE, STR_FMT "-%08x", STR_ARG(head), (unsigned)(rand_u64() & UINT32_MAX));
    return str_of(out);
}

enum err_code registry_create_free(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str slug, struct str name, struct registry_entry *ret, struct err *err)
{
    enum { TRIES = 4 };
    char other[SLUG_SIZE];
    struct err why = ERR_INIT;
    enum err_code code = registry_create_intent(db, by, namespace_id, slug, name, S("auto"), ret, &why);

    for (int i = 0; i < TRIES && code == ERR_CONFLICT; i++)
        code = registry_create_intent(
            db, by, namespace_id, slug_beside(other, slug), name, S("auto"), ret, &why);
    if (code && err)
        *err = why;
    return code;
}

enum err_code registry_create_copy_intent(struct db *db, const struct actor *by, const struct id *id,
    const struct id *namespace_id, struct str slug, struct str name, struct str region,
    const struct registry_origin *origin, struct registry_entry *ret, struct err *err)
{
    return create_intent(db, by, id, namespace_id, slug, name, region, origin, ret, err);
}

static enum err_code begin_create(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str slug, struct str name, struct str region, struct registry_entry *e, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    return code ? code
                : tx_end(db, registry_create_intent(db, by, namespace_id, slug, name, region, e, err), err);
}

/* No file was made yet, so undoing is removing the empty directory and the row. What cannot be undone now
 * stays as an intent, which the next recovery finishes. */
static enum err_code take_back(
    struct db *db, const struct actor *by, const struct registry_entry *e, struct err *err)
{
    enum err_code code = store_remove(db, e, err);

    return code ? code : audit(db, by, AUDIT_DATABASE_CREATE_FAILED, e, err);
}

static enum err_code undo_create(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct registry_entry *e, struct err *err)
{
    char path[FS_PATH_MAX];

    registry_path(path, disk->data_dir, id_str(&e->id));
    enum err_code code = fs_remove_tree(path, err);
    if (!code)
        code = tx_begin_write(db, err);
    return code ? code : tx_end(db, take_back(db, by, e, err), err);
}

enum err_code registry_create_finish(
    struct db *db, const struct registry_disk *disk, struct registry_entry *entry, struct err *err)
{
    enum err_code code = disk_make(disk->data_dir, id_str(&entry->id), err);

    return code ? code : move(db, entry, REGISTRY_HEALTHY, err);
}

static enum err_code settle_in_tx(
    struct db *db, const struct registry_disk *disk, struct registry_entry *entry, struct err *err)
{
    struct registry_entry now;
    enum err_code code = store_get(db, id_str(&entry->id), &now, err);

    if (!code && now.status == REGISTRY_PROVISIONING) {
        code = disk_make(disk->data_dir, id_str(&now.id), err);
        if (!code)
            code = store_move(db, &now, REGISTRY_HEALTHY, err);
    }
    if (!code)
        *entry = now;
    return code;
}

enum err_code registry_create_settle(
    struct db *db, const struct registry_disk *disk, struct registry_entry *entry, struct err *err)
{
    if (entry->status != REGISTRY_PROVISIONING)
        return ERR_OK;
    enum err_code code = tx_begin_write(db, err);
    return code ? code : tx_end(db, settle_in_tx(db, disk, entry, err), err);
}

enum err_code registry_create(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct id *namespace_id, struct str slug, struct str name, struct str region,
    struct registry_entry *ret, struct err *err)
{
    struct registry_entry e;
    enum err_code code = begin_create(db, by, namespace_id, slug, name, region, &e, err);

    if (code)
        return code;
    code = registry_create_finish(db, disk, &e, err);
    if (code)
        err_ignore(undo_create(db, disk, by, &e, NULL)); /* see above */
    else
        *ret = e;
    return code;
}

/* --- Databases made from another --- */

enum err_code registry_create_copy_finish(struct db *db, const struct registry_disk *disk,
    const struct actor *by, struct registry_entry *entry, enum err_code code, struct err *err)
{
    if (!code)
        code = disk_settle(disk->data_dir, id_str(&entry->id), err);
    fail_point_pass(FAIL_COPY_SETTLED);
    if (!code)
        code = move(db, entry, REGISTRY_HEALTHY, err);
    fail_point_pass(FAIL_COPY_MADE);
    if (code)
        err_ignore(undo_create(db, disk, by, entry, NULL)); /* see above */
    return code;
}

/* Nobody was told of it: what a crash left of it goes. */
static enum err_code recover_copy(
    struct db *db, const struct registry_disk *disk, const struct registry_entry *e, struct err *err)
{
    const struct actor server = actor_server();

    return undo_create(db, disk, &server, e, err);
}

enum err_code registry_exchange_intent(
    struct db *db, const struct actor *by, struct registry_entry *e, int64_t expires_at, struct err *err)
{
    enum err_code code = store_begin_exchange(db, e, expires_at, err);

    return code ? code : audit(db, by, AUDIT_DATABASE_BRANCH_RESET, e, err);
}

enum err_code registry_restore_intent(
    struct db *db, const struct registry_entry *e, const struct id *keep_as, struct err *err)
{
    return store_begin_restore(db, e, keep_as, err);
}

static enum err_code end_exchange(struct db *db, const struct registry_entry *e, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    return code ? code : tx_end(db, store_end_exchange(db, &e->id, err), err);
}

enum err_code registry_exchange_finish(
    struct db *db, const struct registry_disk *disk, const struct registry_entry *e, struct err *err)
{
    struct str id = id_str(&e->id);
    struct id keep;
    enum err_code code = store_exchange_keeps(db, &e->id, &keep, err);

    if (code)
        return code; /* the next start finishes it */
    if (disk->hold)
        disk->hold(disk->arg, id);
    code = disk_exchange(disk->data_dir, id, id_str(&keep), err);
    if (code && disk_unexchange(disk->data_dir, id, id_str(&keep), NULL))
        return code; /* neither here nor there: closed until the next start finishes it */
    fail_point_pass(FAIL_EXCHANGE_MOVED);
    if (end_exchange(db, e, code ? NULL : err) && !code)
        code = err ? err->code : ERR_IO; /* the files are exchanged; the next start ends the intent */
    fail_point_pass(FAIL_EXCHANGE_ENDED);
    disk_clean_exchange(disk->data_dir, id);
    allow(disk, e);
    return code;
}

/* --- Delete and restore --- */

static enum err_code delete_intent(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str slug, struct registry_entry *e, struct err *err)
{
    enum err_code code = store_get_live(db, namespace_id, slug, e, err);

    if (!code && e->status != REGISTRY_HEALTHY)
        code = err_set(err, ERR_CONFLICT, "the database \"%s\" is %s; try again in a moment", e->slug,
            registry_status_name(e->status));
    if (!code)
        code = store_move(db, e, REGISTRY_DELETING, err);
    if (code)
        return code;
    return audit(db, by, e->ref[0] ? AUDIT_DATABASE_BRANCH_DELETED : AUDIT_DATABASE_DELETED, e, err);
}

static enum err_code finish_delete(
    struct db *db, const struct registry_disk *disk, struct registry_entry *e, struct err *err)
{
    enum err_code code = disk_to_trash(disk->data_dir, id_str(&e->id), err);

    fail_point_pass(FAIL_DELETE_MOVED);
    return code ? code : move(db, e, REGISTRY_DELETED, err);
}

enum err_code registry_delete(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct id *namespace_id, struct str slug, struct registry_entry *ret, struct err *err)
{
    struct registry_entry e;
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, delete_intent(db, by, namespace_id, slug, &e, err), err);
    if (code)
        return code;
    fail_point_pass(FAIL_DELETE_INTENDED);
    evict(disk, &e);
    code = finish_delete(db, disk, &e, err);
    fail_point_pass(FAIL_DELETE_DONE);
    if (!code)
        *ret = e;
    return code;
}

static enum err_code restore_intent(struct db *db, const struct actor *by, const struct id *namespace_id,
    struct str slug, struct registry_entry *e, struct err *err)
{
    enum err_code code = store_get_last_deleted(db, namespace_id, slug, e, err);

    if (!code)
        code = check_room(db, namespace_id, err);
    if (!code)
        code = store_move(db, e, REGISTRY_RESTORING, err);
    return code ? code : audit(db, by, AUDIT_DATABASE_RESTORED, e, err);
}

static enum err_code finish_restore(
    struct db *db, const struct registry_disk *disk, struct registry_entry *e, struct err *err)
{
    enum err_code code = disk_from_trash(disk->data_dir, id_str(&e->id), err);

    if (!code)
        code = move(db, e, REGISTRY_HEALTHY, err);
    if (!code)
        allow(disk, e);
    return code;
}

enum err_code registry_restore(struct db *db, const struct registry_disk *disk, const struct actor *by,
    const struct id *namespace_id, struct str slug, struct registry_entry *ret, struct err *err)
{
    struct registry_entry e;
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, restore_intent(db, by, namespace_id, slug, &e, err), err);
    if (!code)
        code = finish_restore(db, disk, &e, err);
    if (!code)
        *ret = e;
    return code;
}

/* --- Purge --- */

static enum err_code finish_purge(
    struct db *db, const struct registry_disk *disk, struct registry_entry *e, struct err *err)
{
    enum err_code code = disk_remove(disk->data_dir, id_str(&e->id), err);

    return code ? code : forget(db, e, err);
}

/* ERR_NOT_FOUND when nothing is due. */
static enum err_code purge_one(
    struct db *db, const struct registry_disk *disk, int64_t now_ms, struct err *err)
{
    const struct actor server = actor_server();
    struct registry_entry e;
    enum err_code code = tx_begin_write(db, err);

    if (code)
        return code;
    code = store_next_purgeable(db, now_ms, &e, err);
    if (!code)
        code = store_move(db, &e, REGISTRY_PURGING, err);
    if (!code)
        code = audit(db, &server, AUDIT_DATABASE_PURGED, &e, err);
    code = tx_end(db, code, err);
    return code ? code : finish_purge(db, disk, &e, err);
}

enum err_code registry_purge(
    struct db *db, const struct registry_disk *disk, int64_t now_ms, unsigned *ret_purged, struct err *err)
{
    struct err local = ERR_INIT;
    enum err_code code;

    *ret_purged = 0;
    while ((code = purge_one(db, disk, now_ms, &local)) == ERR_OK)
        ++*ret_purged;
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    if (err)
        *err = local;
    return code;
}

/* --- Recovery --- */

static enum err_code finish(
    struct db *db, const struct registry_disk *disk, struct registry_entry *e, struct err *err)
{
    switch (e->status) {
    case REGISTRY_PROVISIONING:
        return e->parent_id.text[0] ? recover_copy(db, disk, e, err)
                                    : registry_create_finish(db, disk, e, err);
    case REGISTRY_DELETING: return finish_delete(db, disk, e, err);
    case REGISTRY_RESTORING: return finish_restore(db, disk, e, err);
    case REGISTRY_PURGING: return finish_purge(db, disk, e, err);
    case REGISTRY_HEALTHY:
    case REGISTRY_DELETED:
    case REGISTRY_STATUS_COUNT: break;
    }
    UNREACHABLE("only unfinished rows are asked for");
}

static void count_outcome(
    struct registry_recovery *r, enum err_code code, const struct registry_entry *e, const struct err *err)
{
    if (!code) {
        r->finished++;
        return;
    }
    if (r->failed++ == 0) {
        r->first = *err;
        r->first_id = e->id;
    }
}

static enum err_code finish_exchange(
    struct db *db, const struct registry_disk *disk, struct registry_entry *e, struct err *err)
{
    struct id keep;
    enum err_code code = store_exchange_keeps(db, &e->id, &keep, err);

    if (!code)
        code = disk_exchange(disk->data_dir, id_str(&e->id), id_str(&keep), err);
    return code ? code : end_exchange(db, e, err);
}

typedef enum err_code next_fn(struct db *db, struct str after, struct registry_entry *ret, struct err *err);
typedef enum err_code finish_fn(
    struct db *db, const struct registry_disk *disk, struct registry_entry *e, struct err *err);

static enum err_code recover_all(struct db *db, const struct registry_disk *disk, next_fn *next,
    finish_fn *finish_one, struct registry_recovery *ret, struct err *err)
{
    struct registry_entry e = {.id = {.text = ""}};
    enum err_code code;

    for (;;) {
        struct err failure = ERR_INIT;
        struct id after = e.id;
        code = next(db, id_str(&after), &e, &failure);
        if (code == ERR_NOT_FOUND)
            return ERR_OK;
        if (code)
            return err_set(err, code, "%s", failure.message);
        count_outcome(ret, finish_one(db, disk, &e, &failure), &e, &failure);
        if (db_is_broken(db))
            return err_set(err, ERR_IO, "%s", ret->first.message);
    }
}

enum err_code registry_recover(
    struct db *db, const struct registry_disk *disk, struct registry_recovery *ret, struct err *err)
{
    *ret = (struct registry_recovery){.first = ERR_INIT};
    enum err_code code = recover_all(db, disk, store_next_exchange, finish_exchange, ret, err);
    return code ? code : recover_all(db, disk, store_next_unfinished, finish, ret, err);
}
