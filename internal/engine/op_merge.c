/* The second half of POST …/branches/{ref}/merge with the mode data, in the parent's engine: writes what the
 * branch changed (the file .set= in in/) into the parent, all or nothing. Body: {"merge":{"branch","mode"},
 * "resolve"?, "dryRun"?, "propose"?, "reason"? …}: the front's, from the client's. .proposal= is the id that
 * the proposal of it gets. data: {"branchRef", "mode", "rows", "tables", "proposalId", "hash"}, or the
 * proposal with its execution token when it is only to be shown. Conflicts that nobody decided are data: 409
 * {"success":false, "error", "code":"conflict", "requestId", "conflictCount", "conflicts":[{"table", "key",
 * "kind", "op", "base", "ours", "theirs"}], "truncated"}, and nothing was changed. */
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "engine/branch_set.h"
#include "engine/catalog.h"
#include "engine/destruction.h"
#include "engine/engine_state.h"
#include "engine/index_follow.h"
#include "engine/merge_choice.h"
#include "engine/proposing.h"
#include "json/jsonr.h"

enum { ROUNDS = 8, CONFLICTS_SHOWN = 500, CONFLICT_BYTES = 1 << 20, PLAIN_MAX = 4 << 20 };

struct merging {
    struct op *op;
    struct proposing in;
    struct merge_choices choices;
    struct str branch;
    bool only_shown;
    struct strbuf set, whole; /* what is left of the branch's */
    struct strbuf told;
};

/* --- The request --- */

struct wish {
    const struct jsonr_value *merge, *resolve;
    bool dry_run, propose;
};

static enum err_code read_body(struct merging *m, struct err *err)
{
    static const struct jsonr_field FIELDS[] = {
        {"merge", JF_OBJECT, offsetof(struct wish, merge), JF_REQUIRED, 0, 0},
        {"resolve", JF_ANY, offsetof(struct wish, resolve), 0, 0, 0},
        {"dryRun", JF_BOOL, offsetof(struct wish, dry_run), JF_NULL_OK, 0, 0},
        {"propose", JF_BOOL, offsetof(struct wish, propose), JF_NULL_OK, 0, 0},
    };
    const struct jsonr_value *root;
    struct wish wish = {.merge = NULL};
    m->in = proposing_new(m->op->call.body);
    enum err_code code = jsonr_parse(m->op->arena, m->op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, &wish, err);
    if (!code)
        code = proposing_read(&m->in, root, err);
    if (code)
        return code;
    if (wish.resolve && jsonr_kind(wish.resolve) != JSONR_NULL && jsonr_kind(wish.resolve) != JSONR_OBJECT)
        return err_field(err, "/resolve", "must be an object");
    const struct jsonr_value *branch = jsonr_member(wish.merge, S("branch"));
    m->branch = branch && jsonr_kind(branch) == JSONR_TEXT ? jsonr_text(branch) : STR_EMPTY;
    m->only_shown = wish.dry_run || wish.propose;
    m->in.action = "merge";
    m->in.plan = S("[]");
    struct str id = wire_arg(&m->op->call, ".proposal");
    m->in.id = id_valid(id.ptr ? id : STR_EMPTY, "prop") ? id : (struct str){NULL, 0};
    return merge_choices_read(wish.resolve, &m->choices, err);
}

/* It comes from another engine: tables of ours are not its to write, whatever it says. */
static enum err_code check_tables(struct str set, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = change_reader_init(&r, set, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found && op_name_reserved(t.name))
            code = err_set(err, ERR_INVALID, "the branch cannot change tables of the server");
    }
    change_reader_release(&r);
    return code;
}

static enum err_code read_set(struct merging *m, struct err *err)
{
    struct branch_set file;
    struct str name = wire_arg(&m->op->call, ".set");
    enum err_code code = branch_set_read(m->op, name.ptr ? name : STR_EMPTY, &file, err);
    if (!code)
        code = check_tables(file.set, err);
    if (!code) {
        strbuf_add_str(&m->set, file.set);
        strbuf_add_str(&m->whole, file.whole);
    }
    branch_set_release(&file);
    return code;
}

/* --- Choices --- */

