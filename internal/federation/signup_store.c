/* Machines in control.db. */
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "federation/machine_internal.h"
#include "federation/signup.h"

#define COLUMNS                                                                                              \
    "SELECT m.id, m.namespace_id, n.slug, m.issuer, m.name, n.deleted_at, m.foreign_id FROM "                \
    "machine_identity m"                                                                                     \
    " JOIN namespace n ON n.id = m.namespace_id"
#define SQL_FIND  COLUMNS " WHERE m.issuer = ?1 AND m.foreign_id = ?2"
#define SQL_BY_ID COLUMNS " WHERE m.id = ?1 AND n.deleted_at IS NULL"
#define SQL_INSERT                                                                                           \
    "INSERT INTO machine_identity(id, issuer, foreign_id, name, namespace_id, created_at, last_used_at)"     \
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6)"
#define SQL_USE    "UPDATE machine_identity SET name = ?2, last_used_at = ?3 WHERE id = ?1"
#define SQL_RECENT "SELECT count(*) FROM machine_identity WHERE issuer = ?1 AND created_at > ?2"

#define HOUR_MS     3600000
#define RETRY_S     600
#define SLUG_WORDS  40
#define SLUG_TRIES  8
#define SLUG_DIGITS 0x10000

static enum err_code map_row(const struct db_stmt *st, struct arena *a, struct machine *ret, struct err *err)
{
    DB_COL_COPY(st, 0, ret->id.text);
    DB_COL_COPY(st, 1, ret->namespace_id.text);
    DB_COL_COPY(st, 2, ret->namespace_slug);
    ret->issuer = arena_copy(a, db_col_text(st, 3));
    ret->name = arena_copy(a, db_col_text(st, 4));
    ret->foreign_id = arena_copy(a, db_col_text(st, 6));
    return arena_failed(a) ? err_set(err, ERR_TOO_LARGE, "the name of this machine is too long") : ERR_OK;
}

static enum err_code refuse_deleted(const struct foreign_identity *who, struct err *err)
{
    return err_set(err, ERR_FORBIDDEN,
        "The namespace of " STR_FMT " was deleted: an owner can restore it for a while (POST "
        "/api/namespaces/NS/restore), after that a new one is made",
        STR_ARG(str_slice(who->name, 0, 255)));
}

/* *ret_found false: it has not come before. */
static enum err_code find(struct db *db, struct arena *a, const struct foreign_identity *who,
    struct machine *ret, bool *ret_found, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_FIND, DB_ARGS(db_text(who->issuer), db_text(who->id)), &st, err);

    *ret_found = code == ERR_OK;
    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    return db_col_is_null(&st, 5) ? map_row(&st, a, ret, err) : refuse_deleted(who, err);
}

enum err_code machine_find(
    struct db *db, struct arena *a, struct str id, struct machine *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_BY_ID, DB_ARGS(db_text(id)), &st, err);

    return code ? code : map_row(&st, a, ret, err);
}

/* --- Making one --- */

static enum err_code refuse_rule(struct arena *a, const struct foreign_identity *who, struct err *err)
{
    const struct issuer_name issuer = {who->kind, who->issuer};
    struct str name = str_slice(who->name, 0, 255), from = issuer_text(a, &issuer);

    return err_set(err, ERR_FORBIDDEN,
        STR_FMT
        " may not sign itself up here: whoever runs this server allows it by serve --self-signup " STR_FMT
        "=" STR_FMT ", or binds it to a namespace (`holdfast repo bind`), which then answers POST "
        "/v1/actions/connect",
        STR_ARG(name), STR_ARG(from), STR_ARG(name));
}

static enum err_code check_rate(struct db *db, struct str issuer, struct err *err)
{
    AUTO_STMT hour = DB_STMT_INIT, ever = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_RECENT, DB_ARGS(db_text(issuer), db_int(clock_wall_ms() - HOUR_MS)), &hour, err);

    if (!code)
        code = db_query_one(db, SQL_RECENT, DB_ARGS(db_text(issuer), db_int(0)), &ever, err);
    if (code)
        return code;
    if (db_col_int(&ever, 0) >= LIMIT_SELF_SIGNUPS)
        return err_set(err, ERR_FORBIDDEN,
            "The %d namespaces that machines of one issuer may have here are made: whoever runs this server "
            "deletes some, or binds this one to a namespace (`holdfast repo bind`)",
            (int)LIMIT_SELF_SIGNUPS);
    if (db_col_int(&hour, 0) < LIMIT_SELF_SIGNUPS_PER_HOUR)
        return ERR_OK;
    return err_retry(err, ERR_RATE_LIMITED, RETRY_S,
        "%d machines of this issuer signed up within an hour; try again later",
        (int)LIMIT_SELF_SIGNUPS_PER_HOUR);
}

