/* Approvals in control.db: asking and reading. */
#include "approval/approval_internal.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"

#define SQL_INSERT                                                                                           \
    "INSERT INTO approval(id, namespace_id, database_id, proposal_id, token_id, person_id, "                 \
    "action, hash, sql, statements, sql_cut, affected, hits, rules_version, reason, "                        \
    "ticket, agent, model, needed, approver_role, status, created_at, expires_at, replaces, hash_hidden, "   \
    "params)"                                                                                                \
    " VALUES(?1, ?2, ?3, ?4, ?5, coalesce(?6, (SELECT coalesce(account_id, made_by) FROM token WHERE id = "  \
    "?5)), ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "                                                  \
    "?17, ?18, ?19, ?20, 'pending', ?21, ?22, ?23, ?24, ?25) ON CONFLICT(id) DO NOTHING"
#define SQL_REQUESTERS                                                                                       \
    "INSERT INTO approval_requester(approval_id, account_id)"                                                \
    " SELECT id, person_id FROM approval WHERE id = ?1 AND person_id IS NOT NULL"                            \
    " UNION SELECT ?1, account_id FROM token_person WHERE token_id = ?2"
#define SELECT_APPROVAL                                                                                      \
    "SELECT a.seq, a.id, a.namespace_id, a.database_id, a.proposal_id, a.token_id, a.person_id, "            \
    "n.slug, d.slug, a.hash, a.action, a.sql, a.statements, a.hits, a.rules_version, "                       \
    "a.reason, a.ticket, a.agent, a.model, a.sql_cut, a.affected, a.needed, a.given, a.approver_role, "      \
    "a.status, a.created_at, a.expires_at, a.decided_at, a.redeem_began_at, a.redeemed_at, a.replaces, "     \
    "a.replaced_by, a.run_at_once, a.confirm_within_s, a.confirm_by, a.confirm_state, a.confirmed_by, "      \
    "a.undo_proposal, a.undo_hash, a.undo_note, a.hash_hidden, a.params FROM approval a"                     \
    " JOIN namespace n ON n.id = a.namespace_id JOIN database d ON d.id = a.database_id"
#define LIVE    " AND d.deleted_at IS NULL AND n.deleted_at IS NULL"
#define SQL_GET SELECT_APPROVAL " WHERE a.id = ?1" LIVE
#define SQL_GET_AS                                                                                           \
    SELECT_APPROVAL " JOIN namespace_member m ON m.namespace_id = a.namespace_id AND m.account_id = ?2"      \
                    " WHERE a.id = ?1" LIVE
#define SQL_OF_PROPOSAL SELECT_APPROVAL " WHERE a.database_id = ?1 AND a.proposal_id = ?2" LIVE
#define UNCONFIRMED     "conflict" /* of confirm_state, and of no status */
/* By the time, too: see approval_status_now(). */
#define STATUS                                                                                               \
    " AND (?3 IS NULL OR CASE WHEN a.status IN ('pending', 'approved') AND a.expires_at <= ?4"               \
    " AND a.redeem_began_at IS NULL THEN 'expired' ELSE a.status END = ?3 OR a.confirm_state = ?3) ORDER "   \
    "BY a.seq DESC LIMIT ?5"
#define SQL_OF_NAMESPACE SELECT_APPROVAL " WHERE a.namespace_id = ?1 AND a.seq < ?2" LIVE STATUS
#define SQL_OF_DATABASE  SELECT_APPROVAL " WHERE a.database_id = ?1 AND a.seq < ?2" LIVE STATUS
#define SQL_OF_TOKEN                                                                                         \
    SELECT_APPROVAL " WHERE a.database_id = ?1 AND a.seq < ?2 AND a.token_id = ?6" LIVE STATUS
#define SQL_UNCONFIRMED                                                                                      \
    SELECT_APPROVAL " WHERE a.confirm_state = 'waiting' AND a.confirm_by <= ?1 AND a.seq > ?2" LIVE          \
                    " ORDER BY a.seq LIMIT 1"
