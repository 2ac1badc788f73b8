/* What becomes of an approval. */
#include "approval/approval_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#define SQL_BEGIN_REDEEM                                                                                     \
    "UPDATE approval SET redeem_began_at = coalesce(redeem_began_at, ?2) WHERE id = ?1 AND status = "        \
    "'approved'"
#define SQL_REDEEMED                                                                                         \
    "UPDATE approval SET status = 'redeemed', redeemed_at = ?2,"                                             \
    " confirm_by = CASE WHEN confirm_within_s IS NULL THEN NULL ELSE ?2 + 1000 * confirm_within_s END,"      \
    " confirm_state = CASE WHEN confirm_within_s IS NULL THEN NULL ELSE 'waiting' END"                       \
    " WHERE id = ?1 AND status = 'approved'"
#define SQL_END                                                                                              \
    "UPDATE approval SET status = ?2, decided_at = ?3, replaced_by = ?4, redeem_began_at = NULL"             \
    " WHERE id = ?1 AND status IN ('pending', 'approved')"
#define SQL_REPLACED                                                                                         \
    "UPDATE approval SET replaced_by = ?2 WHERE id = ?1 AND status = 'void' AND replaced_by IS NULL"
#define SQL_OVER                                                                                             \
    "SELECT id FROM approval INDEXED BY approval_open WHERE status IN ('pending', 'approved')"               \
    " AND expires_at <= ?1 AND redeem_began_at IS NULL ORDER BY expires_at LIMIT 1"
#define SQL_CONFIRM                                                                                          \
    "UPDATE approval SET confirm_state = 'confirmed', confirmed_by = ?2"                                     \
    " WHERE id = ?1 AND confirm_state = 'waiting' AND confirm_by > ?3"
#define SQL_NOTE_UNDO                                                                                        \
    "UPDATE approval SET undo_proposal = ?2, undo_hash = ?3 WHERE id = ?1 AND confirm_state = 'waiting'"
#define SQL_UNDONE                                                                                           \
    "UPDATE approval SET confirm_state = ?2, undo_note = ?3 WHERE id = ?1 AND confirm_state = 'waiting'"

#define DOUBT                                                                                                \
    "UPDATE approval SET redeem_began_at = ?1 WHERE redeem_began_at IS NULL AND status IN ('pending', "      \
    "'approved')"
#define SQL_DOUBT      DOUBT " AND database_id = ?2"
#define SQL_DOUBT_LEFT DOUBT " AND database_id IN (SELECT target_id FROM audit_intent WHERE action = ?2)"
#define SQL_CLEAR      "UPDATE approval SET redeem_began_at = NULL WHERE id = ?1 AND status = 'pending'"

#define VALUES_MAX 16
#define EXPIRE_MAX 100

enum err_code approval_audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct approval *p, const struct audit_value *more, struct err *err)
{
    struct audit_value all[VALUES_MAX] = {audit_text("proposal", id_str(&p->proposal_id)),
        audit_text("database", id_str(&p->database_id)), audit_text("hash", str_of(p->hash)),
        audit_text_or_null("rulesVersion", p->rules_version.ptr ? p->rules_version : STR_EMPTY),
        audit_text("status", str_of(approval_status_name(p->status)))};
    size_t count = 5;

    for (; more && more->kind != AUDIT_VALUES_END; more++) {
        CHECK(count + 1 < VALUES_MAX);
        all[count++] = *more;
    }
    all[count] = (struct audit_value){.kind = AUDIT_VALUES_END};
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &p->namespace_id,
            .target_id = str_of(p->id),
            .target_name = str_of(p->database_slug),
            .after = all},
        err);
}

/* --- Redeeming --- */

enum err_code approval_begin_redeem(struct db *db, struct approval *p, struct err *err)
{
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db));
    if (p->status == APPROVAL_REDEEMED)
        return err_set(err, ERR_NOT_FOUND, "No such approval waits: it was redeemed already");
    if (p->status != APPROVAL_APPROVED)
        return approval_wrong_state(p, err);
    enum err_code code = db_exec(db, SQL_BEGIN_REDEEM, DB_ARGS(db_text(str_of(p->id)), db_int(now)), err);
    if (!code && db_changes(db) != 1)
        code = err_set(err, ERR_CONFLICT, "This approval is over: look at it again for how it ended");
    if (!code && !p->redeem_began_at)
        p->redeem_began_at = now;
    return code;
}

