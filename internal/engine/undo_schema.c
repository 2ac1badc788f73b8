/* Rehearsing to take a change of the schema back.
 *
 * Body: as of every undo, but without "tables" and "rows"; "loseRows"?: true: also when tables that it made
 * hold rows that were inserted since. data: a proposal; "flags" has "undo": {"snapshot": {"id","label"}|null,
 * "statements": [SQL in its order], "lost": [{"table", "column"?, "rows"?, "why"}], "counters": [{"table",
 * "value"}]}. 409 drift: its "drift"
 * has "objects": [{"type","name","expected","now"}] or "tables": [{"table","rows"}]. 409 restore_needed when
 * it cannot be done: "restore": {"snapshotId","at","loses"}|null, the state of all tables before the write.
 */
#include "engine/undo_schema.h"
#include "base/clock.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "engine/change_table.h"
#include "engine/drift.h"
#include "engine/engine_state.h"
#include "engine/fts5_decl.h"
#include "engine/task.h"
#include "json/jsonr.h"

enum { TOLD_MAX = 1 << 20 };

bool schema_undo_concerns(const struct proposal *p)
{
    return p->schema_diff.len > S("[]").len;
}

/* --- The difference --- */

static struct str text_of(const struct jsonr_value *v, const char *name)
{
    const struct jsonr_value *m = jsonr_member(v, str_of(name));
    return m && jsonr_kind(m) == JSONR_TEXT ? jsonr_text(m) : (struct str){NULL, 0};
}

/* A table that took the place of another: the one was made, the other removed. */
static void read_replaced(struct schema_undo *s, struct schema_undo_change *made)
{
    struct schema_undo_change *gone = ARENA_NEW(s->op->arena, struct schema_undo_change);
    *gone = *made;
    gone->what = SCHEMA_REMOVED;
    gone->sql = (struct str){NULL, 0};
    made->what = SCHEMA_ADDED;
    made->before = (struct str){NULL, 0};
    made->rows = -1;
    made->next = gone;
}

static void read_change(struct schema_undo *s, const struct jsonr_value *v)
{
    struct schema_undo_change *c = ARENA_NEW(s->op->arena, struct schema_undo_change), **end = &s->changes;
    struct str what = text_of(v, "change");
    const struct jsonr_value *rows = jsonr_member(v, S("rows"));
    *c = (struct schema_undo_change){.type = text_of(v, "type"),
        .name = text_of(v, "name"),
        .table = text_of(v, "table"),
        .sql = text_of(v, "sql"),
        .before = text_of(v, "before"),
        .rows = rows && jsonr_kind(rows) == JSONR_INT ? jsonr_int(rows) : -1};
    c->what = str_eq(what, S("added"))     ? SCHEMA_ADDED
              : str_eq(what, S("removed")) ? SCHEMA_REMOVED
                                           : SCHEMA_CHANGED;
    c->replaced = jsonr_member(v, S("replaced")) != NULL;
    c->renamed = text_of(v, c->what == SCHEMA_REMOVED ? "renamedTo" : "renamedFrom");
    while (*end)
        end = &(*end)->next;
    *end = c;
    if (c->replaced && c->what == SCHEMA_CHANGED)
        read_replaced(s, c);
}

static enum err_code read_changes(struct schema_undo *s, struct err *err)
{
    const struct jsonr_value *list;
    enum err_code code = jsonr_parse(s->op->arena, s->of->schema_diff, &list, err);
    for (const struct jsonr_value *v = code ? NULL : jsonr_first(list); v; v = jsonr_next(v))
        read_change(s, v);
    return code;
}

/* --- Drift --- */

static const struct schema_object *object_called(const struct schema_undo *s, struct str name)
{
    const struct schema_object *o = s->now;
    while (o && !(str_eq_nocase(o->name, name) && !str_eq(o->type, S("trigger"))))
        o = o->next;
    return o;
}

