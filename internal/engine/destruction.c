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

enum { TABLES = 32 }; /* rows of more count for the whole call alone */

struct tally_table {
    struct str name;
    const char *deed; /* of a statement that named it, NULL none: a trigger or a cascade */
    int64_t removed, updated, inserted, at_once; /* at_once: removed or updated by one statement */
};

struct tally_state {
    size_t count, last;
    struct tally_table tables[TABLES];
    int64_t rows;
};

struct tally {
    struct arena *arena;
    struct tally_state now, before; /* before: the statement that runs */
    bool hides;                     /* under policies nobody learns how many rows are hidden */
};

static struct tally_table *tally_of(struct tally *t, struct str name)
{
    struct tally_state *s = &t->now;
    if (s->last < s->count && str_eq(s->tables[s->last].name, name))
        return &s->tables[s->last];
    for (s->last = 0; s->last < s->count; s->last++) {
        if (str_eq(s->tables[s->last].name, name))
            return &s->tables[s->last];
    }
    struct str copy = s->count < TABLES ? arena_copy(t->arena, name) : STR_EMPTY;
    if (!copy.len)
        return NULL;
    s->tables[s->count] = (struct tally_table){.name = copy};
    return &s->tables[s->count++];
}

static void tally_count(struct tally *t, int change, struct str name, int64_t rows)
{
    struct tally_table *table = tally_of(t, name);
    if (!table)
        return;
    table->removed += change == SQLITE_DELETE ? rows : 0;
    table->updated += change == SQLITE_UPDATE ? rows : 0;
    table->inserted += change == SQLITE_INSERT ? rows : 0;
}

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

void destruction_count(struct engine *eng, int change, const char *table, int64_t rows)
{
    struct str name = str_of(table);
    if ((change == SQLITE_INSERT && !eng->tally) || guard_name_reserved(name))
        return;
    bool inner = may_be_inner(name);
    if (eng->tally && !inner)
        tally_count(eng->tally, change, name, rows);
    eng->destroyed_inner += inner && change != SQLITE_INSERT ? rows : 0;
    eng->destroyed += !inner && change != SQLITE_INSERT ? rows : 0;
}

static void on_change(void *arg, sqlite3 *db, int change, const char *schema, const char *table,
    sqlite3_int64 before, sqlite3_int64 after)
{
    (void)db;
    (void)before;
    (void)after;
    if (schema[0] == 'm')
        destruction_count(arg, change, table, 1);
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
    bool writes = g->loses[0] || (g->acts & GUARD_TRIGGERS_DELETE);
    if (!drops && (sql_verb_changes_schema(c->verb) || !writes))
        return;
    c->destroys = mem_strdup(g->loses); /* "": its triggers alone remove rows */
    c->unbounded = !(g->acts & GUARD_INSERTS) && !has_where(c->sql);
}

/* Rows of the table, at most so many; `unread` where it cannot be read. */
static int64_t count_up_to(struct op *op, const char *table, int64_t most, int64_t unread)
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
    return code ? unread : rows;
}

static void begin_tally(struct op *op)
{
    if (!op->tally && (op->tally = arena_alloc(op->arena, sizeof *op->tally)))
        op->tally->arena = op->arena;
    if (op->tally)
        op->tally->before = op->tally->now;
    op->eng->tally = op->tally;
}

void destruction_begin(struct op *op, const struct cached *c, struct destruction *ret)
{
    struct engine *eng = op->eng;
    *ret = (struct destruction){.rows_before = eng->destroyed, .inner_before = eng->destroyed_inner};
    if (!c->destroys || op->call.snapshot == WIRE_SNAPSHOT_NEVER)
        return;
    if (c->acts & (GUARD_DROPS_TABLE | GUARD_DROPS_COLUMN)) {
        ret->has_rows = count_up_to(op, c->destroys, 1, 1) > 0;
        return;
    }
    begin_tally(op);
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
    int64_t left = count_up_to(op, c->destroys, most, most);
    return left < most && left + (removes ? rows : 0) >= least;
}

static bool is_much(struct op *op, const struct cached *c, int64_t rows, int64_t own)
{
    int64_t few = c->acts & GUARD_UPDATES ? 1 : 0;
    return rows > LIMIT_DESTROYED_ROWS || (c->unbounded && own > few) || is_large_share(op, c, own);
}

/* What the hook is not told of: tables that are emptied at one stroke, virtual ones. */
static void tally_own(struct tally *t, const struct cached *c, int64_t own)
{
    struct tally_table *table = c->destroys[0] ? tally_of(t, str_of(c->destroys)) : NULL;
    if (!table)
        return;
    size_t i = (size_t)(table - t->now.tables);
    int64_t seen = table->removed + table->updated;
    if (i < t->before.count)
        seen -= t->before.tables[i].removed + t->before.tables[i].updated;
    table->deed = deed(c);
    if (own <= seen || (c->acts & GUARD_INSERTS))
        return;
    if (c->acts & GUARD_UPDATES)
        table->updated += own - seen;
    else
        table->removed += own - seen;
}

