/* How many rows of which tables a write changed. */
#include "engine/change_table.h"
#include "engine/engine_state.h"
#include "engine/rule_when.h"

static void add(struct when_facts *f, const struct touched *t, const char *op, int64_t rows, int64_t grown)
{
    struct effect **at = &f->effects;
    struct effect *e = arena_alloc(f->op->arena, sizeof *e);
    if (!e)
        return; /* when_count asks the arena */
    while (*at)
        at = &(*at)->next;
    *e = (struct effect){.table = t, .op = op, .rows = rows, .grown = grown};
    *at = e;
}

static const struct touched *find(const struct when_facts *f, struct str name)
{
    const struct touched *t = f->tables;
    while (t && !str_eq_nocase(t->name, name))
        t = t->next;
    return t;
}

static void add_counts(void *arg, struct str name, const int64_t counts[CHANGE_OP_COUNT], bool indirect)
{
    static const char *const NAMES[CHANGE_OP_COUNT] = {
        [CHANGE_INSERT] = "insert", [CHANGE_UPDATE] = "update", [CHANGE_DELETE] = "delete"};
    struct when_facts *f = arg;
    const struct touched *table = find(f, name);
    (void)indirect;
    for (size_t op = CHANGE_INSERT; op < CHANGE_OP_COUNT && table; op++) {
        if (counts[op])
            add(f, table, NAMES[op], counts[op], counts[CHANGE_INSERT] - counts[CHANGE_DELETE]);
    }
}

static enum err_code count_table(struct when_facts *f, const struct change_table_view *t, struct err *err)
{
    int64_t counts[CHANGE_OP_COUNT] = {0};
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    enum err_code code = ERR_OK;
    while (!code && !(code = change_row_next(t, &rest, &found, &row, err)) && found)
        counts[row.op]++;
    if (!code)
        add_counts(f, t->name, counts, false);
    return code;
}

static enum err_code count_rows(struct when_facts *f, struct err *err)
{
    struct change_reader reader;
    struct change_table_view t;
    bool found = true;
    enum err_code code = change_reader_init(&reader, strbuf_str(&f->r->set), err);
    while (!code && !(code = change_table_next(&reader, &found, &t, err)) && found)
        code = count_table(f, &t, err);
    change_reader_release(&reader);
    return code;
}

/* The recorder has no rows to show. */
static void take_counts(struct when_facts *f)
{
    const struct recorder *r = &f->r->recorder;
    recorder_counts(r, add_counts, f);
    f->unlisted = r->given_up == RECORDER_TOO_MANY || r->given_up == RECORDER_TOO_LARGE
                      ? "the write changes more rows than can be listed: ask effects"
                      : "the rows that the write changes cannot be listed: ask effects";
    if (r->uncounted)
        f->unlisted = f->uncounted =
            "how many rows of a full-text index without rows of its own a write changes "
            "is not known";
}

static bool is_table(const struct schema_object *o)
{
    return str_eq(o->type, S("table"));
}

static void count_removed(struct when_facts *f, const struct schema_object *o)
{
    const struct schema_rows *rows = f->r->removed;
    while (rows && (o->renamed.ptr || !str_eq_nocase(rows->table, o->name)))
        rows = rows->next;
    if (!rows || rows->rows > 0)
        f->unlisted =
            f->unlisted ? f->unlisted : "the rows of a table that is removed are not listed: ask effects";
    const struct touched *t = find(f, o->table);
    if (!t || (rows && rows->rows == 0))
        return;
    add(f, t, "delete", rows ? rows->rows : 0, rows ? -rows->rows : 0);
    for (struct effect *e = f->effects; e; e = e->next) {
        e->removed |= e->table == t;
        e->uncounted |= e->table == t && !rows && str_eq(str_of(e->op), S("delete"));
    }
}

static enum err_code count_column(struct when_facts *f, const struct schema_object *o, struct err *err)
{
    int64_t rows;
    const struct touched *t = find(f, o->now);
    enum err_code code = schema_count_rows(f->op, o->now, &rows, err);
    if (code || rows == 0)
        return code;
    f->unlisted =
        f->unlisted ? f->unlisted : "the values of a column that is dropped are not listed: ask effects";
    if (t)
        add(f, t, "update", rows, 0);
    return ERR_OK;
}

static enum err_code count_unseen(struct when_facts *f, struct err *err)
{
    int64_t rows;
    const struct touched *t = find(f, f->r->unseen);
    enum err_code code = schema_count_rows(f->op, f->r->unseen, &rows, err);
    f->unlisted = f->unlisted
                      ? f->unlisted
                      : "rows of a table that is made with them, or renamed, are not listed: ask effects";
    if (!code && t)
        add(f, t, "insert", rows, rows);
    return code;
}

bool when_count(struct when_facts *f)
{
    struct err ignored = ERR_INIT;
    if (f->counted)
        return true;
    enum err_code code = ERR_OK;
    if (f->r->recorder.given_up)
        take_counts(f);
    else
        code = count_rows(f, &ignored);
    for (const struct touched *t = f->tables; t; t = t->next) {
        if (t->objects)
            add(f, t, "schema", t->objects, 0);
    }
    for (const struct schema_object *o = f->r->before; o; o = o->next) {
        if (is_table(o) && (o->remade || !schema_find_named(f->r->after, o)))
            count_removed(f, o);
        if (!code && o->loses && !o->gone && !o->remade)
            code = count_column(f, o, &ignored);
    }
    if (!code && f->r->unseen.ptr)
        code = count_unseen(f, &ignored);
    f->op->error_detail = STR_EMPTY;
    return f->counted = !code && !arena_failed(f->op->arena);
}

int when_share(const struct when_facts *f, const struct effect *e, double *ret)
{
    int64_t now = 0;
    struct err ignored = ERR_INIT;
    *ret = 1;
    if (e->removed)
        return SQLITE_OK;
    enum err_code code = schema_count_rows(f->op, e->table->name, &now, &ignored);
    f->op->error_detail = STR_EMPTY;
    int64_t before = now - e->grown;
    if (!code && before > 0)
        *ret = (double)e->rows / (double)before;
    return code ? SQLITE_ERROR : SQLITE_OK;
}