static bool stands(struct schema_undo *s, struct schema_undo_change *c)
{
    struct schema_object like = {.type = c->type, .name = c->name};
    c->now = schema_find_named(s->now, &like);
    if (c->what == SCHEMA_REMOVED && c->replaced) /* what stands there is looked at with what was made */
        return true;
    if (c->what != SCHEMA_REMOVED)
        return c->now && str_eq(c->now->sql, c->sql);
    if (!c->now && !str_eq(c->type, S("trigger")))
        c->now = object_called(s, c->name); /* another kind of object with this name */
    return !c->now;
}

/* What hangs on a table that goes, and came after it. */
static const struct schema_object *hangs_on(const struct schema_undo *s, const struct schema_object *o)
{
    bool part = str_eq(o->type, S("index")) || str_eq(o->type, S("trigger"));
    const struct schema_undo_change *t = part ? schema_undo_find(s, S("table"), o->table) : NULL;
    bool goes = t && t->what == SCHEMA_ADDED && !t->renamed.ptr && !t->replaced;
    return goes && !schema_undo_find(s, o->type, o->name) ? o : NULL;
}

static void open_objects(struct drift *d)
{
    if (d->told)
        return;
    d->told = true;
    jsonw_key(&d->w, "drift");
    jsonw_object(&d->w);
    jsonw_key(&d->w, "objects");
    jsonw_array(&d->w);
}

static void tell_object(
    struct drift *d, struct str type, struct str name, struct str expected, struct str now)
{
    open_objects(d);
    jsonw_object(&d->w);
    JSONW_TEXT(&d->w, "type", type);
    JSONW_TEXT(&d->w, "name", name);
    JSONW_TEXT_OR_NULL(&d->w, "expected", expected);
    JSONW_TEXT_OR_NULL(&d->w, "now", now);
    jsonw_object_end(&d->w);
}

static void close_drift(struct drift *d, bool objects)
{
    jsonw_array_end(&d->w);
    if (objects) {
        jsonw_key(&d->w, "rows");
        jsonw_array(&d->w);
        jsonw_array_end(&d->w);
        JSONW_BOOL(&d->w, "truncated", false);
    }
    jsonw_object_end(&d->w);
}

static void tell_referring(void *arg, const struct schema_object *o)
{
    tell_object(arg, o->type, o->name, (struct str){NULL, 0}, o->sql);
}

/* Tables that refer to one that goes. */
static enum err_code check_referring(struct schema_undo *s, struct drift *d, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (c->what == SCHEMA_ADDED && schema_undo_is_table(c) && !c->renamed.ptr && !c->replaced)
            code = schema_undo_each_referring(s, c, tell_referring, d, err);
    }
    return code;
}

static enum err_code check_objects(struct schema_undo *s, bool *ret_drifted, struct err *err)
{
    static const struct str NONE = {NULL, 0};
    struct drift d;
    enum err_code code = ERR_OK;
    drift_begin(&d, s->op, s->of,
        "The schema is no longer as the write left it, or other tables refer to what would go; nothing was "
        "changed");
    for (struct schema_undo_change *c = s->changes; c; c = c->next) {
        if (!stands(s, c))
            tell_object(
                &d, c->type, c->name, c->what == SCHEMA_REMOVED ? NONE : c->sql, c->now ? c->now->sql : NONE);
    }
    for (const struct schema_object *o = s->now; o; o = o->next) {
        if (hangs_on(s, o))
            tell_object(&d, o->type, o->name, NONE, o->sql);
    }
    code = check_referring(s, &d, err);
    *ret_drifted = !code && d.told;
    if (*ret_drifted) {
        close_drift(&d, true);
        code = drift_end(&d, err);
    }
    drift_release(&d);
    return code;
}

/* --- Beginning --- */

