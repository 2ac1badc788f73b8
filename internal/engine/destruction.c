/* Counting what statements destroy. */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares it */
#include "engine/destruction.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/task.h"

/* --- Counting --- */

/* Inner tables of full-text indexes are written to in ways of their own. A user's table can have such a name
 * too, so these are counted apart. */
static bool may_be_inner(struct str table)
{
    static const char *const ENDS[] = {"_data", "_idx", "_content", "_docsize", "_config"};
    bool inner = false;
    for (size_t i = 0; i < ARRAY_LEN(ENDS); i++)
        inner |= str_ends(table, str_of(ENDS[i]));
    return inner;
}

void destruction_count(struct engine *eng, int change, const char *table)
{
    if (change == SQLITE_INSERT || guard_name_reserved(str_of(table)))
        return;
    if (may_be_inner(str_of(table)))
        eng->destroyed_inner++;
    else
        eng->destroyed++;
}

static void on_change(void *arg, sqlite3 *db, int change, const char *schema, const char *table,
    sqlite3_int64 before, sqlite3_int64 after)
{
    (void)db;
    (void)before;
    (void)after;
    if (schema[0] == 'm')
        destruction_count(arg, change, table);
}

static bool has_where(struct str sql)
{
    struct str word;
    while (sql_next_word(&sql, &word))
        if (str_eq_nocase(word, S("where")) || str_eq_nocase(word, S("limit")))
            return true;
    return false;
}

void destruction_learn(const struct guard *g, struct cached *c)
{
    bool drops = g->acts & (GUARD_DROPS_TABLE | GUARD_DROPS_COLUMN);
    c->acts = g->acts;
    if (!drops && (sql_verb_changes_schema(c->verb) || !g->loses[0]))
        return;
    c->destroys = mem_strdup(g->loses);
    c->unbounded = !(g->acts & GUARD_INSERTS) && !has_where(c->sql);
}

/* Rows of the table, at most so many. One that cannot be read counts as full. */
static int64_t count_up_to(struct op *op, const char *table, int64_t most)
{
    struct err ignored = ERR_INIT;
    struct str detail = op->error_detail;
    AUTO_SQL *stmt = NULL;
    int64_t rows = 0;
    char *sql = sqlite3_mprintf("SELECT 1 FROM main.\"%w\"", table);
    enum err_code code = sql ? op_prepare_internal(op, sql, &stmt, &ignored) : ERR_TOO_LARGE;
    struct guard_saved saved = guard_enter_own(&op->eng->guard);
    while (!code && rows < most && sqlite3_step(stmt) == SQLITE_ROW)
        rows++;
    guard_leave(&op->eng->guard, saved);
    sqlite3_free(sql);
    op->error_detail = detail;
    return code ? most : rows;
}

void destruction_begin(struct op *op, const struct cached *c, struct destruction *ret)
{
    struct engine *eng = op->eng;
    *ret = (struct destruction){.rows_before = eng->destroyed, .inner_before = eng->destroyed_inner};
    if (!c->destroys || op->call.snapshot == WIRE_SNAPSHOT_NEVER)
        return;
    if (c->acts & (GUARD_DROPS_TABLE | GUARD_DROPS_COLUMN)) {
        ret->has_rows = count_up_to(op, c->destroys, 1) > 0;
        return;
    }
    if (eng->recorders == 0) {
        (void)sqlite3_preupdate_hook(eng->db, on_change, eng); /* there is none: so it is here */
        ret->hooked = true;
    }
}

/* --- Judging --- */

static const char *deed(const struct cached *c)
{
    if (c->acts & GUARD_DROPS_TABLE)
        return "DROP TABLE";
    if (c->acts & GUARD_DROPS_COLUMN)
        return "DROP COLUMN of";
    if (c->acts & GUARD_INSERTS)
        return "INSERT into";
    return c->acts & GUARD_UPDATES ? "UPDATE of" : "DELETE from";
}

/* Whoever shows a label need not expect control characters in it. */
static struct str label_of(struct op *op, const char *what, const char *table)
{
    enum { LABEL_BYTES = 76 }; /* of at most 80 characters */
    char text[LABEL_BYTES];
    str_print_cut(text, sizeof text, "before %s%s%s", what, table[0] ? " " : "", table);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    struct str whole = str_of(text);
    struct str copy = arena_copy(op->arena, str_slice(whole, 0, utf8_cut(whole, whole.len)));
    return copy.ptr ? copy : S("before a write");
}

