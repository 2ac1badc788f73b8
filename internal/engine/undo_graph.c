/* Who took back what. */
#include "engine/undo_graph.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "json/jsonr.h"

struct undo_edge {
    struct undo_edge *next;
    struct undo_node *by;
};

struct undo_node {
    struct undo_node *next;
    struct str id;
    struct undo_edge *undoers;
    struct change_cut cut; /* of an undo */
    bool is_undo, dropped, known;
    enum undo_state state; /* when it is known */
};

static struct undo_node *node_of(struct undo_graph *g, struct op *op, struct str id)
{
    struct undo_node *n = map_get(&g->nodes, id);
    if (n)
        return n;
    n = ARENA_NEW(op->arena, struct undo_node);
    *n = (struct undo_node){.next = g->all, .id = id};
    (void)map_put(&g->nodes, id, n); /* it was not there */
    return g->all = n;
}

/* Bodies were checked when they came. */
static enum err_code read_undo(
    struct undo_graph *g, struct op *op, struct str id, struct str of, struct str body, struct err *err)
{
    const struct jsonr_value *root;
    struct str one;
    struct undo_node *undo = node_of(g, op, id);
    enum err_code code = jsonr_parse(op->arena, body, &root, err);
    if (!code)
        code = change_cut_read(&undo->cut, op->arena, root, err);
    undo->is_undo = true;
    while (!code && str_cut(&of, ' ', &one)) {
        struct undo_node *n = node_of(g, op, one);
        struct undo_edge *edge = ARENA_NEW(op->arena, struct undo_edge);
        *edge = (struct undo_edge){.next = n->undoers, .by = undo};
        n->undoers = edge;
    }
    return code;
}

enum err_code undo_graph_load(struct undo_graph *g, struct op *op, struct err *err)
{
    struct binding b = binding_of(op, OWN_UNDO_APPLIED);
    enum err_code code = ERR_OK;
    *g = (struct undo_graph){.all = NULL};
    map_init(&g->nodes);
    while (!code && binding_step(op, &b)) {
        struct str id = catalog_text(op->arena, b.stmt, 0), of = catalog_text(op->arena, b.stmt, 1);
        struct str body = catalog_text(op->arena, b.stmt, 2);
        if (!id.ptr || !of.ptr || !body.ptr)
            code = err_set(err, ERR_TOO_LARGE, "too much was taken back to look at it at once");
        else
            code = read_undo(g, op, id, of, body, err);
    }
    enum err_code ended = binding_end(op, &b, code ? NULL : err);
    return code ? code : ended;
}

void undo_graph_release(struct undo_graph *g)
{
    for (struct undo_node *n = g->all; n; n = n->next) {
        if (n->is_undo)
            change_cut_release(&n->cut);
    }
    map_release(&g->nodes);
}

void undo_graph_drop(struct undo_graph *g, struct str id)
{
    struct undo_node *n = map_get(&g->nodes, id);
    if (n)
        n->dropped = true;
}

/* An undo is younger than what it takes back, so this ends. */
static enum undo_state state_of(struct undo_node *n)
{
    enum undo_state state = UNDO_STANDS;
    for (const struct undo_edge *e = n->known ? NULL : n->undoers; e; e = e->next) {
        enum undo_state by = e->by->dropped ? UNDO_UNDONE : state_of(e->by);
        if (by == UNDO_STANDS && e->by->cut.whole)
            state = UNDO_UNDONE;
        else if (by != UNDO_UNDONE && state == UNDO_STANDS)
            state = UNDO_PARTLY;
    }
    if (!n->known)
        n->state = state;
    n->known = true;
    return n->state;
}

enum undo_state undo_graph_state(const struct undo_graph *g, struct str id)
{
    struct undo_node *n = map_get(&g->nodes, id);
    return n ? state_of(n) : UNDO_STANDS;
}

struct str undo_graph_by(const struct undo_graph *g, struct str id)
{
    struct undo_node *n = map_get(&g->nodes, id);
    for (const struct undo_edge *e = n ? n->undoers : NULL; e; e = e->next) {
        if (!e->by->dropped && state_of(e->by) != UNDO_UNDONE)
            return e->by->id;
    }
    return (struct str){NULL, 0};
}

/* A cut that does not fit the columns of today takes back nothing: applying the inverse tells. */
static bool row_of(struct undo_node *n, const struct change_table_view *t, const struct change_row *row)
{
    bool undone = false;
    for (const struct undo_edge *e = n->undoers; e && !undone; e = e->next) {
        bool has = false;
        if (e->by->dropped || change_cut_has(&e->by->cut, t, row, &has, NULL))
            has = false;
        undone = has && !row_of(e->by, t, row);
    }
    return undone;
}

bool undo_graph_row(const struct undo_graph *g, struct str id, const struct change_table_view *t,
    const struct change_row *row)
{
    struct undo_node *n = map_get(&g->nodes, id);
    return n && row_of(n, t, row);
}