enum err_code schema_undo_read(
    struct schema_undo *s, struct op *op, const struct proposal *of, struct err *err)
{
    *s = (struct schema_undo){.op = op, .of = of};
    recorder_init(&s->columns, op->eng, RECORDER_KEYS);
    strbuf_init(&s->steps, TOLD_MAX);
    strbuf_init(&s->lost, TOLD_MAX);
    jsonw_init(&s->steps_w, &s->steps);
    jsonw_init(&s->lost_w, &s->lost);
    jsonw_array(&s->steps_w);
    jsonw_array(&s->lost_w);
    return read_changes(s, err);
}

enum err_code schema_undo_begin(
    struct schema_undo *s, struct op *op, const struct proposal *of, bool *ret_drifted, struct err *err)
{
    *ret_drifted = false;
    enum err_code code = schema_undo_read(s, op, of, err);
    if (!code)
        code = schema_objects(op, &s->now, err);
    if (!code)
        code = check_objects(s, ret_drifted, err);
    if (!code && !*ret_drifted)
        code = schema_undo_open_tables(s, true, &s->old, err);
    return code || *ret_drifted ? code : schema_undo_compare(s, NULL, err);
}

enum err_code schema_undo_read_counters(struct schema_undo *s, struct str flags, struct err *err)
{
    const struct jsonr_value *root;
    enum err_code code = jsonr_parse(s->op->arena, flags, &root, err);
    const struct jsonr_value *undo = code ? NULL : jsonr_member(root, S("undo"));
    const struct jsonr_value *list = undo ? jsonr_member(undo, S("counters")) : NULL;
    for (const struct jsonr_value *v = list ? jsonr_first(list) : NULL; v; v = jsonr_next(v)) {
        struct schema_undo_counter *c = ARENA_NEW(s->op->arena, struct schema_undo_counter);
        *c = (struct schema_undo_counter){
            s->counters, text_of(v, "table"), jsonr_int(jsonr_member(v, S("value")))};
        s->counters = c;
    }
    return code;
}

void schema_undo_release(struct schema_undo *s)
{
    for (struct schema_undo_set *set = s->sets; set; set = set->next)
        strbuf_release(&set->set);
    if (s->has_from)
        copy_source_release(&s->from);
    recorder_release(&s->columns);
    (void)sqlite3_close(s->old); /* every statement is gone */
    strbuf_release(&s->steps);
    strbuf_release(&s->lost);
}

/* --- What is lost --- */

static uint64_t inserted_into(struct str set, struct str table)
{
    struct change_reader r;
    struct change_table_view t;
    struct change_row row;
    bool found = true, more;
    uint64_t count = 0;
    enum err_code code = change_reader_init(&r, set, NULL);
    while (!code && !(code = change_table_next(&r, &found, &t, NULL)) && found) {
        struct str rest = t.rows;
        while (
            !code && str_eq(t.name, table) && !(code = change_row_next(&t, &rest, &more, &row, NULL)) && more)
            count += row.op == CHANGE_INSERT;
    }
    change_reader_release(&r);
    return count;
}

static void tell_lost(
    struct schema_undo *s, struct str table, struct str column, int64_t rows, const char *why)
{
    struct jsonw *w = &s->lost_w;
    jsonw_object(w);
    JSONW_TEXT(w, "table", table);
    if (column.ptr)
        JSONW_TEXT(w, "column", column);
    if (rows >= 0)
        JSONW_INT(w, "rows", rows);
    JSONW_CSTR(w, "why", why);
    jsonw_object_end(w);
}

static bool keeps_rows(struct schema_undo *s, const struct schema_undo_change *c)
{
    struct fts5_decl d;
    return !str_starts_nocase(c->sql, S("CREATE VIRTUAL")) ||
           (fts5_decl_read(s->op->arena, c->sql, &d) && d.content == FTS5_OWN);
}