/* Rows of the statement's own table, against all there were. Under policies nobody learns how many rows are
 * hidden. */
static bool is_large_share(struct op *op, const struct cached *c, int64_t rows)
{
    int64_t least = LIMIT_DESTROYED_TABLE_ROWS;
    if (rows * 2 <= least || rows > LIMIT_DESTROYED_ROWS || op->eng->guard.rowsec)
        return false;
    bool removes = !(c->acts & (GUARD_INSERTS | GUARD_UPDATES));
    int64_t most = removes ? rows : rows * 2;
    int64_t left = count_up_to(op, c->destroys, most);
    return left < most && left + (removes ? rows : 0) >= least;
}

static bool is_much(struct op *op, const struct cached *c, int64_t rows, int64_t own)
{
    int64_t few = c->acts & GUARD_UPDATES ? 1 : 0;
    return rows > LIMIT_DESTROYED_ROWS || (c->unbounded && own > few) || is_large_share(op, c, own);
}

void destruction_end(struct op *op, const struct cached *c, const struct destruction *d, int64_t changes)
{
    struct engine *eng = op->eng;
    if (d->hooked)
        (void)sqlite3_preupdate_hook(eng->db, NULL, NULL); /* returns the argument of the hook before */
    if (changes >= 0)
        op->drops |= d->has_rows;
    if (changes < 0 || op->destroys.len || !c->destroys || op->call.snapshot == WIRE_SNAPSHOT_NEVER)
        return;
    int64_t rows = eng->destroyed - d->rows_before, inner = eng->destroyed_inner - d->inner_before;
    if (inner > 0 && guard_learn_scope(eng) == SQLITE_OK && eng->guard.fts5.count == 0)
        rows += inner;
    int64_t own = c->acts & GUARD_INSERTS ? rows : changes;
    rows = rows > own ? rows : own;
    if (d->has_rows || (rows > 0 && is_much(op, c, rows, own)))
        op->destroys = label_of(op, deed(c), c->destroys);
}

void destruction_of_set(struct op *op, int64_t rows)
{
    if (rows > LIMIT_DESTROYED_ROWS && !op->destroys.len)
        op->destroys = label_of(op, "a change set", "");
}

/* --- The call --- */

static struct str snapshot_json(struct op *op)
{
    struct strbuf text;
    struct jsonw w;
    strbuf_init(&text, 4096);
    jsonw_init(&w, &text);
    jsonw_object(&w);
    JSONW_TEXT(&w, "id", op->call.snapshot_id);
    JSONW_TEXT(&w, "label", op->call.snapshot_label);
    jsonw_object_end(&w);
    struct str json = strbuf_failed(&text) ? STR_EMPTY : arena_copy(op->arena, strbuf_str(&text));
    strbuf_release(&text);
    return json;
}

static enum err_code note_with_proposal(struct op *op, struct err *err)
{
    sqlite3_stmt *stmt = own_get(op->eng, OWN_PROPOSAL_SNAPSHOT);
    int rc = stmt ? SQLITE_OK : sqlite3_extended_errcode(op->eng->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text64(stmt, 1, op->proposal.ptr, op->proposal.len, SQLITE_STATIC, SQLITE_UTF8);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text64(
            stmt, 2, op->call.snapshot_id.ptr, op->call.snapshot_id.len, SQLITE_STATIC, SQLITE_UTF8);
    if (rc == SQLITE_OK)
        rc = own_step(op->eng, stmt);
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    return rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

/* What is held or answered otherwise was not done. */
static bool is_done(const struct op *op)
{
    return !op->head.held && (op->head.status == 0 || op->head.status < 300);
}

enum err_code destruction_check(struct task *t, struct err *err)
{
    struct op *op = &t->op;
    if (sqlite3_get_autocommit(op->eng->db) || !is_done(op))
        return ERR_OK;
    if (op->call.snapshot == WIRE_SNAPSHOT_ASK && op->destroys.len) {
        t->keep_effects = false;
        t->asks_snapshot = true;
        op->error_detail = STR_EMPTY;
        op->statement_index = -1;
        return err_set(err, ERR_UNAVAILABLE, "a snapshot has to be made before this write; try again");
    }
    if (op->call.snapshot == WIRE_SNAPSHOT_MADE)
        op->snapshot = snapshot_json(op);
    return op->snapshot.len && op->proposal.len ? note_with_proposal(op, err) : ERR_OK;
}
