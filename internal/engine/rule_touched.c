/* What a write touched. */
#include "engine/rule_touched.h"
#include "engine/change_set.h"
#include "engine/change_table.h"

static struct touched *note(struct op *op, struct touched **list, struct str name, bool indirect)
{
    while (*list && !str_eq_nocase((*list)->name, name))
        list = &(*list)->next;
    if (*list) {
        (*list)->indirect &= indirect;
        return *list;
    }
    struct touched *t = arena_alloc(op->arena, sizeof *t);
    if (!t)
        return NULL; /* the caller asks the arena */
    *t = (struct touched){.name = arena_copy(op->arena, name), .indirect = indirect};
    return *list = t;
}

static enum err_code all_indirect(const struct change_table_view *t, bool *ret, struct err *err)
{
    struct str rest = t->rows;
    struct change_row row = {.indirect = true};
    bool found = true;
    enum err_code code = ERR_OK;
    while (!code && found && row.indirect)
        code = change_row_next(t, &rest, &found, &row, err);
    *ret = !found;
    return code;
}

static enum err_code note_rows(struct rehearsal *r, struct touched **list, struct err *err)
{
    struct change_reader reader;
    struct change_table_view t;
    bool found = true, indirect;
    enum err_code code = change_reader_init(&reader, strbuf_str(&r->set), err);
    while (!code && !(code = change_table_next(&reader, &found, &t, err)) && found) {
        code = all_indirect(&t, &indirect, err);
        if (!code && t.row_count > 0)
            (void)note(r->op, list, t.name, indirect); /* the arena is asked at the end */
    }
    change_reader_release(&reader);
    return code;
}

struct noting {
    struct op *op;
    struct touched **list;
};

static void note_counted(void *arg, struct str table, const int64_t counts[CHANGE_OP_COUNT], bool indirect)
{
    struct noting *n = arg;
    (void)counts;
    (void)note(n->op, n->list, table, indirect);
}

/* What a statement of the schema names is SQLite's own; the sequences of keys are anybody's. */
static void note_targets(struct rehearsal *r, struct touched **list)
{
    for (const struct recorder_target *t = r->recorder.targets; t; t = t->next) {
        if (!str_starts_nocase(t->name, S("sqlite_")) || str_eq_nocase(t->name, S("sqlite_sequence")))
            (void)note(r->op, list, t->name, false);
    }
}

static void note_object(struct rehearsal *r, struct touched **list, const struct schema_object *o)
{
    struct touched *t = note(r->op, list, o->table, false);
    if (t)
        t->objects++;
}

static void note_schema(struct rehearsal *r, struct touched **list)
{
    for (const struct schema_object *o = r->after; o; o = o->next) {
        if (!schema_find_same(r->before, o))
            note_object(r, list, o);
    }
    for (const struct schema_object *o = r->before; o; o = o->next) {
        if (!schema_find_same(r->after, o) || o->remade)
            note_object(r, list, o);
    }
}

enum err_code touched_by(struct rehearsal *r, struct touched **ret, struct err *err)
{
    *ret = NULL;
    struct noting n = {r->op, ret};
    enum err_code code = r->recorder.given_up ? ERR_OK : note_rows(r, ret, err);
    if (r->recorder.given_up)
        recorder_counts(&r->recorder, note_counted, &n);
    note_targets(r, ret);
    if (r->changes_schema)
        note_schema(r, ret);
    if (!code && arena_failed(r->op->arena))
        return err_set(err, ERR_TOO_LARGE, "the write touches too many tables");
    return code;
}