static enum err_code lose_tables(struct schema_undo *s, struct rehearsal *r, struct drift *d, struct err *err)
{
    AUTO_STRBUF set;
    strbuf_init(&set, 64 << 20);
    enum err_code code = proposal_set(s->op, s->of, &set, err);
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        struct schema_rows *gone;
        if (c->what != SCHEMA_ADDED || !schema_undo_is_table(c) || c->renamed.ptr)
            continue;
        gone = ARENA_NEW(s->op->arena, struct schema_rows);
        *gone = (struct schema_rows){.next = r->removed, .table = c->name};
        r->removed = gone;
        gone->rows = 0;
        if (keeps_rows(s, c))
            code = schema_count_rows(s->op, c->name, &gone->rows, err);
        /* which of them were changed since is not known of a table that was filled under another name */
        int64_t own = c->replaced ? 0 : (int64_t)inserted_into(strbuf_str(&set), c->name);
        if (code || gone->rows <= own)
            continue;
        tell_lost(s, c->name, (struct str){NULL, 0}, gone->rows - own,
            c->replaced ? "it took the place of another, whose rows come back: its own go, with what was "
                          "written to them since"
                        : "inserted since");
        open_objects(d);
        jsonw_object(&d->w);
        JSONW_TEXT(&d->w, "type", c->type);
        JSONW_TEXT(&d->w, "name", c->name);
        JSONW_INT(&d->w, c->replaced ? "rows" : "rowsSince", gone->rows - own);
        jsonw_object_end(&d->w);
    }
    return code;
}

static void lose_columns_of(struct schema_undo *s, const struct schema_undo_change *c, int64_t rows)
{
    for (const struct schema_undo_column *k = c->gone; k; k = k->next)
        tell_lost(s, c->name, k->name, rows, "the column goes with its values");
    for (const struct schema_undo_column *k = c->back; k; k = k->next)
        tell_lost(s, c->name, k->name, -1,
            s->has_from ? "rows inserted since have no value in it: NULL, or its default; one with the key, "
                          "or row id, of a row that is gone gets that one's value"
                        : "no snapshot holds its values: NULL, or its default");
}

static enum err_code lose_columns(struct schema_undo *s, struct err *err)
{
    int64_t rows;
    enum err_code code = ERR_OK;
    for (const struct schema_undo_change *c = s->changes; c && !code; c = c->next) {
        if (c->what != SCHEMA_CHANGED || !schema_undo_is_table(c))
            continue;
        code = schema_count_rows(s->op, c->name, &rows, err);
        if (!code && rows > 0)
            lose_columns_of(s, c, rows);
    }
    return code;
}

/* *ret_refused: rows would be lost that nobody gave away, and the answer says so. */
static enum err_code check_lost(
    struct schema_undo *s, struct rehearsal *r, bool may_lose, bool *ret_refused, struct err *err)
{
    struct drift d;
    drift_begin(&d, s->op, s->of,
        "Rows of what it made, which came since or took the place of others, would be lost; nothing was "
        "changed. Send "
        "\"loseRows\": true to take it back with them");
    enum err_code code = lose_tables(s, r, &d, err);
    *ret_refused = !code && d.told && !may_lose;
    if (*ret_refused) {
        close_drift(&d, true);
        code = drift_end(&d, err);
    }
    drift_release(&d);
    return code || *ret_refused ? code : lose_columns(s, err);
}

/* --- The snapshot --- */

static bool wants_snapshot(const struct schema_undo *s)
{
    bool wants = false;
    for (const struct schema_undo_change *c = s->changes; c; c = c->next)
        wants |= schema_undo_is_table(c) && !c->renamed.ptr &&
                 ((c->what == SCHEMA_REMOVED && c->rows != 0) || c->back);
    return wants && s->of->snapshot.ptr;
}

/* The front lays it where this process finds it, and sends the call again. ERR_UNAVAILABLE. */
static enum err_code ask_for_snapshot(struct schema_undo *s, struct err *err)
{
    struct task *t = task_of(s->op);
    t->asks_snapshot = true;
    s->op->lay = s->of->snapshot;
    return err_set(err, ERR_UNAVAILABLE, "the snapshot is needed first");
}

