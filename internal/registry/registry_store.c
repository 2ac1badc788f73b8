/* Databases in control.db. */
#include "registry/registry_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#define COLUMNS                                                                                              \
    "SELECT d.id, d.namespace_id, n.slug, d.slug, d.name, d.status, d.region, d.created_at, d.deleted_at,"   \
    " d.parent_id, d.branch_ref, d.forked_at, d.expires_at"                                                  \
    " FROM database d JOIN namespace n ON n.id = d.namespace_id"
#define SQL_INSERT                                                                                           \
    "INSERT INTO database(id, namespace_id, slug, name, status, region, created_at, deleted_at,"             \
    " parent_id, branch_ref, forked_at, expires_at)"                                                         \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, ?8, ?9, ?10, ?11)"
#define SQL_GET      COLUMNS " WHERE d.id = ?1"
#define SQL_GET_LIVE COLUMNS " WHERE d.namespace_id = ?1 AND d.slug = ?2 AND d.deleted_at IS NULL"
#define SQL_LOOKUP   COLUMNS " WHERE n.slug = ?1 AND d.slug = ?2 AND d.deleted_at IS NULL"
#define SQL_GET_DELETED                                                                                      \
    COLUMNS                                                                                                  \
    " WHERE d.namespace_id = ?1 AND d.slug = ?2 AND d.deleted_at IS NOT NULL AND d.status = 'deleted'"       \
    " ORDER BY d.deleted_at DESC, d.id DESC LIMIT 1"
#define SQL_COUNT_LIVE "SELECT count(*) FROM database WHERE namespace_id = ?1 AND deleted_at IS NULL"
#define SQL_LIST                                                                                             \
    COLUMNS " WHERE d.namespace_id = ?1 AND d.deleted_at IS NULL AND (?4 = 0 OR d.branch_ref IS NOT NULL)"   \
            " ORDER BY d.id LIMIT ?2 OFFSET ?3"
#define SQL_LIST_ALL COLUMNS " ORDER BY d.id" /* a scan: doctor and start-up */
/* A branch that is restored is restored without them. */
#define SQL_END_TOKENS "UPDATE token SET revoked_at = ?2 WHERE database_id = ?1 AND revoked_at IS NULL"
#define SQL_MOVE       "UPDATE database SET status = ?2, deleted_at = ?3 WHERE id = ?1 AND status = ?4"
#define SQL_REMOVE     "DELETE FROM database WHERE id = ?1 AND status = ?2"
#define SQL_UNFINISHED                                                                                       \
    COLUMNS " WHERE d.status NOT IN ('healthy', 'deleted') AND d.id > ?1 ORDER BY d.id LIMIT 1"
#define SQL_PURGEABLE                                                                                        \
    COLUMNS " WHERE d.deleted_at IS NOT NULL AND d.deleted_at <= ?1 AND d.status = 'deleted'"                \
            " AND (d.branch_ref IS NOT NULL OR d.deleted_at <= ?2) ORDER BY d.deleted_at LIMIT 1"
#define OF_PARENT                                                                                            \
    " AND p.namespace_id = n.id AND p.slug = ?2 AND p.deleted_at IS NULL AND d.branch_ref = ?3"              \
    " AND d.deleted_at IS NULL"
#define SQL_LOOKUP_BRANCH   COLUMNS " JOIN database p ON p.id = d.parent_id WHERE n.slug = ?1" OF_PARENT
#define SQL_GET_LIVE_BRANCH COLUMNS " JOIN database p ON p.id = d.parent_id WHERE n.id = ?1" OF_PARENT
#define SQL_BRANCH          COLUMNS " WHERE d.parent_id = ?1 AND d.branch_ref = ?2 AND d.deleted_at IS NULL"
#define SQL_BRANCHES                                                                                         \
    COLUMNS " WHERE d.parent_id = ?1 AND d.branch_ref > ?2 AND d.deleted_at IS NULL"                         \
            " ORDER BY d.branch_ref LIMIT ?3"
#define SQL_COUNT_BRANCHES                                                                                   \
    "SELECT count(*) FROM database WHERE namespace_id = ?1 AND branch_ref IS NOT NULL"                       \
    " AND deleted_at IS NULL"
#define SQL_EXPIRED                                                                                          \
    COLUMNS " WHERE d.expires_at IS NOT NULL AND d.expires_at <= ?1 AND d.deleted_at IS NULL"                \
            " AND d.status = 'healthy' ORDER BY d.expires_at LIMIT 1"
