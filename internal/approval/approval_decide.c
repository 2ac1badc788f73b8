/* Who may decide, and deciding. */
#include "approval/approval_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "tenant/share.h"

#define SQL_MEMBER                                                                                           \
    "SELECT m.role FROM namespace_member m JOIN account a ON a.id = m.account_id"                            \
    " JOIN namespace n ON n.id = m.namespace_id"                                                             \
    " WHERE m.namespace_id = ?1 AND m.account_id = ?2 AND a.suspended_at IS NULL AND n.deleted_at IS NULL"
/* Somebody who could decide approval ?1 and is none of its requesters. A share takes the place of the
 * namespace's role, but who is an admin there can take it off again. */
#define RANK(role) "CASE " role " WHEN 'viewer' THEN 1 WHEN 'editor' THEN 2 WHEN 'admin' THEN 3 ELSE 4 END"
#define SQL_SOMEBODY_ELSE                                                                                    \
    "EXISTS (SELECT 1 FROM approval x JOIN namespace_member m ON m.namespace_id = x.namespace_id"            \
    " JOIN account a ON a.id = m.account_id JOIN database d ON d.id = x.database_id"                         \
    " LEFT JOIN database_share s ON s.database_id = d.id AND s.account_id = m.account_id"                    \
    " LEFT JOIN database_share p ON p.database_id = d.parent_id AND d.branch_ref IS NOT NULL"                \
    " AND p.account_id = m.account_id"                                                                       \
    " WHERE x.id = ?1 AND a.suspended_at IS NULL"                                                            \
    " AND m.account_id NOT IN (SELECT account_id FROM approval_requester WHERE approval_id = ?1)"            \
    " AND " RANK("CASE WHEN m.role IN ('admin', 'owner') THEN m.role ELSE coalesce(s.role, p.role, m.role) " \
                 "END") " >= " RANK("x.approver_role") ")"
#define SQL_NOTE_ALONE "UPDATE approval SET asked_alone = NOT " SQL_SOMEBODY_ELSE " WHERE id = ?1"
/* Lowering the others for a moment changes nothing: the requester was alone from the beginning. */
#define SQL_NOT_ALONE                                                                                        \
    "SELECT 1 FROM approval q WHERE q.id = ?1 AND (q.asked_alone = 0 OR " SQL_SOMEBODY_ELSE ")"
#define SQL_IS_REQUESTER "SELECT 1 FROM approval_requester WHERE approval_id = ?1 AND account_id = ?2"
#define SQL_VOTE                                                                                             \
    "INSERT INTO approval_decision(approval_id, account_id, role, decision, note, hash, session_id, "        \
    "confirmed_at, created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
/* One statement counts the people and decides. */
#define GIVEN "(SELECT count(*) FROM approval_decision v WHERE v.approval_id = ?1 AND v.decision = 'approve')"
#define SQL_COUNT_VOTES                                                                                      \
    "UPDATE approval SET given = " GIVEN ", run_at_once = max(run_at_once, ?3),"                             \
    " confirm_within_s = CASE WHEN ?4 = 0 THEN confirm_within_s ELSE min(coalesce(confirm_within_s, ?4), "   \
    "?4) END,"                                                                                               \
    " status = CASE WHEN " GIVEN " >= needed THEN 'approved' ELSE status END,"                               \
    " decided_at = CASE WHEN " GIVEN " >= needed THEN ?2 ELSE NULL END"                                      \
    " WHERE id = ?1 AND status = 'pending' AND expires_at > ?2"
#define SQL_DENY                                                                                             \
    "UPDATE approval SET status = 'denied', decided_at = ?2"                                                 \
    " WHERE id = ?1 AND status = 'pending' AND expires_at > ?2"

enum err_code approval_role(struct db *db, const struct approval *p, const struct id *account_id,
    enum member_role *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum member_role shared;
    enum err_code code = db_query_one(
        db, SQL_MEMBER, DB_ARGS(db_text(id_str(&p->namespace_id)), db_text(id_str(account_id))), &st, err);

    if (code)
        return code == ERR_NOT_FOUND ? err_set(err, code, "No such approval") : code;
    bool known = member_role_parse(db_col_text(&st, 0), ret);
    CHECK(known); /* the table's own CHECK */
    code = share_role(db, &p->database_id, account_id, &shared, err);
    if (!code && shared)
        *ret = shared;
    return code;
}

enum err_code approval_note_alone(struct db *db, struct str id, struct err *err)
{
    return db_exec(db, SQL_NOTE_ALONE, DB_ARGS(db_text(id)), err);
}

/* Who is alone would otherwise never be done with it. */
static enum err_code check_not_requester(
    struct db *db, const struct approval *p, const struct id *account_id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    AUTO_STMT others = DB_STMT_INIT;
    struct db_value id = db_text(str_of(p->id));
    enum err_code code =
        db_query_one(db, SQL_IS_REQUESTER, DB_ARGS(id, db_text(id_str(account_id))), &st, err);

    if (!code)
        code = db_query_one(db, SQL_NOT_ALONE, DB_ARGS(id), &others, err);
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    return code ? code
                : err_set(err, ERR_FORBIDDEN,
                      "You stand behind the bearer that asked for this; somebody else has to decide");
}