static enum err_code open_snapshot(struct schema_undo *s, struct err *err)
{
    const struct wire_call *call = &s->op->call;
    if (!wants_snapshot(s))
        return ERR_OK;
    if (call->snapshot == WIRE_SNAPSHOT_ASK) /* what it says of one would be the client's */
        return ask_for_snapshot(s, err);
    if (!wire_arg(call, "snapshot").len)
        return err_set(err, ERR_CONFLICT, "the snapshot that was made before it is not kept any more");
    s->has_from = true;
    enum err_code code = copy_source_open(s->op, &s->from, err);
    s->from.path[0] = '\0'; /* the front takes it away: this may come once more, on a copy */
    return code;
}

/* --- When it cannot be done --- */

static enum err_code count_later(
    struct op *op, const struct proposal *p, int64_t since_ms, int64_t *ret, struct err *err)
{
    struct binding b = binding_of(op, OWN_APPLIED_SINCE);
    bind_int(&b, since_ms);
    bind_int(&b, p->seq);
    *ret = binding_step(op, &b) ? sqlite3_column_int64(b.stmt, 0) : 0;
    return binding_end(op, &b, err);
}

static void write_restore(struct jsonw *w, const struct proposal *p, int64_t at_ms, int64_t later)
{
    char iso[CLOCK_ISO_MAX];
    clock_iso(at_ms, iso);
    jsonw_key(w, "restore");
    if (!p->snapshot.ptr) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    JSONW_TEXT(w, "snapshotId", p->snapshot);
    JSONW_CSTR(w, "at", iso);
    jsonw_key(w, "loses");
    jsonw_object(w);
    JSONW_CSTR(w, "since", iso);
    JSONW_INT(w, "proposals", later);
    jsonw_object_end(w);
    jsonw_object_end(w);
}

/* All tables can still be brought back to that moment. Where many snapshots would be made in a moment a write
 * goes with the last one, so the snapshot tells its own time. */
enum err_code schema_undo_tell_restore(
    struct op *op, const struct proposal *p, const char *why, struct err *err)
{
    struct jsonw w;
    AUTO_STRBUF out;
    char text[ERR_MESSAGE_MAX + 200];
    int64_t later, at_ms = p->snapshot.ptr ? id_time_ms(p->snapshot, "snap") : 0;
    enum err_code code = count_later(op, p, at_ms, &later, err);
    str_print_cut(text, sizeof text, "It cannot be taken back by itself: %s. %s", why,
        p->snapshot.ptr ? "Restoring the snapshot takes back everything that was written since, too"
                        : "Change the schema back by hand");
    strbuf_init(&out, 1 << 16);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", false);
    JSONW_CSTR(&w, "error", text);
    JSONW_CSTR(&w, "code", "restore_needed");
    JSONW_TEXT(&w, "proposalId", p->id);
    JSONW_TEXT(&w, "requestId", op->call.request_id);
    write_restore(&w, p, at_ms, later);
    jsonw_object_end(&w);
    op->plain = strbuf_failed(&out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&out));
    op->head.status = 409;
    op->head.code = ERR_CONFLICT;
    op->head.rows_written = 0;
    return code || op->plain.ptr ? code : err_set(err, ERR_TOO_LARGE, "the answer is too large");
}

/* --- Proposing --- */