/* Returns how many rows the statement removed. */
static int64_t tally_statement(struct tally *t)
{
    int64_t removed = 0;
    for (size_t i = 0; i < t->now.count; i++) {
        struct tally_table *table = &t->now.tables[i], was = {.removed = 0};
        if (i < t->before.count)
            was = t->before.tables[i];
        int64_t gone = table->removed - was.removed, rows = gone + table->updated - was.updated;
        table->at_once = rows > table->at_once ? rows : table->at_once;
        removed += gone;
    }
    return removed;
}

/* Returns the rows of the call so far. */
static int64_t add_to_call(struct tally *t, const struct cached *c, int64_t rows, int64_t own, bool hides)
{
    tally_own(t, c, own);
    int64_t removed = tally_statement(t);
    t->now.rows += c->destroys[0] ? rows : removed; /* that new rows are filled in by a trigger is no loss */
    t->hides |= hides;
    return t->now.rows;
}

/* Of the whole call: was the table emptied, were all of its rows overwritten by one statement, or is it the
 * larger part of a table that is not small? */
static bool is_gone(struct op *op, const struct tally_table *t)
{
    int64_t gone = t->removed + t->updated, most = gone * 2 + t->inserted + 1;
    if (gone < 2)
        return false;
    int64_t left = count_up_to(op, t->name.ptr, most, 0);
    int64_t before = left + t->removed - t->inserted;
    if (left >= most || before < 2)
        return false;
    return (left == 0 && t->removed > 1) || t->at_once >= before ||
           (before >= LIMIT_DESTROYED_TABLE_ROWS && gone * 2 > before);
}

static void judge_tables(struct op *op)
{
    const struct tally *tally = op->tally;
    if (!tally || tally->hides)
        return;
    for (size_t i = 0; i < tally->now.count && !op->destroys.len; i++) {
        const struct tally_table *t = &tally->now.tables[i];
        const char *what = t->deed ? t->deed : t->removed ? "DELETE from" : "UPDATE of";
        if (is_gone(op, t))
            op->destroys = label_of(op, what, t->name.ptr);
    }
}

void destruction_end(struct op *op, const struct cached *c, const struct destruction *d, int64_t changes)
{
    struct engine *eng = op->eng;
    if (d->hooked)
        (void)sqlite3_preupdate_hook(eng->db, NULL, NULL); /* returns the argument of the hook before */
    if (changes >= 0)
        op->drops |= d->has_rows;
    eng->tally = NULL;
    if (!c->destroys || op->call.snapshot == WIRE_SNAPSHOT_NEVER)
        return;
    if (changes < 0) {
        if (op->tally)
            op->tally->now = op->tally->before;
        return;
    }
    int64_t rows = eng->destroyed - d->rows_before, inner = eng->destroyed_inner - d->inner_before;
    if (inner > 0 && guard_learn_scope(eng) == SQLITE_OK && eng->guard.fts5.count == 0)
        rows += inner;
    int64_t own = !c->destroys[0] ? 0 : c->acts & GUARD_INSERTS ? rows : changes;
    rows = rows > own ? rows : own;
    if (op->tally && !(c->acts & (GUARD_DROPS_TABLE | GUARD_DROPS_COLUMN)))
        rows = add_to_call(op->tally, c, rows, own, eng->guard.rowsec != NULL);
    if (op->destroys.len)
        return;
    if (d->has_rows || (rows > 0 && is_much(op, c, rows, own)))
        op->destroys = label_of(op, c->destroys[0] ? deed(c) : "a write", c->destroys);
}

void destruction_of_set(struct op *op, int64_t rows)
{
    if (rows > LIMIT_DESTROYED_ROWS && !op->destroys.len)
        op->destroys = label_of(op, "a change set", "");
}

void destruction_set_begin(struct op *op)
{
    if (op->call.snapshot != WIRE_SNAPSHOT_NEVER)
        begin_tally(op); /* the recorder's hook counts */
}

void destruction_set_end(struct op *op, bool done)
{
    struct tally *t = op->eng->tally;
    op->eng->tally = NULL;
    if (!t)
        return;
    if (done)
        (void)tally_statement(t);
    else
        t->now = t->before;
    t->hides |= op->eng->guard.rowsec != NULL;
}

void destruction_of_schema(struct op *op, const char *what, const char *table)
{
    if (op->call.snapshot == WIRE_SNAPSHOT_NEVER || count_up_to(op, table, 1, 1) == 0)
        return;
    op->drops = true;
    if (!op->destroys.len)
        op->destroys = label_of(op, what, table);
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

enum err_code destruction_ask(struct task *t, struct err *err)
{
    t->keep_effects = false;
    t->asks_snapshot = true;
    t->op.error_detail = STR_EMPTY;
    t->op.statement_index = -1;
    return err_set(err, ERR_UNAVAILABLE, "a snapshot has to be made before this write; try again");
}

enum err_code destruction_check(struct task *t, struct err *err)
{
    struct op *op = &t->op;
    if (sqlite3_get_autocommit(op->eng->db) || !is_done(op))
        return ERR_OK;
    judge_tables(op);
    if (op->call.snapshot == WIRE_SNAPSHOT_ASK && op->destroys.len)
        return destruction_ask(t, err);
    if (op->call.snapshot == WIRE_SNAPSHOT_MADE)
        op->snapshot = snapshot_json(op);
    return op->snapshot.len && op->proposal.len ? note_with_proposal(op, err) : ERR_OK;
}