/* "octo/widgets" is "octo-widgets"; where that is taken or is the server's own, four digits follow. */
static enum err_code make_namespace(struct db *db, const struct actor *by, struct arena *a,
    const struct foreign_identity *who, struct tenant *ret, struct err *err)
{
    struct str words = slug_from_text(a, who->name, SLUG_WORDS);
    struct str slug = words.len ? words : S("machine");
    enum err_code code = tenant_create(db, by, slug, STR_EMPTY, ret, err);

    for (int i = 0; i < SLUG_TRIES && (code == ERR_CONFLICT || code == ERR_INVALID); i++)
        code = tenant_create(db, by,
            arena_printf(a, STR_FMT "-%04x", STR_ARG(slug), (unsigned)rand_below(SLUG_DIGITS)), STR_EMPTY,
            ret, err);
    return code;
}

static enum err_code insert(struct db *db, const struct actor *by, const struct foreign_identity *who,
    const struct tenant *home, struct err *err)
{
    struct id id = id_new("mac");
    enum err_code code = db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(id_str(&id)), db_text(who->issuer), db_text(who->id), db_text(who->name),
            db_text(id_str(&home->id)), db_int(clock_wall_ms())),
        err);

    return code ? code
                : audit_append(db,
                      &(struct audit_event){.by = by,
                          .action = AUDIT_MACHINE_SIGNED_UP,
                          .namespace_id = &home->id,
                          .target_id = id_str(&id),
                          .target_name = who->name,
                          .after = AUDIT_VALUES(
                              audit_text("issuer", who->issuer), audit_text("foreignId", who->id))},
                      err);
}

static enum err_code make(struct db *db, const struct actor *by, struct arena *a,
    const struct signup_rules *rules, const struct foreign_identity *who, struct machine *ret,
    struct err *err)
{
    struct tenant home;
    bool found = false;
    enum err_code code = signup_allows(a, rules, who) ? ERR_OK : refuse_rule(a, who, err);

    if (!code)
        code = check_rate(db, who->issuer, err);
    if (!code)
        code = make_namespace(db, by, a, who, &home, err);
    if (!code)
        code = insert(db, by, who, &home, err);
    if (!code)
        code = find(db, a, who, ret, &found, err);
    CHECK(code || found);
    return code;
}

enum err_code machine_sign_up(struct db *db, const struct actor *by, struct arena *a,
    const struct signup_rules *rules, const struct foreign_identity *who, struct machine *ret, bool *ret_made,
    struct err *err)
{
    bool found;

    CHECK(tx_is_write(db));
    enum err_code code = find(db, a, who, ret, &found, err);
    if (code)
        return code;
    *ret_made = !found;
    if (!found)
        return make(db, by, a, rules, who, ret, err);
    return db_exec(
        db, SQL_USE, DB_ARGS(db_text(id_str(&ret->id)), db_text(who->name), db_int(clock_wall_ms())), err);
}

/* --- Passes --- */

enum err_code machine_pass(struct db *db, const struct actor *by, struct arena *a, const struct machine *m,
    struct str assertion_id, struct machine_pass *ret, struct err *err)
{
    bool made;
    enum err_code code =
        machine_database(db, by, &(struct machine_owner){m->namespace_id, m->issuer, m->foreign_id},
            S("main"), STR_EMPTY, &ret->database, &made, err);

    if (code)
        return code;
    return machine_mint(db, by, a,
        &(struct machine_mint){.machine_id = m->id,
            .namespace_id = m->namespace_id,
            .assertion_id = assertion_id,
            .name = m->name},
        &ret->token, &ret->secret, err);
}

static enum err_code federate_in_tx(struct db *db, const struct actor *by, struct arena *a,
    const struct signup_rules *rules, const struct foreign_identity *who, struct machine_pass *ret,
    struct err *err)
{
    struct machine m;
    enum err_code code = machine_sign_up(db, by, a, rules, who, &m, &ret->made, err);

    return code ? code : machine_pass(db, by, a, &m, STR_EMPTY, ret, err);
}

enum err_code machine_federate(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct arena *a, const struct signup_rules *rules, const struct foreign_identity *who,
    struct machine_pass *ret, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, federate_in_tx(db, by, a, rules, who, ret, err), err);
    return code ? code : registry_create_settle(db, disk, &ret->database, err);
}
