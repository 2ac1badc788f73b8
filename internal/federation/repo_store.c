/* Repositories in control.db. */
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "federation/repo.h"
#include "token/token.h"

#define COLUMNS                                                                                              \
    "SELECT r.id, r.namespace_id, n.slug, r.issuer, r.name, r.pinned_id, r.created_at, r.pinned_at,"         \
    " r.last_used_at, n.deleted_at, r.owner_id FROM repo_binding r JOIN namespace n ON n.id = "              \
    "r.namespace_id"
#define SQL_BY_NAME COLUMNS " WHERE r.issuer = ?1 AND r.name_key = ?2"
#define SQL_BY_PIN  COLUMNS " WHERE r.issuer = ?1 AND r.pinned_id = ?2 ORDER BY r.id LIMIT 1"
#define SQL_BY_ID   COLUMNS " WHERE r.id = ?1 AND (?2 IS NULL OR r.namespace_id = ?2)"
#define SQL_PAGE    COLUMNS " WHERE r.namespace_id = ?1 AND r.id > ?2 ORDER BY r.id LIMIT ?3"
/* Every namespace: a command for the operator. */
#define SQL_PAGE_ALL COLUMNS " WHERE r.id > ?1 ORDER BY r.id LIMIT ?2"
#define SQL_COUNT    "SELECT count(*) FROM repo_binding WHERE namespace_id = ?1"
#define SQL_INSERT                                                                                           \
    "INSERT INTO repo_binding(id, namespace_id, issuer, name, name_key, created_at)"                         \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
#define SQL_DELETE "DELETE FROM repo_binding WHERE id = ?1"
#define SQL_PIN                                                                                              \
    "UPDATE repo_binding SET pinned_id = ?2, pinned_at = ?3, owner_id = ?4"                                  \
    " WHERE id = ?1 AND pinned_id IS NULL"
#define SQL_RENAME                                                                                           \
    "UPDATE repo_binding SET name = ?2, name_key = ?3, owner_id = ?4 WHERE id = ?1"                          \
    " AND NOT EXISTS (SELECT 1 FROM repo_binding o WHERE o.issuer = repo_binding.issuer"                     \
    " AND o.name_key = ?3 AND o.id <> ?1)"
#define SQL_USE "UPDATE repo_binding SET last_used_at = ?2 WHERE id = ?1"

struct found {
    struct repo_binding row;
    struct str owner_id; /* "" not known */
    bool exists, namespace_deleted;
};

static struct str copied(struct arena *a, struct str s)
{
    return s.len ? arena_copy(a, s) : STR_EMPTY;
}

static enum err_code map_row(
    const struct db_stmt *st, struct arena *a, struct repo_binding *ret, struct err *err)
{
    *ret = (struct repo_binding){.created_at = db_col_int(st, 6)};
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->namespace_id.text);
    DB_COL_COPY(st, 2, ret->namespace_slug);
    ret->issuer = copied(a, db_col_text(st, 3));
    ret->name = copied(a, db_col_text(st, 4));
    ret->pinned_id = copied(a, db_col_text(st, 5));
    ret->pinned_at = db_col_int(st, 7);
    ret->last_used_at = db_col_int(st, 8);
    return arena_failed(a) ? err_set(err, ERR_TOO_LARGE, "too many repositories to list at once") : ERR_OK;
}

/* `code`: what the query came to. */
static enum err_code take_found(
    const struct db_stmt *st, enum err_code code, struct arena *a, struct found *ret, struct err *err)
{
    *ret = (struct found){.exists = false};
    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    ret->exists = true;
    ret->namespace_deleted = !db_col_is_null(st, 9);
    ret->owner_id = copied(a, db_col_text(st, 10));
    return map_row(st, a, &ret->row, err);
}

static enum err_code find(struct db *db, struct arena *a, const struct issuer_name *issuer, struct str name,
    struct found *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(
        db, SQL_BY_NAME, DB_ARGS(db_text(issuer->url), db_text(repo_key(a, issuer->kind, name))), &st, err);

    return take_found(&st, code, a, ret, err);
}

static enum err_code find_pinned(
    struct db *db, struct arena *a, const struct foreign_identity *who, struct found *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_BY_PIN, DB_ARGS(db_text(who->issuer), db_text(who->id)), &st, err);

    return take_found(&st, code, a, ret, err);
}

static enum err_code audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct repo_binding *r, const struct audit_value *before, const struct audit_value *after,
    struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &r->namespace_id,
            .target_id = id_str(&r->id),
            .target_name = r->name,
            .before = before,
            .after = after},
        err);
}

/* --- Unbinding --- */

static enum err_code remove_row(
    struct db *db, const struct actor *by, const struct repo_binding *r, struct err *err)
{
    int64_t ended;