#define SQL_UNKNOWN                                                                                          \
    SELECT_APPROVAL " WHERE a.status IN ('pending', 'approved') AND "                                        \
                    "a.redeem_began_at < ?1 AND a.seq > ?2" LIVE " ORDER BY a.seq LIMIT 1"
#define SQL_COUNTS                                                                                           \
    "SELECT CASE WHEN a.status IN ('pending', 'approved') AND a.expires_at <= ?2"                            \
    " AND a.redeem_began_at IS NULL THEN 'expired' ELSE a.status END AS state, count(*) FROM approval a"     \
    " JOIN database d ON d.id = a.database_id AND d.deleted_at IS NULL"                                      \
    " WHERE a.namespace_id = ?1 GROUP BY state UNION ALL SELECT '" UNCONFIRMED "', count(*) FROM approval a" \
    " JOIN database d ON d.id = a.database_id AND d.deleted_at IS NULL"                                      \
    " WHERE a.namespace_id = ?1 AND a.confirm_state = '" UNCONFIRMED "'"
#define SQL_DECISIONS                                                                                        \
    "SELECT d.account_id, d.session_id, a.name, a.email, d.role, d.decision, d.note, d.hash, "               \
    "d.confirmed_at, d.created_at FROM approval_decision d LEFT JOIN account a ON a.id = d.account_id"       \
    " WHERE d.approval_id = ?1 ORDER BY d.created_at, d.account_id"

#define UNKNOWN_AFTER_MS 60000 /* a call that runs is not disturbed */
#define DECISIONS_MAX    1000

static const char *const STATUSES[APPROVAL_STATUS_COUNT] = {
    [APPROVAL_PENDING] = "pending",
    [APPROVAL_APPROVED] = "approved",
    [APPROVAL_DENIED] = "denied",
    [APPROVAL_EXPIRED] = "expired",
    [APPROVAL_WITHDRAWN] = "withdrawn",
    [APPROVAL_VOID] = "void",
    [APPROVAL_REDEEMED] = "redeemed",
};

const char *approval_status_name(enum approval_status status)
{
    CHECK(status < APPROVAL_STATUS_COUNT);
    return STATUSES[status];
}

bool approval_status_parse(struct str text, enum approval_status *ret)
{
    for (int i = 0; i < APPROVAL_STATUS_COUNT; i++) {
        if (!str_eq(text, str_of(STATUSES[i])))
            continue;
        *ret = (enum approval_status)i;
        return true;
    }
    return false;
}