enum err_code approval_redeemed(
    struct db *db, const struct actor *by, struct approval *p, int64_t at_ms, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code = db_exec(db, SQL_REDEEMED, DB_ARGS(db_text(str_of(p->id)), db_int(at_ms)), err);
    if (code || db_changes(db) != 1)
        return code;
    p->status = APPROVAL_REDEEMED;
    p->redeemed_at = at_ms;
    if (p->confirm_within_s) {
        p->confirm_by = at_ms + 1000 * p->confirm_within_s;
        p->confirm_state = S("waiting");
    }
    return approval_audit(db, by, AUDIT_APPROVAL_REDEEMED, p,
        AUDIT_VALUES(audit_text("hashCommitted", str_of(p->hash)), audit_time("committedAt", at_ms),
            audit_time("confirmBy", p->confirm_by)),
        err);
}

/* --- Ending otherwise --- */

enum err_code approval_end(struct db *db, const struct actor *by, struct approval *p, enum approval_status to,
    struct str replaced_by, struct err *err)
{
    static const enum audit_action ACTIONS[APPROVAL_STATUS_COUNT] = {
        [APPROVAL_EXPIRED] = AUDIT_APPROVAL_EXPIRED,
        [APPROVAL_WITHDRAWN] = AUDIT_APPROVAL_WITHDRAWN,
        [APPROVAL_VOID] = AUDIT_APPROVAL_VOIDED,
    };
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db) && ACTIONS[to]);
    enum err_code code = db_exec(db, SQL_END,
        DB_ARGS(db_text(str_of(p->id)), db_text(str_of(approval_status_name(to))), db_int(now),
            replaced_by.len ? db_text(replaced_by) : db_null()),
        err);
    if (code)
        return code;
    if (db_changes(db) != 1) /* it may have been found void before it was known by what it is replaced */
        return replaced_by.len
                   ? db_exec(db, SQL_REPLACED, DB_ARGS(db_text(str_of(p->id)), db_text(replaced_by)), err)
                   : ERR_OK;
    p->status = to;
    p->decided_at = now;
    p->redeem_began_at = 0;
    p->replaced_by = replaced_by.len ? replaced_by : (struct str){NULL, 0};
    return approval_audit(
        db, by, ACTIONS[to], p, AUDIT_VALUES(audit_text_or_null("replacedBy", replaced_by)), err);
}

enum err_code approval_proposal_withdrawn(struct db *db, const struct actor *by, const struct id *database_id,
    struct str proposal_id, struct err *err)
{
    AUTO_ARENA a;
    struct approval p;
    struct err local = ERR_INIT;

    CHECK(tx_is_write(db));
    arena_init(&a, 1 << 20);
    enum err_code code = approval_of_proposal(db, &a, database_id, proposal_id, &p, &local);
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    if (code && err)
        *err = local;
    return code ? code : approval_end(db, by, &p, APPROVAL_WITHDRAWN, STR_EMPTY, err);
}

/* --- What its database may have ended --- */

enum err_code approval_doubt(struct db *db, const struct id *database_id, struct err *err)
{
    CHECK(tx_is_write(db));
    return db_exec(db, SQL_DOUBT, DB_ARGS(db_int(clock_wall_ms()), db_text(id_str(database_id))), err);
}

enum err_code approval_doubt_left(struct db *db, struct err *err)
{
    struct str withdrawn = str_of(audit_actions[AUDIT_PROPOSAL_WITHDRAWN].action);
    enum err_code code = tx_begin_write(db, err);

    return code ? code
                : tx_end(db,
                      db_exec(db, SQL_DOUBT_LEFT, DB_ARGS(db_int(clock_wall_ms()), db_text(withdrawn)), err),
                      err);
}

enum err_code approval_still_waits(struct db *db, struct approval *p, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code = db_exec(db, SQL_CLEAR, DB_ARGS(db_text(str_of(p->id))), err);
    if (!code && db_changes(db) == 1)
        p->redeem_began_at = 0;
    return code;
}