enum err_code approval_may_decide(struct db *db, const struct approval *p, const struct id *account_id,
    enum member_role *ret_role, struct err *err)
{
    enum member_role role = MEMBER_NONE;
    struct err local = ERR_INIT;
    enum err_code code = approval_role(db, p, account_id, &role, &local);

    if (!code && role < p->approver_role)
        code = err_set(&local, ERR_FORBIDDEN, "Deciding this needs the role %s here; yours is %s",
            member_role_name(p->approver_role), member_role_name(role));
    if (!code)
        code = check_not_requester(db, p, account_id, &local);
    if (code && err)
        *err = local;
    else if (!code && ret_role)
        *ret_role = role;
    return code;
}

enum err_code approval_wrong_state(const struct approval *p, struct err *err)
{
    static const char *const NEXT[APPROVAL_STATUS_COUNT] = {
        [APPROVAL_PENDING] =
            "people have to decide first; GET …/approvals/TOKEN?waitSec=30 answers when they have",
        [APPROVAL_APPROVED] = "who asked for it redeems it with redeem_approval",
        [APPROVAL_DENIED] = "its decisions say why; another write gets an approval of its own",
        [APPROVAL_EXPIRED] = "the write, sent again, gets a new one",
        [APPROVAL_WITHDRAWN] = "the write, sent again, gets a new one",
        [APPROVAL_VOID] =
            "the database was changed meanwhile; what the write does now is in replacedBy, or send it again",
        [APPROVAL_REDEEMED] = "it is done, and happens once; POST …/proposals/ID/undo takes it back",
    };

    return err_set(
        err, ERR_CONFLICT, "This approval is %s: %s", approval_status_name(p->status), NEXT[p->status]);
}

static enum err_code check_vote(const struct approval *p, const struct approval_vote *vote, struct err *err)
{
    if (p->status != APPROVAL_PENDING)
        return approval_wrong_state(p, err);
    if (vote->hash.ptr && !str_eq(vote->hash, str_of(p->hash)))
        return err_set(err, ERR_CONFLICT,
            "This approval is of %s; what you were shown is something else: look at it again", p->hash);
    return ERR_OK;
}

static enum err_code store_vote(struct db *db, const struct approval *p, const struct approval_vote *vote,
    enum member_role role, struct err *err)
{
    const struct person *who = vote->person;
    struct err local = ERR_INIT;
    enum err_code code = db_exec(db, SQL_VOTE,
        DB_ARGS(db_text(str_of(p->id)), db_text(id_str(&who->account.id)),
            db_text(str_of(member_role_name(role))), db_text(vote->approves ? S("approve") : S("deny")),
            db_text(vote->note), db_text(str_of(p->hash)), db_text(id_str(&who->session_id)),
            db_int(who->confirmed_at), db_int(clock_wall_ms())),
        &local);

    if (code == ERR_CONFLICT)
        return err_set(err, code, "You have decided already; it takes other people for the rest");
    if (code && err)
        *err = local;
    return code;
}

static enum err_code count_vote(
    struct db *db, const struct approval *p, const struct approval_vote *vote, struct err *err)
{
    struct db_value id = db_text(str_of(p->id)), now = db_int(clock_wall_ms());
    enum err_code code = vote->approves
                             ? db_exec(db, SQL_COUNT_VOTES,
                                   DB_ARGS(id, now, db_int(vote->run), db_int(vote->confirm_within_s)), err)
                             : db_exec(db, SQL_DENY, DB_ARGS(id, now), err);

    return code || db_changes(db) == 1
               ? code
               : err_set(err, ERR_CONFLICT, "This approval is over: look at it again for how it ended");
}

enum err_code approval_decide(struct db *db, const struct actor *by, struct approval *p,
    const struct approval_vote *vote, struct err *err)
{
    AUTO_ARENA a;
    struct approval after;
    enum member_role role = MEMBER_NONE;

    CHECK(tx_is_write(db) && by->kind == ACTOR_USER);
    arena_init(&a, 1 << 20);
    enum err_code code = approval_may_decide(db, p, &vote->person->account.id, &role, err);
    if (!code)
        code = check_vote(p, vote, err);
    if (!code)
        code = store_vote(db, p, vote, role, err);
    if (!code)
        code = count_vote(db, p, vote, err);
    if (!code)
        code = approval_get(db, &a, str_of(p->id), &after, err);
    if (code)
        return code;
    p->status = after.status;
    p->given = after.given;
    p->decided_at = after.decided_at;
    p->run_at_once = after.run_at_once;
    p->confirm_within_s = after.confirm_within_s;
    return approval_audit(db, by, vote->approves ? AUDIT_APPROVAL_APPROVED : AUDIT_APPROVAL_DENIED, p,
        AUDIT_VALUES(audit_text("role", str_of(member_role_name(role))),
            audit_text("session", id_str(&vote->person->session_id)),
            audit_time("passwordConfirmedAt", vote->person->confirmed_at), audit_int("given", p->given),
            audit_int("approvals", p->needed), audit_bool("run", vote->run),
            audit_int("confirmWithinSec", vote->confirm_within_s)),
        err);
}
