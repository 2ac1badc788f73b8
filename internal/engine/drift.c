/* The answer when something drifted. */
#include "engine/drift.h"
#include "engine/change_apply.h"
#include "engine/change_diff.h"

enum { DRIFT_BYTES_MAX = 4 << 20 };

void drift_begin(struct drift *d, struct op *op, const struct proposal *p, const char *why)
{
    *d = (struct drift){.op = op, .p = p, .view = proposal_rows(op, p)};
    strbuf_init(&d->out, DRIFT_BYTES_MAX);
    jsonw_init(&d->w, &d->out);
    jsonw_object(&d->w);
    JSONW_BOOL(&d->w, "success", false);
    JSONW_CSTR(&d->w, "error", why);
    JSONW_CSTR(&d->w, "code", "drift");
    JSONW_TEXT_OR_NULL(&d->w, "proposalId", p->id);
    JSONW_TEXT(&d->w, "requestId", op->call.request_id);
}

void drift_release(struct drift *d)
{
    strbuf_release(&d->out);
}

static void open_rows(struct drift *d)
{
    if (d->told)
        return;
    d->told = true;
    jsonw_key(&d->w, "drift");
    jsonw_object(&d->w);
    jsonw_key(&d->w, "rows");
    jsonw_array(&d->w);
}

/* The row as it stands; NULL: it is not there, or was not looked at. */
static void write_now(struct jsonw *w, const struct change_conflict *c)
{
    jsonw_key(w, "now");
    if (!c->now) {
        jsonw_null(w);
        return;
    }
    jsonw_object(w);
    for (size_t i = 0; i < c->table->column_count; i++) {
        if (c->table->columns[i].flags & CHANGE_COLUMN_ROWID)
            continue;
        jsonw_key_str(w, c->table->columns[i].name);
        change_view_cell(w, &c->now[i]);
    }
    jsonw_object_end(w);
}

static bool may_see(const struct drift *d, struct str table)
{
    return d->view.sees(d->view.arg, table);
}

/* false: it is not to be told. */
static bool begin_row(
    struct drift *d, const struct change_table_view *t, const struct change_row *row, const char *kind)
{
    bool hidden = !may_see(d, t->name) || (d->view.no_indirect && row->indirect);
    open_rows(d);
    if (hidden || d->rows++ >= d->view.rows_max || d->out.len > d->view.bytes_max)
        return false;
    jsonw_object(&d->w);
    JSONW_TEXT(&d->w, "table", t->name);
    jsonw_key(&d->w, "key");
    change_view_key(&d->w, t, row->old_cells.ptr ? row->old_cells : row->new_cells);
    JSONW_CSTR(&d->w, "kind", kind);
    jsonw_key(&d->w, "proposed");
    change_view_row(&d->w, t, row);
    return true;
}

void drift_conflict(void *arg, const struct change_conflict *c)
{
    struct drift *d = arg;
    if (!begin_row(d, c->table, c->row, change_conflict_name(c->kind)))
        return;
    write_now(&d->w, c);
    jsonw_object_end(&d->w);
}

void drift_foreign(void *arg, const struct change_table_view *table, const struct change_row *row,
    const struct change_foreign_key *key, const struct change_cell *values)
{
    struct drift *d = arg;
    if (!begin_row(d, table, row, "foreign_key"))
        return;
    JSONW_NULL(&d->w, "now");
    if (may_see(d, key->parent) && may_see(d, key->child))
        change_foreign_write(&d->w, key, values);
    jsonw_object_end(&d->w);
}

enum err_code drift_differences(
    struct drift *d, const struct proposal *p, struct str proposed, struct str now, struct err *err)
{
    struct change_view v = proposal_rows(d->op, p);
    d->told = true;
    jsonw_key(&d->w, "drift");
    jsonw_object(&d->w);
    enum err_code code = change_diff_write(&v, proposed, now, &d->w, err);
    jsonw_object_end(&d->w);
    return code;
}

static void close_rows(struct drift *d)
{
    jsonw_array_end(&d->w);
    JSONW_BOOL(&d->w, "truncated", d->rows > d->view.rows_max);
    jsonw_object_end(&d->w);
}

struct jsonw *drift_fresh(struct drift *d)
{
    d->fresh = true;
    jsonw_key(&d->w, "proposal");
    return &d->w;
}

enum err_code drift_end(struct drift *d, struct err *err)
{
    struct op *op = d->op;
    bool open = d->w.depth > 1 || !d->told; /* the rows of conflicts, or none at all */
    open_rows(d);
    if (open)
        close_rows(d);
    if (!d->fresh)
        jsonw_null(drift_fresh(d));
    jsonw_object_end(&d->w);
    op->plain = strbuf_failed(&d->out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&d->out));
    if (!op->plain.ptr)
        return err_set(err, ERR_TOO_LARGE, "the differences are too large to be told");
    op->head.status = 409;
    op->head.code = ERR_CONFLICT;
    op->head.rows_written = 0;
    return ERR_OK;
}