#define PARENT_IS_GONE                                                                                       \
    "NOT EXISTS (SELECT 1 FROM database p WHERE p.id = d.parent_id AND p.deleted_at IS NULL)"
#define SQL_ORPHAN                                                                                           \
    COLUMNS " WHERE d.branch_ref IS NOT NULL AND d.deleted_at IS NULL AND d.status = 'healthy'"              \
            " AND " PARENT_IS_GONE " LIMIT 1"
#define SQL_IS_ORPHAN                                                                                        \
    "SELECT 1 FROM database d WHERE d.id = ?1 AND d.branch_ref IS NOT NULL AND " PARENT_IS_GONE
#define SQL_EXCHANGE_BEGIN "INSERT INTO database_exchange(database_id, begun_at) VALUES(?1, ?2)"
#define SQL_RESTORE_BEGIN                                                                                    \
    "INSERT INTO database_exchange(database_id, begun_at, keep_as)"                                          \
    " SELECT id, ?2, ?3 FROM database WHERE id = ?1 AND status = 'healthy'"
#define SQL_KEEPS        "SELECT keep_as FROM database_exchange WHERE database_id = ?1"
#define SQL_EXCHANGE_END "DELETE FROM database_exchange WHERE database_id = ?1"
#define SQL_RENEW        "UPDATE database SET forked_at = ?2, expires_at = ?3 WHERE id = ?1 AND status = 'healthy'"
#define SQL_EXCHANGES                                                                                        \
    COLUMNS " JOIN database_exchange x ON x.database_id = d.id WHERE d.id > ?1 ORDER BY d.id LIMIT 1"

static const char *const NAMES[REGISTRY_STATUS_COUNT] = {
    [REGISTRY_PROVISIONING] = "provisioning",
    [REGISTRY_HEALTHY] = "healthy",
    [REGISTRY_DELETING] = "deleting",
    [REGISTRY_DELETED] = "deleted",
    [REGISTRY_RESTORING] = "restoring",
    [REGISTRY_PURGING] = "purging",
};

/* The arrows of the picture: bit `to` of row `from`. */
#define TO(state) (1U << REGISTRY_##state)
static const unsigned ARROWS[REGISTRY_STATUS_COUNT] = {
    [REGISTRY_PROVISIONING] = TO(HEALTHY),
    [REGISTRY_HEALTHY] = TO(DELETING),
    [REGISTRY_DELETING] = TO(DELETED),
    [REGISTRY_DELETED] = TO(RESTORING) | TO(PURGING),
    [REGISTRY_RESTORING] = TO(HEALTHY),
    [REGISTRY_PURGING] = 0, /* the row goes */
};

const char *registry_status_name(enum registry_status status)
{
    CHECK(status < REGISTRY_STATUS_COUNT);
    return NAMES[status];
}

static enum registry_status status_of(struct str name)
{
    for (unsigned i = 0; i < REGISTRY_STATUS_COUNT; i++)
        if (str_eq(name, str_of(NAMES[i])))
            return (enum registry_status)i;
    UNREACHABLE("the table's CHECK allows no other status");
}

static void map_row(const struct db_stmt *st, struct registry_entry *e)
{
    DB_COL_COPY(st, 0, e->id.text);
    DB_COL_COPY(st, 1, e->namespace_id.text);
    DB_COL_COPY(st, 2, e->namespace_slug);
    DB_COL_COPY(st, 3, e->slug);
    DB_COL_COPY(st, 4, e->name);
    e->status = status_of(db_col_text(st, 5));
    DB_COL_COPY(st, 6, e->region);
    e->created_at = db_col_int(st, 7);
    e->deleted_at = db_col_int(st, 8);
    DB_COL_COPY(st, 9, e->parent_id.text);
    DB_COL_COPY(st, 10, e->ref);
    e->forked_at = db_col_int(st, 11);
    e->expires_at = db_col_int(st, 12);
}

/* Maps the row a query stands on, when it found one. */
static enum err_code map_one(enum err_code code, const struct db_stmt *st, struct registry_entry *ret)
{
    if (!code)
        map_row(st, ret);
    return code;
}

static enum err_code no_such(struct str slug, const char *where, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "there is no database \"" STR_FMT "\"%s",
        STR_ARG(str_slice(slug, 0, SLUG_SIZE)), where);
}