static enum err_code expire_one(struct db *db, int64_t now_ms, struct err *err)
{
    AUTO_ARENA a;
    AUTO_STMT st = DB_STMT_INIT;
    const struct actor by = actor_server();
    struct approval p;

    arena_init(&a, 1 << 20);
    enum err_code code = db_query_one(db, SQL_OVER, DB_ARGS(db_int(now_ms)), &st, err);
    if (code)
        return code;
    struct str id = arena_copy(&a, db_col_text(&st, 0));
    db_stmt_release(&st);
    code = approval_get(db, &a, id, &p, err);
    return code ? code : approval_end(db, &by, &p, APPROVAL_EXPIRED, STR_EMPTY, err);
}

enum err_code approval_expire(struct db *db, int64_t now_ms, bool *more, struct err *err)
{
    struct err local = ERR_INIT;
    int done = 0;
    enum err_code code = tx_begin_write(db, err);

    if (code)
        return code;
    while (!code && done++ < EXPIRE_MAX)
        code = expire_one(db, now_ms, &local);
    *more = *more || !code;
    if (code && code != ERR_NOT_FOUND && err)
        *err = local;
    return tx_end(db, code == ERR_NOT_FOUND ? ERR_OK : code, err);
}

/* --- Confirming what was done --- */

enum err_code approval_confirm(
    struct db *db, const struct actor *by, struct approval *p, const struct person *person, struct err *err)
{
    enum member_role role;
    int64_t now = clock_wall_ms();

    CHECK(tx_is_write(db) && by->kind == ACTOR_USER);
    enum err_code code = approval_may_decide(db, p, &person->account.id, &role, err);
    if (code)
        return code;
    if (!p->confirm_state.ptr)
        return err_set(err, ERR_CONFLICT, "Nothing of this approval waits to be confirmed");
    if (!str_eq(p->confirm_state, S("waiting")) || p->confirm_by <= now)
        return err_set(err, ERR_CONFLICT, "This cannot be confirmed: it is %s",
            str_eq(p->confirm_state, S("waiting")) ? "too late, it is being taken back"
                                                   : p->confirm_state.ptr);
    code = db_exec(db, SQL_CONFIRM,
        DB_ARGS(db_text(str_of(p->id)), db_text(id_str(&person->account.id)), db_int(now)), err);
    if (!code && db_changes(db) != 1)
        code = err_set(err, ERR_CONFLICT, "This was confirmed or taken back already");
    if (code)
        return code;
    p->confirm_state = S("confirmed");
    p->confirmed_by = id_str(&person->account.id);
    return approval_audit(db, by, AUDIT_APPROVAL_CONFIRMED, p,
        AUDIT_VALUES(audit_text("role", str_of(member_role_name(role))),
            audit_text("session", id_str(&person->session_id)),
            audit_time("passwordConfirmedAt", person->confirmed_at)),
        err);
}

enum err_code approval_note_undo(
    struct db *db, struct approval *p, struct str proposal_id, struct str hash, struct err *err)
{
    CHECK(tx_is_write(db));
    enum err_code code =
        db_exec(db, SQL_NOTE_UNDO, DB_ARGS(db_text(str_of(p->id)), db_text(proposal_id), db_text(hash)), err);
    if (!code && db_changes(db) != 1)
        return err_set(err, ERR_CONFLICT, "This was confirmed or taken back already");
    p->undo_proposal = proposal_id;
    p->undo_hash = hash;
    return code;
}

enum err_code approval_undone(
    struct db *db, const struct actor *by, struct approval *p, struct str conflict, struct err *err)
{
    CHECK(tx_is_write(db));
    p->confirm_state = conflict.len ? S("conflict") : S("undone");
    enum err_code code = db_exec(db, SQL_UNDONE,
        DB_ARGS(
            db_text(str_of(p->id)), db_text(p->confirm_state), conflict.len ? db_text(conflict) : db_null()),
        err);
    if (code || db_changes(db) != 1)
        return code;
    return approval_audit(db, by, conflict.len ? AUDIT_APPROVAL_UNDO_FAILED : AUDIT_APPROVAL_UNDONE, p,
        AUDIT_VALUES(audit_text_or_null("undoProposal", p->undo_proposal.ptr ? p->undo_proposal : STR_EMPTY),
            audit_text_or_null("why", conflict)),
        err);
}