bool approval_id_valid(struct str id)
{
    bool valid = str_starts(id, S("appr_")) && id.len >= 25 && id.len < APPROVAL_ID_SIZE;

    for (size_t i = 5; valid && i < id.len; i++) {
        char c = id.ptr[i];
        valid = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
    return valid;
}

/* --- Reading a row --- */

/* What the engine was asked to do may have been done in time: only it knows. */
static enum approval_status status_now(enum approval_status status, const struct approval *p)
{
    bool open = status == APPROVAL_PENDING || status == APPROVAL_APPROVED;

    return open && !p->redeem_began_at && p->expires_at <= clock_wall_ms() ? APPROVAL_EXPIRED : status;
}

static struct str text_at(const struct db_stmt *st, struct arena *a, int column)
{
    if (db_col_is_null(st, column))
        return (struct str){NULL, 0};
    return arena_copy(a, db_col_text(st, column));
}

static void map_ids(const struct db_stmt *st, struct approval *p)
{
    p->seq = db_col_int(st, 0);
    DB_COL_COPY(st, 1, p->id);
    DB_COL_COPY(st, 2, p->namespace_id.text);
    DB_COL_COPY(st, 3, p->database_id.text);
    DB_COL_COPY(st, 4, p->proposal_id.text);
    DB_COL_COPY(st, 5, p->token_id.text);
    DB_COL_COPY(st, 6, p->person_id.text);
    DB_COL_COPY(st, 7, p->namespace_slug);
    DB_COL_COPY(st, 8, p->database_slug);
    DB_COL_COPY(st, 9, p->hash);
}

static void map(const struct db_stmt *st, struct arena *a, struct approval *p)
{
    enum approval_status status = APPROVAL_PENDING;

    *p = (struct approval){.action = text_at(st, a, 10),
        .sql = text_at(st, a, 11),
        .statements = text_at(st, a, 12),
        .hits = text_at(st, a, 13),
        .rules_version = text_at(st, a, 14),
        .reason = text_at(st, a, 15),
        .ticket = text_at(st, a, 16),
        .agent = text_at(st, a, 17),
        .model = text_at(st, a, 18),
        .sql_cut = db_col_int(st, 19) != 0,
        .affected = db_col_int(st, 20),
        .needed = db_col_int(st, 21),
        .given = db_col_int(st, 22),
        .created_at = db_col_int(st, 25),
        .expires_at = db_col_int(st, 26),
        .decided_at = db_col_int(st, 27),
        .redeem_began_at = db_col_int(st, 28),
        .redeemed_at = db_col_int(st, 29),
        .replaces = text_at(st, a, 30),
        .replaced_by = text_at(st, a, 31),
        .run_at_once = db_col_int(st, 32) != 0,
        .confirm_within_s = db_col_int(st, 33),
        .confirm_by = db_col_int(st, 34),
        .confirm_state = text_at(st, a, 35),
        .confirmed_by = text_at(st, a, 36),
        .undo_proposal = text_at(st, a, 37),
        .undo_hash = text_at(st, a, 38),
        .undo_note = text_at(st, a, 39),
        .hash_hidden = db_col_int(st, 40) != 0,
        .params = text_at(st, a, 41)};
    map_ids(st, p);
    bool known = member_role_parse(db_col_text(st, 23), &p->approver_role) &&
                 approval_status_parse(db_col_text(st, 24), &status);
    CHECK(known); /* the table's own CHECKs */
    p->status = status_now(status, p);
}

static enum err_code read_one(
    const struct db_stmt *st, struct arena *a, enum err_code code, struct approval *ret, struct err *err)
{
    if (code)
        return code == ERR_NOT_FOUND ? err_set(err, code, "No such approval") : code;
    map(st, a, ret);
    return arena_failed(a) ? err_set(err, ERR_TOO_LARGE, "the approval is too large") : ERR_OK;
}

enum err_code approval_get(
    struct db *db, struct arena *a, struct str id, struct approval *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    return read_one(&st, a, db_query_one(db, SQL_GET, DB_ARGS(db_text(id)), &st, err), ret, err);
}

enum err_code approval_get_as(struct db *db, struct arena *a, struct str id, const struct id *account_id,
    struct approval *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value *args = DB_ARGS(db_text(id), db_text(id_str(account_id)));

    return read_one(&st, a, db_query_one(db, SQL_GET_AS, args, &st, err), ret, err);
}

enum err_code approval_of_proposal(struct db *db, struct arena *a, const struct id *database_id,
    struct str proposal_id, struct approval *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value *args = DB_ARGS(db_text(id_str(database_id)), db_text(proposal_id));

    return read_one(&st, a, db_query_one(db, SQL_OF_PROPOSAL, args, &st, err), ret, err);
}

enum err_code approval_next_unconfirmed(
    struct db *db, struct arena *a, int64_t now_ms, int64_t after_seq, struct approval *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value *args = DB_ARGS(db_int(now_ms), db_int(after_seq));

    return read_one(&st, a, db_query_one(db, SQL_UNCONFIRMED, args, &st, err), ret, err);
}

enum err_code approval_next_unknown(
    struct db *db, struct arena *a, int64_t now_ms, int64_t after_seq, struct approval *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    const struct db_value *args = DB_ARGS(db_int(now_ms - UNKNOWN_AFTER_MS), db_int(after_seq));

    return read_one(&st, a, db_query_one(db, SQL_UNKNOWN, args, &st, err), ret, err);
}

/* --- Lists --- */

static enum err_code query_list(
    struct db *db, const struct approval_filter *f, struct db_stmt *st, struct err *err)
{
    struct db_value status = f->has_status ? db_text(str_of(STATUSES[f->status])) : db_null();
    if (f->unconfirmed)
        status = db_text(S(UNCONFIRMED));
    struct db_value now = db_int(clock_wall_ms()), before = db_int(f->before), limit = db_int(f->limit);

    if (!f->database_id)
        return db_query(db, SQL_OF_NAMESPACE,
            DB_ARGS(db_text(id_str(f->namespace_id)), before, status, now, limit), st, err);
    struct db_value database = db_text(id_str(f->database_id));
    if (!f->token_id)
        return db_query(db, SQL_OF_DATABASE, DB_ARGS(database, before, status, now, limit), st, err);
    return db_query(db, SQL_OF_TOKEN,
        DB_ARGS(database, before, status, now, limit, db_text(id_str(f->token_id))), st, err);
}

enum err_code approval_list(struct db *db, struct arena *a, const struct approval_filter *f,
    struct approval **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct approval *rows = arena_alloc(a, (size_t)f->limit * sizeof *rows);
    size_t count = 0;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many approvals to list at once; ask for a smaller page");
    enum err_code code = query_list(db, f, &st, err);
    while (!code && !arena_failed(a) && db_row(&st))
        map(&st, a, &rows[count++]);
    if (!code && arena_failed(a))
        return err_set(err, ERR_TOO_LARGE, "too many approvals to list at once; ask for a smaller page");
    *ret = rows;
    *ret_count = count;
    return code ? code : db_done(&st, err);
}

enum err_code approval_counts(
    struct db *db, const struct id *namespace_id, int64_t ret[APPROVAL_COUNTS], struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum approval_status status;
    enum err_code code =
        db_query(db, SQL_COUNTS, DB_ARGS(db_text(id_str(namespace_id)), db_int(clock_wall_ms())), &st, err);

    for (int i = 0; i < APPROVAL_COUNTS; i++)
        ret[i] = 0;
    while (!code && db_row(&st)) {
        bool known = approval_status_parse(db_col_text(&st, 0), &status);
        ret[known ? (int)status : APPROVAL_STATUS_COUNT] = db_col_int(&st, 1);
    }
    return code ? code : db_done(&st, err);
}

static void map_decision(const struct db_stmt *st, struct arena *a, struct approval_decision *ret)
{
    *ret = (struct approval_decision){.name = text_at(st, a, 2),
        .email = text_at(st, a, 3),
        .approves = str_eq(db_col_text(st, 5), S("approve")),
        .note = text_at(st, a, 6),
        .confirmed_at = db_col_int(st, 8),
        .created_at = db_col_int(st, 9)};
    DB_COL_COPY(st, 0, ret->account_id.text);
    DB_COL_COPY(st, 1, ret->session_id.text);
    DB_COL_COPY(st, 7, ret->hash);
    if (!member_role_parse(db_col_text(st, 4), &ret->role))
        ret->role = MEMBER_VIEWER;
}

enum err_code approval_decisions(struct db *db, struct arena *a, const struct approval *p,
    struct approval_decision **ret, size_t *ret_count, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    size_t count = 0, room = (size_t)p->given + 1; /* one more at most: who denied */
    struct approval_decision *rows = room <= DECISIONS_MAX ? arena_alloc(a, room * sizeof *rows) : NULL;

    if (!rows)
        return err_set(err, ERR_TOO_LARGE, "too many decisions to list at once");
    enum err_code code = db_query(db, SQL_DECISIONS, DB_ARGS(db_text(str_of(p->id))), &st, err);
    while (!code && count < room && db_row(&st))
        map_decision(&st, a, &rows[count++]);
    *ret = rows;
    *ret_count = count;
    return code ? code : db_done(&st, err);
}

/* --- Asking --- */

static bool hash_valid(struct str hash)
{
    unsigned char bytes[32];
    size_t len;

    return hash.len == 71 && str_starts(hash, S("sha256:")) &&
           dec_hex(str_slice(hash, 7, hash.len), bytes, sizeof bytes, &len) && len == sizeof bytes;
}

static bool makes_sense(const struct approval_new *in)
{
    enum member_role role;

    return approval_id_valid(in->id) && id_valid(in->proposal_id, "prop") && hash_valid(in->hash) &&
           in->action.len && in->action.len <= 20 && in->needed >= 1 && in->needed < DECISIONS_MAX &&
           in->expires_at > 0 && in->expires_at < CLOCK_WALL_MS_END && in->hits.len &&
           in->hits.len <= (size_t)LIMIT_APPROVAL_HITS_BYTES &&
           (!in->approver_role.ptr || member_role_parse(in->approver_role, &role));
}

static struct str beginning(struct str text)
{
    return text.ptr ? str_slice(text, 0, utf8_cut(text, (size_t)LIMIT_APPROVAL_SQL_BYTES)) : text;
}

static enum err_code insert(struct db *db, const struct approval_new *in, int64_t now, struct err *err)
{
    struct str sql = beginning(in->sql);
    bool fits = in->statements.len <= (size_t)LIMIT_APPROVAL_SQL_BYTES;
    struct str statements = fits ? in->statements : S("[]");

    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(in->id), db_text(id_str(&in->namespace_id)), db_text(id_str(&in->database_id)),
            db_text(in->proposal_id), db_text(id_str(&in->token_id)),
            in->person ? db_text(id_str(in->person)) : db_null(), db_text(in->action), db_text(in->hash),
            db_text(sql), db_text(statements), db_int(!fits || sql.len < in->sql.len), db_int(in->affected),
            db_text(in->hits), db_text(in->rules_version), db_text(in->reason), db_text(in->ticket),
            db_text(in->agent), db_text(in->model), db_int(in->needed),
            db_text(in->approver_role.ptr ? in->approver_role : S("admin")), db_int(now),
            db_int(in->expires_at), in->replaces.len ? db_text(in->replaces) : db_null(),
            db_int(in->hash_hidden), in->params.ptr ? db_text(in->params) : db_null()),
        err);
}