static struct db_value text_or_null(struct str s)
{
    return s.len ? db_text(s) : db_null();
}

enum err_code store_insert(struct db *db, const struct registry_entry *e, struct err *err)
{
    CHECK(tx_is_write(db) && e->status == REGISTRY_PROVISIONING);
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&e->id)), db_text(id_str(&e->namespace_id)), db_text(str_of(e->slug)),
            db_text(str_of(e->name)), db_text(str_of(NAMES[e->status])), db_text(str_of(e->region)),
            db_int(e->created_at), text_or_null(str_of(e->parent_id.text)), text_or_null(str_of(e->ref)),
            db_int_or_null(e->forked_at), db_int_or_null(e->expires_at)),
        err);
    if (code == ERR_CONFLICT && db_constraint(db)[0])
        return err_set(err, code, "a database \"%s\" exists already", e->slug);
    return code;
}

enum err_code store_get(struct db *db, struct str id, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    return map_one(db_query_one(db, SQL_GET, DB_ARGS(db_text(id)), &st, err), &st, ret);
}

/* No slug holds a dot, so what stands behind the first one is the ref of a branch. */
static bool cut_ref(struct str name, struct str *ret_parent, struct str *ret_ref)
{
    *ret_ref = name;
    return name.len && memchr(name.ptr, '.', name.len) && str_cut(ret_ref, '.', ret_parent);
}

enum err_code store_get_live(struct db *db, const struct id *namespace_id, struct str slug,
    struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct str parent, ref;
    struct db_value ns = db_text(id_str(namespace_id));
    enum err_code code =
        cut_ref(slug, &parent, &ref)
            ? db_query_one(db, SQL_GET_LIVE_BRANCH, DB_ARGS(ns, db_text(parent), db_text(ref)), &st, err)
            : db_query_one(db, SQL_GET_LIVE, DB_ARGS(ns, db_text(slug)), &st, err);

    code = map_one(code, &st, ret);

    return code == ERR_NOT_FOUND ? no_such(slug, "", err) : code;
}

enum err_code store_get_last_deleted(struct db *db, const struct id *namespace_id, struct str slug,
    struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = map_one(
        db_query_one(db, SQL_GET_DELETED, DB_ARGS(db_text(id_str(namespace_id)), db_text(slug)), &st, err),
        &st, ret);

    return code == ERR_NOT_FOUND ? no_such(slug, " in the trash", err) : code;
}

enum err_code store_count_live(struct db *db, const struct id *namespace_id, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_COUNT_LIVE, DB_ARGS(db_text(id_str(namespace_id))), &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

/* deleted_at goes with the status: set on the way to the trash, cleared on the way back. */
static int64_t deleted_at_after(const struct registry_entry *e, enum registry_status to)
{
    if (to == REGISTRY_DELETING)
        return clock_wall_ms();
    return to == REGISTRY_RESTORING ? 0 : e->deleted_at;
}

enum err_code store_move(struct db *db, struct registry_entry *e, enum registry_status to, struct err *err)
{
    int64_t deleted_at = deleted_at_after(e, to);

    CHECK(tx_is_write(db) && (ARROWS[e->status] >> to & 1));
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_MOVE,
        DB_ARGS(db_text(id_str(&e->id)), db_text(str_of(NAMES[to])), db_int_or_null(deleted_at),
            db_text(str_of(NAMES[e->status]))),
        err);
    if (code == ERR_CONFLICT)
        return err_set(err, code, "a database \"%s\" exists; delete it or use another slug first", e->slug);
    if (code)
        return code;
    if (db_changes(db) != 1)
        return err_set(err, ERR_CONFLICT, "the database \"%s\" is being changed by someone else", e->slug);
    e->status = to;
    e->deleted_at = deleted_at;
    if (to == REGISTRY_DELETING && e->ref[0])
        code = db_exec(db, SQL_END_TOKENS, DB_ARGS(db_text(id_str(&e->id)), db_int(deleted_at)), err);
    return code;
}

enum err_code store_remove(struct db *db, const struct registry_entry *e, struct err *err)
{
    CHECK(tx_is_write(db) && (e->status == REGISTRY_PROVISIONING || e->status == REGISTRY_PURGING));
    tx_announce(db);
    return db_exec(db, SQL_REMOVE, DB_ARGS(db_text(id_str(&e->id)), db_text(str_of(NAMES[e->status]))), err);
}