    tx_announce(db);
    enum err_code code = token_revoke_machine(db, id_str(&r->id), &ended, err);
    if (!code)
        code = db_exec(db, SQL_DELETE, DB_ARGS(db_text(id_str(&r->id))), err);
    return code ? code
                : audit(db, by, AUDIT_REPO_UNBOUND, r,
                      AUDIT_VALUES(audit_text("issuer", r->issuer),
                          audit_text_or_null("repositoryId", r->pinned_id), audit_int("tokensEnded", ended)),
                      NULL, err);
}

enum err_code repo_unbind(struct db *db, const struct actor *by, struct arena *a,
    const struct id *namespace_id, struct str id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct repo_binding r;

    CHECK(tx_is_write(db));
    enum err_code code = db_query_one(db, SQL_BY_ID,
        DB_ARGS(db_text(id), namespace_id ? db_text(id_str(namespace_id)) : db_null()), &st, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, "there is no repository " STR_FMT, STR_ARG(str_slice(id, 0, ID_MAX)));
    if (!code)
        code = map_row(&st, a, &r, err);
    return code ? code : remove_row(db, by, &r, err);
}

/* --- Binding --- */

/* What stands in the way is removed where it may be. */
static enum err_code make_way(struct db *db, const struct actor *by, const struct repo_new *in,
    const struct found *there, struct err *err)
{
    bool here = str_eq(id_str(&there->row.namespace_id), id_str(&in->namespace_id));

    if (!there->exists)
        return ERR_OK;
    if (here)
        return err_set(err, ERR_CONFLICT,
            STR_FMT " is bound to this namespace already (%s); unbind that first to bind the repository anew",
            STR_ARG(in->name), there->row.id.text);
    if (!in->move && !there->namespace_deleted)
        return err_set(err, ERR_CONFLICT,
            STR_FMT
            " is bound to another namespace: unbind it there first, or ask whoever runs this server to "
            "move it (`holdfast repo bind --move`)",
            STR_ARG(in->name));
    return remove_row(db, by, &there->row, err);
}

static enum err_code check_room(struct db *db, const struct id *namespace_id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_COUNT, DB_ARGS(db_text(id_str(namespace_id))), &st, err);

    if (code || db_col_int(&st, 0) < LIMIT_REPOS_PER_NAMESPACE)
        return code;
    return err_set(err, ERR_CONFLICT, "this namespace has its %d repositories; unbind some first",
        (int)LIMIT_REPOS_PER_NAMESPACE);
}

static enum err_code insert(struct db *db, const struct actor *by, struct arena *a, const struct repo_new *in,
    struct repo_binding *ret, struct err *err)
{
    struct id id = id_new("repo");
    struct found made = {.exists = false};
    enum err_code code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_text(id_str(&in->namespace_id)), db_text(in->issuer.url),
            db_text(in->name), db_text(repo_key(a, in->issuer.kind, in->name)), db_int(clock_wall_ms())),
        err);

    if (!code)
        code = find(db, a, &in->issuer, in->name, &made, err);
    if (code)
        return code;
    *ret = made.row;
    return audit(db, by, AUDIT_REPO_BOUND, ret, NULL,
        AUDIT_VALUES(audit_text("issuer", ret->issuer), audit_text("name", ret->name)), err);
}

enum err_code repo_bind(struct db *db, const struct actor *by, struct arena *a, const struct repo_new *in,
    struct repo_binding *ret, struct err *err)
{
    struct found there;
    enum err_code code = repo_check(in->issuer.kind, in->name, err);

    CHECK(tx_is_write(db));
    if (!code)
        code = find(db, a, &in->issuer, in->name, &there, err);
    if (!code)
        code = make_way(db, by, in, &there, err);
    if (!code)
        code = check_room(db, &in->namespace_id, err);
    return code ? code : insert(db, by, a, in, ret, err);
}

/* --- Lists --- */

enum err_code repo_list(struct db *db, struct arena *a, const struct id *namespace_id, struct str after,
    int64_t limit, struct repo_binding **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct repo_binding *rows = arena_alloc(a, (size_t)limit * sizeof *rows);
    size_t count = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many repositories to list at once");
    enum err_code code =
        namespace_id ? db_query(db, SQL_PAGE,
                           DB_ARGS(db_text(id_str(namespace_id)), db_text(after), db_int(limit)), &st, err)
                     : db_query(db, SQL_PAGE_ALL, DB_ARGS(db_text(after), db_int(limit)), &st, err);
    while (!code && db_row(&st))
        code = map_row(&st, a, &rows[count++], err);
    if (!code)
        code = db_done(&st, err);
    if (code)
        return code;
    *ret = rows;
    *ret_count = count;
    return ERR_OK;
}

/* --- Admitting --- */

static enum err_code refuse_unbound(struct arena *a, const struct foreign_identity *who, struct err *err)
{
    const struct issuer_name issuer = {who->kind, who->issuer};
    struct str name = str_slice(who->name, 0, 255), text = issuer_text(a, &issuer);

    return err_set(err, ERR_FORBIDDEN,
        STR_FMT " is bound to no namespace of this server. Whoever runs it binds it by `holdfast repo bind "
                "--namespace NS --repo " STR_FMT " --issuer " STR_FMT
                " --data DIR`, an admin of the namespace by POST "
                "/api/namespaces/NS/repos",
        STR_ARG(name), STR_ARG(name), STR_ARG(text));
}