static enum err_code note_requesters(struct db *db, const struct approval_new *in, struct err *err)
{
    enum err_code code =
        db_exec(db, SQL_REQUESTERS, DB_ARGS(db_text(in->id), db_text(id_str(&in->token_id))), err);

    return code ? code : approval_note_alone(db, in->id, err);
}

static bool is_the_same(const struct approval *p, const struct approval_new *in)
{
    return str_eq(id_str(&p->database_id), id_str(&in->database_id)) &&
           str_eq(id_str(&p->token_id), id_str(&in->token_id)) && str_eq(str_of(p->hash), in->hash) &&
           str_eq(id_str(&p->proposal_id), in->proposal_id);
}

enum err_code approval_open(
    struct db *db, const struct actor *by, const struct approval_new *in, struct err *err)
{
    AUTO_ARENA a;
    struct approval p;

    CHECK(tx_is_write(db));
    arena_init(&a, 1 << 20);
    if (!makes_sense(in))
        return err_set(
            err, ERR_INTERNAL, "the database's engine holds the write, and says nothing that makes sense");
    enum err_code code = insert(db, in, clock_wall_ms(), err);
    bool inserted = db_changes(db) == 1;
    if (!code && inserted)
        code = note_requesters(db, in, err);
    if (!code)
        code = approval_get(db, &a, in->id, &p, err);
    if (!code && !is_the_same(&p, in))
        code = err_set(err, ERR_INTERNAL, "the database's engine names an approval that is another's");
    if (code || !inserted)
        return code;
    return approval_audit(db, by, AUDIT_APPROVAL_REQUESTED, &p,
        AUDIT_VALUES(audit_int("approvals", p.needed),
            audit_text("approverRole", str_of(member_role_name(p.approver_role))),
            audit_text_or_null("replaces", p.replaces.ptr ? p.replaces : STR_EMPTY)),
        err);
}