static enum err_code knows_table(struct merging *m, struct str name, bool *ret, struct err *err)
{
    static const char SQL[] =
        "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    AUTO_SQL *stmt = NULL;
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = op_prepare_internal(m->op, SQL, &stmt, err);
    *ret = !code &&
           sqlite3_bind_text64(stmt, 1, name.ptr, name.len, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK &&
           change_step(m->op->eng, stmt) == SQLITE_ROW;
    if (!code)
        code = change_reader_init(&r, strbuf_str(&m->set), err);
    if (code)
        return code;
    while (!code && found && !*ret && !(code = change_table_next(&r, &found, &t, err)) && found)
        *ret = str_eq_nocase(t.name, name);
    change_reader_release(&r);
    return code;
}

static enum err_code check_choice(struct merging *m, const char *at, struct str table, struct err *err)
{
    bool known = false;
    enum err_code code = knows_table(m, table, &known, err);
    if (code || known)
        return code;
    return err_field(err, at, "\"" STR_FMT "\" is no table of the branch or its parent",
        STR_ARG(str_slice(table, 0, 100)));
}

/* A choice for a table that is not there would leave the conflict it was meant for. */
static enum err_code check_choices(struct merging *m, struct err *err)
{
    const struct merge_choices *c = &m->choices;
    enum err_code code = ERR_OK;
    char at[40];
    int n = 0;
    for (const struct jsonr_value *v = c->tables ? jsonr_first(c->tables) : NULL; v && !code;
         v = jsonr_next(v))
        code = check_choice(m, "/resolve/tables", jsonr_name(v), err);
    struct str last = STR_EMPTY;
    for (const struct jsonr_value *v = c->rows ? jsonr_first(c->rows) : NULL; v && !code; v = jsonr_next(v)) {
        struct str table = jsonr_text(jsonr_member(v, S("table")));
        str_print(at, sizeof at, "/resolve/rows/%d/table", n++);
        if (!str_eq(table, last))
            code = check_choice(m, at, table, err);
        last = table;
    }
    return code;
}

/* --- Conflicts --- */

static void begin_conflicts(struct merging *m, struct jsonw *w)
{
    strbuf_reset(&m->told);
    jsonw_init(w, &m->told);
    jsonw_array(w);
}

static enum err_code tell_conflicts(struct merging *m, const struct merge_round *round, struct err *err)
{
    AUTO_STRBUF out;
    struct jsonw w;
    struct op *op = m->op;
    strbuf_init(&out, PLAIN_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", false);
    JSONW_CSTR(&w, "error",
        "Rows were changed in the branch and in its parent, or break a foreign key there; nothing was "
        "merged. "
        "Choose with \"resolve\"; a conflict of kind schema needs the branch's schema to be merged first");
    JSONW_CSTR(&w, "code", "conflict");
    JSONW_TEXT(&w, "requestId", op->call.request_id);
    JSONW_INT(&w, "conflictCount", (int64_t)(round->open + round->unsure));
    jsonw_key(&w, "conflicts");
    jsonw_raw(&w, strbuf_str(&m->told));
    JSONW_BOOL(&w, "truncated", round->told < round->open + round->unsure);
    jsonw_object_end(&w);
    bool failed = strbuf_failed(&out) || strbuf_failed(&m->told);
    op->plain = failed ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&out));
    if (!op->plain.ptr)
        return err_set(err, ERR_TOO_LARGE, "the conflicts are too large to be told: merge single tables");
    op->head.status = 409;
    op->head.code = ERR_CONFLICT;
    op->head.rows_written = 0;
    return ERR_OK;
}

/* One try. *ret_again: what was decided makes another one. */
static enum err_code run_round(struct merging *m, struct rehearsal *r, bool *ret_again, struct err *err)
{
    struct merge_round round;
    struct jsonw w;
    uint64_t conflicts = 0;
    merge_round_init(&round, m->op, &m->choices, strbuf_str(&m->set), strbuf_str(&m->whole));
    begin_conflicts(m, &w);
    round.w = &w;
    round.told_max = CONFLICTS_SHOWN;
    round.bytes_max = CONFLICT_BYTES;
    r->foreign = merge_foreign;
    enum err_code code = rehearsal_run_set(r, strbuf_str(&m->set), merge_conflict, &round, &conflicts, err);
    jsonw_array_end(&w);
    *ret_again = !code && conflicts > 0 && round.open == 0;
    if (!code && round.open > 0)
        code = tell_conflicts(m, &round, err);
    else if (*ret_again)
        code = merge_rewrite(&round, &m->set, &m->whole, err);
    merge_round_release(&round);
    return code;
}

/* What it really does, actions of foreign keys included, is what is shown and done: a set that does itself.
 */
static enum err_code settle(struct merging *m, struct rehearsal *r, bool *ret_again, struct err *err)
{
    uint64_t asked = 0, done = 0;
    enum err_code code = change_set_count(strbuf_str(&m->set), &asked, err);
    if (!code)
        code = change_set_count(strbuf_str(&r->set), &done, err);
    *ret_again = !code && done > asked;
    if (!*ret_again)
        return code;
    code = rehearsal_take_back(r, err);
    strbuf_reset(&m->set);
    strbuf_add_str(&m->set, strbuf_str(&r->set));
    return code;
}

/* --- The end --- */

static void write_tables(struct jsonw *w, struct str set)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    jsonw_key(w, "tables");
    jsonw_array(w);
    enum err_code code = change_reader_init(&r, set, NULL);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, NULL); /* it is this process's own */
        if (code || !found)
            break;
        jsonw_object(w);
        JSONW_TEXT(w, "table", t.name);
        JSONW_INT(w, "rows", (int64_t)t.row_count);
        jsonw_object_end(w);
    }
    change_reader_release(&r);
    jsonw_array_end(w);
}