static enum err_code refuse_other(const struct foreign_identity *who, struct err *err)
{
    return err_set(err, ERR_FORBIDDEN,
        "This is not the repository " STR_FMT " that was bound, but another one of its name (id " STR_FMT
        "): it was deleted and made anew, or somebody else has the name now. If it is to have access, an "
        "admin of "
        "the namespace unbinds the name and binds it again (DELETE and POST /api/namespaces/NS/repos, or "
        "`holdfast repo unbind` and `holdfast repo bind`)",
        STR_ARG(str_slice(who->name, 0, 255)), STR_ARG(str_slice(who->id, 0, 64)));
}

static enum err_code pin(struct db *db, const struct actor *by, const struct foreign_identity *who,
    struct repo_binding *r, struct err *err)
{
    int64_t now = clock_wall_ms();

    if (r->pinned_at)
        return str_eq(r->pinned_id, who->id) ? ERR_OK : refuse_other(who, err);
    r->pinned_id = who->id;
    r->pinned_at = now;
    enum err_code code = db_exec(db, SQL_PIN,
        DB_ARGS(db_text(id_str(&r->id)), db_text(who->id), db_int(now),
            who->owner_id.len ? db_text(who->owner_id) : db_null()),
        err);
    return code ? code
                : audit(db, by, AUDIT_REPO_PINNED, r, NULL,
                      AUDIT_VALUES(
                          audit_text("repositoryId", who->id), audit_text_or_null("ownerId", who->owner_id)),
                      err);
}

/* "acme" of "acme/widgets", "group/sub" of "group/sub/app". */
static struct str owner_of(struct str name)
{
    while (name.len && name.ptr[name.len - 1] != '/')
        name.len--;
    return name;
}

/* Its id stays when it is renamed, and also when it is given to somebody else: to whom what the former owner
 * stored is not shown. */
static bool same_owner(const struct found *there, const struct foreign_identity *who)
{
    if (there->owner_id.len)
        return str_eq(there->owner_id, who->owner_id);
    return str_eq_nocase(owner_of(there->row.name), owner_of(who->name));
}

static enum err_code refuse_given(const struct foreign_identity *who, struct err *err)
{
    return err_set(err, ERR_FORBIDDEN,
        STR_FMT
        " belongs to another owner than when it was bound. If it is to keep its access, an admin of the "
        "namespace unbinds it and binds it again under its new name (DELETE and POST "
        "/api/namespaces/NS/repos, or `holdfast repo unbind` and `holdfast repo bind`)",
        STR_ARG(str_slice(who->name, 0, 255)));
}

/* Where the new name is bound already, that stays, and the binding keeps its old name. */
static enum err_code follow(struct db *db, struct arena *a, const struct foreign_identity *who,
    struct repo_binding *r, struct err *err)
{
    r->name = who->name;
    return db_exec(db, SQL_RENAME,
        DB_ARGS(db_text(id_str(&r->id)), db_text(who->name), db_text(repo_key(a, who->kind, who->name)),
            who->owner_id.len ? db_text(who->owner_id) : db_null()),
        err);
}

/* By the id that it was pinned to, of several bindings the one with its name; by its name the first time. */
static enum err_code find_visitor(
    struct db *db, struct arena *a, const struct foreign_identity *who, struct found *ret, struct err *err)
{
    struct found named;
    enum err_code code = find(db, a, &(struct issuer_name){who->kind, who->issuer}, who->name, &named, err);

    *ret = named;
    if (!code && !(named.exists && str_eq(named.row.pinned_id, who->id)))
        code = find_pinned(db, a, who, ret, err);
    if (code)
        return code;
    if (ret->exists)
        return same_owner(ret, who) ? follow(db, a, who, &ret->row, err) : refuse_given(who, err);
    *ret = named;
    return ERR_OK;
}

enum err_code repo_admit(struct db *db, const struct actor *by, struct arena *a,
    const struct foreign_identity *who, struct repo_binding *ret, struct err *err)
{
    struct found there;

    CHECK(tx_is_write(db));
    if (repo_check(who->kind, who->name, NULL))
        return refuse_unbound(a, who, err);
    enum err_code code = find_visitor(db, a, who, &there, err);
    if (!code && !there.exists)
        return refuse_unbound(a, who, err);
    if (!code && there.namespace_deleted)
        return err_set(err, ERR_FORBIDDEN,
            "The namespace that " STR_FMT
            " is bound to was deleted: an owner can restore it for a while, or bind "
            "the repository to another one",
            STR_ARG(who->name));
    if (!code)
        code = pin(db, by, who, &there.row, err);
    if (!code)
        code = db_exec(db, SQL_USE, DB_ARGS(db_text(id_str(&there.row.id)), db_int(clock_wall_ms())), err);
    if (!code)
        *ret = there.row;
    return code;
}
