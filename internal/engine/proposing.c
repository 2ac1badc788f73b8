/* Making proposals. */
#include "engine/proposing.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/token.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/index_follow.h"
#include "engine/invariant.h"
#include "engine/task.h"
#include "engine/undo_schema.h"
#include "json/jsonr.h"

enum { PLAN_ROWS_MAX = 1000, PLAN_BYTES_MAX = 4 << 20 };

struct proposing proposing_new(struct str body)
{
    static const struct str NONE = {NULL, 0};
    return (struct proposing){.reason = NONE,
        .ticket = NONE,
        .agent = NONE,
        .model = NONE,
        .token_id = NONE,
        .role = NONE,
        .undo_of = NONE,
        .id = NONE,
        .ttl_s = LIMIT_PROPOSAL_TTL_S,
        .body = body};
}

enum err_code propose_check_names(
    const struct jsonr_value *root, const char *at, enum propose_part part, struct err *err)
{
    static const struct jsonr_field NAMES[] = {JSONR_NAME("sql"), JSONR_NAME("params"), JSONR_NAME("ttlSec"),
        JSONR_NAME("reason"), JSONR_NAME("ticket"), JSONR_NAME("agent"), JSONR_NAME("model"),
        JSONR_NAME("statements"), JSONR_NAME("transaction")};
    enum { SINGLE = 2, WHY = 5, MANY = 2 };
    const struct jsonr_value *many = jsonr_member(root, S("statements"));
    bool why = part == PROPOSE_WHOLE;
    size_t from = !many ? 0 : why ? SINGLE : SINGLE + WHY;
    size_t count = (many ? MANY : SINGLE) + (why ? WHY : 0);
    enum err_code code = jsonr_check_names(root, at, NAMES + from, count, err);
    char place[60];
    int n = 0;
    for (const struct jsonr_value *v = many ? jsonr_first(many) : NULL; v && !code; v = jsonr_next(v)) {
        str_print(place, sizeof place, "%s/statements/%d", at, n++);
        code = jsonr_check_names(v, place, NAMES, SINGLE, err);
    }
    return code;
}

enum err_code proposing_read(struct proposing *in, const struct jsonr_value *root, struct err *err)
{
    static const struct jsonr_field FIELDS[] = {
        {"ttlSec", JF_INT, offsetof(struct proposing, ttl_s), JF_NULL_OK, LIMIT_PROPOSAL_TTL_MIN_S,
            LIMIT_PROPOSAL_TTL_MAX_S},
        {"reason", JF_TEXT, offsetof(struct proposing, reason), JF_NULL_OK, 1, LIMIT_PROPOSAL_TEXT_BYTES},
        {"ticket", JF_TEXT, offsetof(struct proposing, ticket), JF_NULL_OK, 1, LIMIT_PROPOSAL_NAME_BYTES},
        {"agent", JF_TEXT, offsetof(struct proposing, agent), JF_NULL_OK, 1, LIMIT_PROPOSAL_NAME_BYTES},
        {"model", JF_TEXT, offsetof(struct proposing, model), JF_NULL_OK, 1, LIMIT_PROPOSAL_NAME_BYTES},
    };
    return jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, in, err);
}

/* The directory of a database has its id for a name. */
struct digest propose_token_hash(const struct op *op, struct str token)
{
    struct digest_stream digest;
    const char *slash = strrchr(op->eng->cfg.dir, '/');
    digest_stream_init(&digest);
    digest_stream_add(&digest, token);
    digest_stream_add(&digest, str_of(slash ? slash + 1 : op->eng->cfg.dir));
    return digest_stream_end(&digest);
}

enum err_code propose_take(struct op *op, const struct jsonr_value *root, struct err *err)
{
    bool one = jsonr_member(root, S("sql")) != NULL, many = jsonr_member(root, S("statements")) != NULL;
    if (one == many)
        return err_field(err, "", "give \"sql\" with \"params\", or \"statements\": one of both");
    return exec_take(task_of(op), root, many, err);
}

/* --- The plan --- */

static void write_plan_rows(struct op *op, sqlite3_stmt *stmt, struct jsonw *w)
{
    for (int n = 0; n < PLAN_ROWS_MAX && op_step_tenant(op, stmt) == SQLITE_ROW; n++) {
        jsonw_array(w);
        for (int i = 0; i < 4; i++)
            op_write_column(w, stmt, i);
        jsonw_array_end(w);
    }
}

/* What cannot be planned yet, or at all, has no rows: running it tells why. */
static void write_plan_of(struct op *op, struct str sql, struct jsonw *w)
{
    struct cached *c;
    struct err ignored = ERR_INIT;
    if (sql_verb_changes_schema(sql_verb(sql)) || guard_prepare_for(op->eng, &op->call) != SQLITE_OK)
        return;
    struct str text = arena_printf(op->arena, CACHE_PLAN STR_FMT, STR_ARG(sql));
    if (text.ptr && cache_get(op, text, &c, &ignored) == ERR_OK) {
        write_plan_rows(op, c->stmt, w);
        (void)sqlite3_reset(c->stmt); /* what ends early has fewer rows */
        cache_unpin(op->eng, c);
    }
    op->error_detail = STR_EMPTY;
}