enum err_code store_next_unfinished(
    struct db *db, struct str after, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    return map_one(db_query_one(db, SQL_UNFINISHED, DB_ARGS(db_text(after)), &st, err), &st, ret);
}

enum err_code store_next_purgeable(struct db *db, int64_t now_ms, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    return map_one(
        db_query_one(db, SQL_PURGEABLE,
            DB_ARGS(db_int(now_ms - LIMIT_BRANCH_TRASH_MS), db_int(now_ms - LIMIT_TRASH_MS)), &st, err),
        &st, ret);
}

enum err_code registry_get(struct db *db, const struct id *namespace_id, struct str slug,
    struct registry_entry *ret, struct err *err)
{
    return store_get_live(db, namespace_id, slug, ret, err);
}

enum err_code registry_get_by_id(
    struct db *db, const struct id *id, struct registry_entry *ret, struct err *err)
{
    return store_get(db, id_str(id), ret, err);
}

static enum err_code lookup(
    struct db *db, struct str namespace_slug, struct str name, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct str parent, ref;

    if (!cut_ref(name, &parent, &ref))
        return map_one(
            db_query_one(db, SQL_LOOKUP, DB_ARGS(db_text(namespace_slug), db_text(name)), &st, err), &st,
            ret);
    return map_one(db_query_one(db, SQL_LOOKUP_BRANCH,
                       DB_ARGS(db_text(namespace_slug), db_text(parent), db_text(ref)), &st, err),
        &st, ret);
}

enum err_code registry_lookup(
    struct db *db, struct str namespace_slug, struct str slug, struct registry_entry *ret, struct err *err)
{
    struct registry_entry e = {.status = REGISTRY_HEALTHY};
    enum err_code code = lookup(db, namespace_slug, slug, &e, err);

    if (code == ERR_NOT_FOUND)
        return no_such(slug, "", err);
    if (code)
        return code;
    if (e.status != REGISTRY_HEALTHY)
        return err_retry(err, ERR_UNAVAILABLE, 1, "the database \"%s\" is %s; try again in a moment", e.slug,
            NAMES[e.status]);
    *ret = e;
    return ERR_OK;
}

static enum err_code fill_page(struct db_stmt *st, struct arena *a, size_t room, struct registry_entry **ret,
    size_t *ret_count, struct err *err)
{
    struct registry_entry *rows = arena_alloc(a, room * sizeof *rows);
    size_t count = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many databases to list at once; ask for a smaller page");
    while (count < room && db_row(st))
        map_row(st, &rows[count++]);
    *ret = rows;
    *ret_count = count;
    return db_done(st, err);
}

static enum err_code list_in_tx(struct db *db, struct arena *a, const struct id *namespace_id, int64_t page,
    int64_t page_size, bool branches_only, struct registry_entry **ret, size_t *ret_count, int64_t *ret_total,
    struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = store_count_live(db, namespace_id, ret_total, err);

    if (!code)
        code = db_query(db, SQL_LIST,
            DB_ARGS(db_text(id_str(namespace_id)), db_int(page_size), db_int((page - 1) * page_size),
                db_int(branches_only)),
            &st, err);
    if (code)
        return code;
    int64_t room = *ret_total < page_size ? *ret_total : page_size;
    return fill_page(&st, a, (size_t)(room ? room : 1), ret, ret_count, err);
}

enum err_code registry_list(struct db *db, struct arena *a, const struct id *namespace_id, int64_t page,
    int64_t page_size, bool branches_only, struct registry_entry **ret, size_t *ret_count, int64_t *ret_total,
    struct err *err)
{
    CHECK(page >= 1 && page_size >= 1 && page <= INT64_MAX / page_size);
    enum err_code code = tx_begin_read(db, err);

    if (code)
        return code;
    return tx_end(db,
        list_in_tx(db, a, namespace_id, page, page_size, branches_only, ret, ret_count, ret_total, err), err);
}

static enum err_code list_all_in_tx(
    struct db *db, struct arena *a, struct registry_entry **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT counted = DB_STMT_INIT, st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, "SELECT count(*) FROM database", DB_NO_ARGS, &counted, err);

    if (!code)
        code = db_query(db, SQL_LIST_ALL, DB_NO_ARGS, &st, err);
    return code ? code : fill_page(&st, a, (size_t)db_col_int(&counted, 0) + 1, ret, ret_count, err);
}