static void write_done(struct merging *m, const struct proposal *p, struct str set, int64_t rows)
{
    AUTO_STRBUF hash;
    struct jsonw *w = m->op->w;
    strbuf_init(&hash, 100);
    strbuf_add_cstr(&hash, "sha256:");
    if (p)
        enc_hex(&hash, p->hash);
    jsonw_object(w);
    JSONW_TEXT(w, "branchRef", m->branch);
    JSONW_CSTR(w, "mode", "data");
    jsonw_key(w, "applied");
    jsonw_array(w);
    jsonw_array_end(w);
    JSONW_INT(w, "rows", rows);
    write_tables(w, set);
    JSONW_TEXT_OR_NULL(w, "proposalId", p ? p->id : ((struct str){NULL, 0}));
    JSONW_CSTR(w, "hash", p ? strbuf_cstr(&hash) : NULL);
    jsonw_object_end(w);
    m->op->head.rows_written = (uint64_t)rows;
}

static enum err_code keep(struct merging *m, struct rehearsal *r, struct err *err)
{
    struct op *op = m->op;
    struct proposal p = {.approval = {NULL, 0}, .idempotency_key = {NULL, 0}};
    enum err_code code = rehearsal_hash(r, err);
    if (!code)
        code = rehearsal_keep(r, err);
    if (!code)
        code = propose_store_applied(op, &m->in, r, &p, err);
    if (!code)
        code = proposals_touch(op, &r->recorder, err);
    op->proposal = p.id;
    op->undo_until_ms = p.no_undo.ptr ? 0 : clock_wall_ms() + proposals_kept_ms(op->eng);
    if (!code)
        write_done(m, &p, strbuf_str(&r->set), r->affected);
    return code;
}

static enum err_code show(struct merging *m, struct rehearsal *r, bool held, struct err *err)
{
    enum err_code code = rehearsal_take_back(r, err);
    if (!code)
        code = rehearsal_hash(r, err);
    m->op->head.rows_written = 0;
    m->op->destroys = STR_EMPTY; /* nothing is until it is applied */
    if (code)
        return code;
    return held ? propose_hold(m->op, &m->in, r, &m->in.verdict, err)
                : propose_rehearsed(m->op, &m->in, r, m->op->w, err);
}

static enum err_code finish(struct merging *m, struct rehearsal *r, struct err *err)
{
    const struct verdict *v = &m->in.verdict;
    if (r->affected == 0 && !m->only_shown) {
        write_done(m, NULL, strbuf_str(&r->set), 0);
        return rehearsal_take_back(r, err);
    }
    enum err_code code = propose_judge(m->op, &m->in, r, err);
    if (!code && !m->only_shown && (v->action == RULE_DENY || v->wants_reason))
        return rules_refuse(m->op, v, err);
    if (code)
        return code;
    bool held = !m->only_shown && v->action == RULE_REQUIRE_APPROVAL;
    return m->only_shown || held ? show(m, r, held, err) : keep(m, r, err);
}

static enum err_code run(struct merging *m, struct err *err)
{
    bool again = true;
    enum err_code code = ERR_OK;
    for (int i = 0; again && !code; i++) {
        struct rehearsal r;
        if (i == ROUNDS)
            return err_set(err, ERR_CONFLICT,
                "What was chosen leads to new conflicts each time; nothing was merged. Merge single tables");
        rehearsal_init(&r, m->op, clock_wall_ms(), 0);
        destruction_set_begin(m->op);
        code = run_round(m, &r, &again, err);
        bool done = !code && !again && !m->op->plain.ptr;
        if (done)
            code = settle(m, &r, &again, err);
        destruction_set_end(m->op, done && !code && !again && !m->only_shown);
        if (done && !code && !again)
            code = index_follow(&r, strbuf_str(&r.set), true, err);
        if (done && !code && !again)
            code = finish(m, &r, err);
        rehearsal_release(&r);
    }
    return code;
}

enum err_code op_run_MERGE(struct op *op, struct err *err)
{
    struct merging m = {.op = op};
    bool held = false;
    struct strbuf *buffers[] = {&m.set, &m.whole, &m.told};
    if (!proposal_sees_all(op))
        return err_set(err, ERR_FORBIDDEN,
            "This writes rows of all tables: it needs a token with the role admin, without table scope and "
            "claims");
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        strbuf_init(buffers[i], 2 * (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = read_body(&m, err);
    if (!code)
        code = held_before(op, &held, err);
    if (!code && !held)
        code = read_set(&m, err);
    if (!code && !held)
        code = check_choices(&m, err);
    op->about = arena_printf(op->arena, "-- merges branch " STR_FMT, STR_ARG(m.branch));
    if (!code && !held)
        code = run(&m, err);
    for (size_t i = 0; i < ARRAY_LEN(buffers); i++)
        strbuf_release(buffers[i]);
    return code;
}
