/* The model. */
#include "lib/proposal_model.h"
#include "base/str.h"

struct effect effect_of(const struct table *t, const struct write *w)
{
    struct effect e = {.before = *t, .after = *t};
    for (int i = 0; i < ROWS; i++) {
        struct cell *c = &e.after.row[i];
        bool in_range = i >= w->id && i <= w->to;
        bool hit = w->kind == SET_LOW     ? c->there && c->v < w->n
                   : w->kind == ADD_RANGE ? c->there && in_range
                                          : i == w->id && (c->there || w->kind == INSERT_ONE);
        if (!hit)
            continue;
        e.fails |= w->kind == INSERT_ONE && c->there;
        e.matched |= 1u << i;
        c->v = w->kind == SET_LOW || w->kind == INSERT_ONE ? w->n : c->v + w->n;
        c->there = w->kind != DELETE_ONE;
        bool same = e.before.row[i].there == c->there && (!c->there || e.before.row[i].v == c->v);
        e.changed |= same ? 0 : 1u << i;
    }
    return e;
}

bool cell_eq(const struct cell *a, const struct cell *b)
{
    return a->there == b->there && (!a->there || a->v == b->v);
}

/* The same rows change from the same to the same. */
bool effect_eq(const struct effect *a, const struct effect *b)
{
    bool same = a->changed == b->changed && !a->fails && !b->fails;
    for (int i = 0; i < ROWS && same; i++) {
        if (a->changed & 1u << i)
            same =
                cell_eq(&a->before.row[i], &b->before.row[i]) && cell_eq(&a->after.row[i], &b->after.row[i]);
    }
    return same;
}

struct effect effect_inverse(const struct effect *e)
{
    return (struct effect){
        .before = e->after, .after = e->before, .matched = e->changed, .changed = e->changed};
}

bool effect_fits(const struct effect *e, const struct table *t)
{
    bool fits = true;
    for (int i = 0; i < ROWS; i++)
        fits &= !(e->changed & 1u << i) || cell_eq(&t->row[i], &e->before.row[i]);
    return fits;
}

void write_sql(const struct write *w, char out[200])
{
    switch (w->kind) {
    case ADD_ONE: str_print(out, 200, "UPDATE t SET v = v + %d WHERE id = %d", w->n, w->id); break;
    case ADD_RANGE:
        str_print(out, 200, "UPDATE t SET v = v + %d WHERE id BETWEEN %d AND %d", w->n, w->id, w->to);
        break;
    case SET_LOW: str_print(out, 200, "UPDATE t SET v = %d WHERE v < %d", w->n, w->n); break;
    case INSERT_ONE: str_print(out, 200, "INSERT INTO t VALUES (%d, %d)", w->id, w->n); break;
    default: str_print(out, 200, "DELETE FROM t WHERE id = %d", w->id);
    }
}