enum err_code registry_list_all(
    struct db *db, struct arena *a, struct registry_entry **ret, size_t *ret_count, struct err *err)
{
    enum err_code code = tx_begin_read(db, err);

    return code ? code : tx_end(db, list_all_in_tx(db, a, ret, ret_count, err), err);
}

/* --- Databases made from another --- */

enum err_code registry_get_branch(
    struct db *db, const struct id *parent_id, struct str ref, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = map_one(
        db_query_one(db, SQL_BRANCH, DB_ARGS(db_text(id_str(parent_id)), db_text(ref)), &st, err), &st, ret);

    return code == ERR_NOT_FOUND ? err_set(err, code, "there is no branch \"" STR_FMT "\"",
                                       STR_ARG(str_slice(ref, 0, LIMIT_REF_BYTES)))
                                 : code;
}

enum err_code registry_list_branches(struct db *db, struct arena *a, const struct id *parent_id,
    struct str after, int64_t limit, struct registry_entry **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(
        db, SQL_BRANCHES, DB_ARGS(db_text(id_str(parent_id)), db_text(after), db_int(limit)), &st, err);

    return code ? code : fill_page(&st, a, (size_t)limit, ret, ret_count, err);
}

enum err_code registry_count_branches(
    struct db *db, const struct id *namespace_id, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_COUNT_BRANCHES, DB_ARGS(db_text(id_str(namespace_id))), &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

enum err_code registry_next_expired(
    struct db *db, int64_t now_ms, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT expired = DB_STMT_INIT, orphan = DB_STMT_INIT;
    enum err_code code =
        map_one(db_query_one(db, SQL_EXPIRED, DB_ARGS(db_int(now_ms)), &expired, err), &expired, ret);

    if (code != ERR_NOT_FOUND)
        return code;
    return map_one(db_query_one(db, SQL_ORPHAN, DB_NO_ARGS, &orphan, err), &orphan, ret);
}

enum err_code registry_is_expired(
    struct db *db, const struct registry_entry *e, int64_t now_ms, bool *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code;

    *ret = e->expires_at && e->expires_at <= now_ms;
    if (*ret)
        return ERR_OK;
    code = db_query_one(db, SQL_IS_ORPHAN, DB_ARGS(db_text(id_str(&e->id))), &st, err);
    *ret = !code;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code store_begin_exchange(
    struct db *db, struct registry_entry *e, int64_t expires_at, struct err *err)
{
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_EXCHANGE_BEGIN, DB_ARGS(db_text(id_str(&e->id)), db_int(now)), err);
    if (!code)
        code = db_exec(
            db, SQL_RENEW, DB_ARGS(db_text(id_str(&e->id)), db_int(now), db_int_or_null(expires_at)), err);
    if (code == ERR_CONFLICT || (!code && db_changes(db) != 1))
        return err_set(err, ERR_CONFLICT, "the database \"%s\" is being changed by someone else", e->slug);
    if (code)
        return code;
    e->forked_at = now;
    e->expires_at = expires_at;
    return ERR_OK;
}

enum err_code store_begin_restore(
    struct db *db, const struct registry_entry *e, const struct id *keep_as, struct err *err)
{
    CHECK(tx_is_write(db));
    tx_announce(db);
    enum err_code code = db_exec(db, SQL_RESTORE_BEGIN,
        DB_ARGS(db_text(id_str(&e->id)), db_int(clock_wall_ms()), db_text(id_str(keep_as))), err);
    if (code == ERR_CONFLICT || (!code && db_changes(db) != 1))
        return err_set(err, ERR_CONFLICT, "the database \"%s\" is being changed by someone else", e->slug);
    return code;
}

enum err_code store_exchange_keeps(struct db *db, const struct id *id, struct id *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_KEEPS, DB_ARGS(db_text(id_str(id))), &st, err);

    if (!code)
        DB_COL_COPY(&st, 0, ret->text);
    return code;
}

enum err_code store_end_exchange(struct db *db, const struct id *id, struct err *err)
{
    CHECK(tx_is_write(db));
    return db_exec(db, SQL_EXCHANGE_END, DB_ARGS(db_text(id_str(id))), err);
}

enum err_code store_next_exchange(
    struct db *db, struct str after, struct registry_entry *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    return map_one(db_query_one(db, SQL_EXCHANGES, DB_ARGS(db_text(after)), &st, err), &st, ret);
}