struct str propose_plan(struct op *op)
{
    AUTO_STRBUF out;
    struct jsonw w;
    const struct task *t = task_of(op);
    strbuf_init(&out, PLAN_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_array(&w);
    for (size_t i = 0; i < exec_count(t); i++)
        write_plan_of(op, exec_sql(t, i), &w);
    jsonw_array_end(&w);
    struct str copy = strbuf_failed(&out) ? S("[]") : arena_copy(op->arena, strbuf_str(&out));
    return copy.ptr ? copy : S("[]");
}

/* --- Flags --- */

static bool scans(struct op *op, struct str plan)
{
    const struct jsonr_value *rows;
    bool found = false;
    if (jsonr_parse(op->arena, plan, &rows, NULL))
        return false;
    for (const struct jsonr_value *v = jsonr_first(rows); v && !found; v = jsonr_next(v)) {
        const struct jsonr_value *cell = jsonr_first(v);
        for (int i = 0; cell && i < 3; i++)
            cell = jsonr_next(cell);
        struct str detail = cell && jsonr_kind(cell) == JSONR_TEXT ? jsonr_text(cell) : STR_EMPTY;
        found = str_starts(detail, S("SCAN ")) && !str_eq(detail, S("SCAN CONSTANT ROW"));
    }
    return found;
}

struct naming {
    struct op *op;
    struct jsonw *w;
};

static void write_visible(void *arg, struct str table)
{
    struct naming *n = arg;
    if (op_table_visible(n->op, table))
        jsonw_text(n->w, table);
}

static struct str flags_of(struct op *op, const struct rehearsal *r, struct str plan, uint64_t rows)
{
    AUTO_STRBUF out;
    struct jsonw w;
    struct naming naming = {op, &w};
    strbuf_init(&out, PLAN_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    jsonw_key(&w, "nondeterministic");
    jsonw_array(&w);
    if (r->time_asked)
        jsonw_cstr(&w, "now");
    if (r->dice_asked)
        jsonw_cstr(&w, "random");
    jsonw_array_end(&w);
    jsonw_key(&w, "autoKeys");
    jsonw_array(&w);
    recorder_auto_keys(&r->recorder, write_visible, &naming);
    jsonw_array_end(&w);
    jsonw_key(&w, "brokenInvariants");
    jsonw_raw(&w, r->broken.ptr ? r->broken : S("[]"));
    JSONW_BOOL(&w, "fullScan", scans(op, plan));
    JSONW_INT(&w, "rows", (int64_t)rows);
    if (op->eng->guard.rowsec || op->call.has_table_scope)
        JSONW_NULL(&w, "bytes"); /* the length of what is hidden */
    else
        JSONW_INT(&w, "bytes", (int64_t)r->set.len);
    JSONW_INT(&w, "durationMs", (r->duration_us + 500) / 1000);
    if (r->undo.ptr) {
        jsonw_key(&w, "undo");
        jsonw_raw(&w, r->undo);
    }
    jsonw_object_end(&w);
    struct str copy = strbuf_failed(&out) ? S("{}") : arena_copy(op->arena, strbuf_str(&out));
    return copy.ptr ? copy : S("{}");
}

/* --- Storing --- */

static bool follows(void *arg, struct str index)
{
    return index_can_follow(arg, index);
}

/* The name of a pragma stands in its text, and a value behind = or in brackets. */
static bool sets_number(struct str sql)
{
    static const struct str NAMES[] = {{"user_version", 12}, {"application_id", 14}};
    bool value = memchr(sql.ptr, '=', sql.len) || memchr(sql.ptr, '(', sql.len), named = false;
    for (size_t at = 0; value && at < sql.len && !named; at++) {
        struct str rest = str_slice(sql, at, sql.len);
        named = str_starts_nocase(rest, NAMES[0]) || str_starts_nocase(rest, NAMES[1]);
    }
    return named;
}

static bool sets_counter(const struct rehearsal *r)
{
    const struct recorder_target *t = r->recorder.targets;
    while (t && !str_eq_nocase(t->name, S("sqlite_sequence")))
        t = t->next;
    return t != NULL;
}

const char *propose_unshown(const struct rehearsal *r)
{
    const struct task *t = task_of(r->op);
    if (sets_counter(r))
        return "counters of AUTOINCREMENT (sqlite_sequence)";
    for (size_t i = 0; t->request && i < exec_count(t); i++) {
        if (sql_verb(exec_sql(t, i)) == SQL_VERB_PRAGMA && sets_number(exec_sql(t, i)))
            return "user_version or application_id";
    }
    return NULL;
}

static const char *why_no_undo(const struct rehearsal *r)
{
    if (r->recorder.index_only && !recorder_each_bare(&r->recorder, follows, r->op))
        return "a full-text index that keeps nothing to be built from follows it, and cannot be put back row "
               "by row";
    return NULL;
}

enum err_code propose_judge(struct op *op, struct proposing *in, struct rehearsal *r, struct err *err)
{
    enum err_code code = rules_exist(op) ? rules_judge(op, r, in, &in->verdict, err) : ERR_OK;
    return code ? code : invariants_broken(op, &r->broken, err);
}

static struct str known_rules(const struct rehearsal *r)
{
    static const struct digest NONE = {{0}};
    return digest_eq(&r->rules, &NONE) ? (struct str){NULL, 0} : digest_str(&r->rules);
}

/* With the difference of the schema, which rehearsal_hash wrote. */
static struct str why_no_schema_undo(const struct rehearsal *r)
{
    struct str why, text;
    if (r->diff.len <= S("[]").len)
        return S("it has statements that change the schema, and left no difference that could be taken back");
    if (schema_undo_foreseen(r->op, strbuf_str(&r->diff), strbuf_str(&r->set), &why))
        return S(PROPOSE_UNDO_BY_ITSELF);
    text = arena_printf(r->op->arena,
        "it changes the schema, and could not be taken back by itself: " STR_FMT
        ". Propose such things one after the other",
        STR_ARG(why));
    return text.ptr ? text : S("it changes the schema, and could not be taken back by itself");
}

struct str propose_no_undo(const struct rehearsal *r)
{
    const char *unshown = propose_unshown(r);
    if (unshown) {
        struct str text =
            arena_printf(r->op->arena, "it writes %s, which an undo does not put back", unshown);
        return text.ptr ? text : S("it writes what an undo does not put back");
    }
    if (r->changes_schema)
        return why_no_schema_undo(r);
    const char *why = why_no_undo(r);
    return why ? str_of(why) : (struct str){NULL, 0};
}

enum err_code propose_store(struct op *op, const struct proposing *in, struct rehearsal *r,
    struct str token_hash, struct proposal *p, struct err *err)
{
    uint64_t rows;
    struct id id = id_new("prop");
    int64_t now = clock_wall_ms();
    enum err_code code = change_set_count(strbuf_str(&r->set), &rows, err);
    if (!code)
        code = proposals_make_room(op, (int64_t)r->set.len, err);
    if (code)
        return code;
    *p = (struct proposal){.id = arena_copy(op->arena, in->id.ptr ? in->id : id_str(&id)),
        .state = S("pending"),
        .bearer = op->call.token_id,
        .body = in->body,
        .action = str_of(in->action),
        .hash = digest_str(&r->hash),
        .affected = r->affected,
        .clock_ms = r->clock_ms,
        .plan = in->plan,
        .flags = flags_of(op, r, in->plan, rows),
        .schema_diff = strbuf_str(&r->diff),
        .rehearsed_on = op->eng->cfg.mode == ENGINE_READER ? S("copy") : S("live"),
        .no_indirect = op->eng->guard.rowsec != NULL,
        .no_undo = propose_no_undo(r),
        .undo_of = in->undo_of,
        .size = (int64_t)r->set.len,
        .reason = in->reason,
        .ticket = in->ticket,
        .agent = in->agent,
        .model = in->model,
        .created_ms = now,
        .expires_ms = now + in->ttl_s * 1000,
        .approval = p->approval,
        .idempotency_key = p->idempotency_key,
        .rules = in->verdict.hits.ptr ? in->verdict.hits : S("[]"),
        .rules_version = known_rules(r)};
    memcpy(&p->dice, &r->dice, sizeof p->dice);
    if (!p->id.ptr)
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    return proposal_put(op, p, token_hash, strbuf_str(&r->set), &r->recorder, err);
}

enum err_code propose_store_applied(
    struct op *op, const struct proposing *in, struct rehearsal *r, struct proposal *ret, struct err *err)
{
    struct proposal p = {.approval = {NULL, 0}, .idempotency_key = {NULL, 0}};
    bool found = false;
    enum err_code code = propose_store(op, in, r, STR_EMPTY, &p, err);
    if (!code)
        code = proposal_by_id(op, p.id, &found, ret, err);
    if (!code && !found)
        return err_set(err, ERR_INTERNAL, "a proposal was not stored");
    return code ? code : proposal_decide(op, ret, "applied", err);
}

enum err_code propose_rehearsed(
    struct op *op, const struct proposing *in, struct rehearsal *r, struct jsonw *w, struct err *err)
{
    AUTO_SECRET token = SECRET_INIT;
    struct proposal p = {.approval = {NULL, 0}, .idempotency_key = {NULL, 0}};
    token_generate(TOKEN_MUTATION, &token);
    struct digest hash = propose_token_hash(op, secret_reveal(&token));
    enum err_code code = propose_store(op, in, r, digest_str(&hash), &p, err);
    return code ? code : proposal_write(op, w, &p, strbuf_str(&r->set), secret_reveal(&token), err);
}