static struct str told(struct schema_undo *s)
{
    AUTO_STRBUF out;
    struct jsonw w;
    jsonw_array_end(&s->steps_w);
    jsonw_array_end(&s->lost_w);
    strbuf_init(&out, (size_t)3 * TOLD_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    jsonw_key(&w, "snapshot");
    if (s->has_from) {
        jsonw_object(&w);
        JSONW_TEXT(&w, "id", s->of->snapshot);
        JSONW_TEXT(&w, "label", wire_arg(&s->op->call, "label"));
        jsonw_object_end(&w);
    } else
        jsonw_null(&w);
    jsonw_key(&w, "statements");
    jsonw_raw(&w, strbuf_str(&s->steps));
    jsonw_key(&w, "lost");
    jsonw_raw(&w, strbuf_str(&s->lost));
    jsonw_key(&w, "counters");
    jsonw_array(&w);
    for (const struct schema_undo_counter *c = s->counters; c; c = c->next) {
        jsonw_object(&w);
        JSONW_TEXT(&w, "table", c->table);
        JSONW_INT(&w, "value", c->value);
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    bool failed = strbuf_failed(&out) || strbuf_failed(&s->steps) || strbuf_failed(&s->lost);
    return failed ? (struct str){NULL, 0} : arena_copy(s->op->arena, strbuf_str(&out));
}

/* Nothing is destroyed until it is applied. */
static void keep(struct undoing *u, struct schema_undo *s, const struct proposal *p)
{
    u->rehearsal.undo = told(s);
    u->in.undo_of = p->id;
    u->in.action = "undo";
    u->in.plan = S("[]");
    u->op->destroys = STR_EMPTY;
    u->op->drops = false;
    u->op->head.rows_written = 0;
    u->rehearsed = true;
}

static enum err_code rehearse(
    struct undoing *u, struct schema_undo *s, const struct proposal *p, struct err *err)
{
    struct drift d;
    struct rehearsal *r = &u->rehearsal;
    uint64_t conflicts = 0;
    drift_begin(&d, u->op, p, "Rows are no longer as the write left them; nothing was changed");
    enum err_code code = schema_undo_run(s, r, drift_conflict, &d, &conflicts, err);
    if (!code && conflicts == 0)
        code = propose_judge(u->op, &u->in, r, err);
    if (!code && conflicts == 0)
        code = rehearsal_take_back(r, err);
    if (!code && conflicts == 0)
        code = rehearsal_hash(r, err);
    if (!code && conflicts == 0)
        keep(u, s, p);
    if (!code && conflicts > 0)
        code = drift_end(&d, err);
    drift_release(&d);
    return code;
}

static enum err_code run(struct undoing *u, struct schema_undo *s, const struct proposal *p, struct err *err)
{
    bool refused = false;
    enum err_code code = open_snapshot(s, err);
    if (!code)
        code = check_lost(s, &u->rehearsal, u->lose_rows, &refused, err);
    if (!code && !refused)
        code = schema_undo_read_rows(s, err);
    return code || refused ? code : rehearse(u, s, p, err);
}

static enum err_code check(struct undoing *u, struct err *err)
{
    if (!proposal_sees_all(u->op))
        return err_set(err, ERR_FORBIDDEN,
            "A change of the schema is taken back by an admin without table scope and claims");
    return u->cut.whole ? ERR_OK
                        : err_field(err, "",
                              "a change of the schema is taken back as a whole: leave out tables and rows");
}

/* What the data or the old definitions do not allow is no fault of the machine's. */
static bool is_about_it(enum err_code code)
{
    return code == ERR_CONFLICT || code == ERR_SQL || code == ERR_TOO_LARGE || code == ERR_INVALID;
}

enum err_code schema_undo_rehearse(struct undoing *u, const struct proposal *p, struct err *err)
{
    struct schema_undo s;
    bool drifted = false;
    enum err_code code = check(u, err);
    if (code)
        return code;
    code = schema_undo_begin(&s, u->op, p, &drifted, err);
    if (!code && !drifted)
        code = run(u, &s, p, err);
    schema_undo_release(&s);
    if (code && is_about_it(code) && !sqlite3_get_autocommit(u->op->eng->db)) {
        struct err why = *err;
        *err = (struct err)ERR_INIT;
        u->op->error_detail = STR_EMPTY;
        code = schema_undo_tell_restore(u->op, p, why.message, err);
    }
    return code;
}
