/* See mask_plan.h. */
#include "engine/mask_plan.h"
#include "engine/fts5_decl.h"

struct planner {
    struct arena *arena;
    const struct catalog *cat;
    struct mask_plan *plan;
    struct err *err;
};

static struct mask_rule *find(const struct mask_plan *p, struct str table, struct str column)
{
    for (struct mask_rule *r = p->rules; r; r = r->next) {
        if (str_eq_nocase(r->table, table) && str_eq_nocase(r->column, column))
            return r;
    }
    return NULL;
}

const struct mask_rule *mask_plan_find(const struct mask_plan *p, struct str table, struct str column)
{
    return find(p, table, column);
}

static enum err_code PRINTF_LIKE(4, 5)
    refuse(const struct planner *p, const struct mask_rule *r, const char *field, const char *fmt, ...)
{
    char message[ERR_MESSAGE_MAX], pointer[48];
    va_list ap;
    va_start(ap, fmt);
    str_vprint_cut(message, sizeof message, fmt, ap);
    va_end(ap);
    str_print(pointer, sizeof pointer, "/masks/%d%s", r->index, field);
    return err_field(p->err, pointer, "%s", message);
}

/* --- One column --- */

static unsigned fold_of(struct str collation)
{
    if (str_eq_nocase(collation, S("NOCASE")))
        return MASK_FOLD_CASE;
    return str_eq_nocase(collation, S("RTRIM")) ? MASK_FOLD_SPACES : 0;
}

/* Is the column part of what must be unique? *fold gets how that compares it. */
static bool in_unique(const struct cat_table *t, const struct cat_column *c, unsigned *fold)
{
    bool found = c->pk > 0;
    for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
        for (const struct cat_index_column *k = ix->columns; k && ix->unique; k = k->next) {
            if (!k->name.ptr || !str_eq_nocase(k->name, c->name))
                continue;
            found = true;
            *fold |= fold_of(k->collation);
        }
    }
    return found;
}

static bool is_referred_to(const struct catalog *cat, const struct cat_table *t, const struct cat_column *c)
{
    for (const struct cat_table *child = cat->tables; child; child = child->next) {
        for (const struct cat_fk *fk = child->fks; fk; fk = fk->next) {
            if (fk->ref_column.ptr && str_eq_nocase(fk->ref_table, t->name) &&
                str_eq_nocase(fk->ref_column, c->name))
                return true;
        }
    }
    return false;
}

static bool holds_numbers(const struct cat_table *t, const struct cat_column *c)
{
    if (t->strict)
        return c->affinity != CAT_TEXT && c->affinity != CAT_BLOB;
    return c->affinity == CAT_INTEGER || c->affinity == CAT_REAL;
}

static enum err_code check_column(
    const struct planner *p, struct mask_rule *r, const struct cat_table *t, const struct cat_column *c)
{
    const char *kind = mask_kind_name(r->mask.kind);
    bool unique = in_unique(t, c, &r->fold);
    r->fold |= fold_of(c->collation);
    r->affinity = c->affinity;
    if (c->generated)
        return refuse(p, r, "/column", "is computed from other columns: mask those");
    if (r->mask.kind == MASK_NULL && c->not_null)
        return refuse(p, r, "/kind", "null is not for a column that is NOT NULL");
    if (r->mask.kind == MASK_NULL && (c->pk > 0 || is_referred_to(p->cat, t, c)))
        return refuse(p, r, "/kind", "null is not for a key: use hash or shape");
    if (unique && r->mask.kind != MASK_NULL && !mask_is_unique(&r->mask))
        return refuse(p, r, "/kind",
            "%s gives two values the same one, and this column is part of a key: use "
            "hash, shape or email",
            kind);
    if (mask_makes_text(&r->mask) && holds_numbers(t, c))
        return refuse(p, r, "/kind", "%s is a text, and this column holds numbers: use hash or shape", kind);
    return ERR_OK;
}

static enum err_code plan_search_column(
    const struct planner *p, struct mask_rule *r, const struct cat_table *t)
{
    struct fts5_decl decl;
    bool known = fts5_decl_read(p->arena, t->sql, &decl);
    r->table = t->name;
    r->affinity = CAT_BLOB;
    if (!known || decl.content != FTS5_OWN)
        return refuse(p, r, "/table", "keeps no text of its own: mask the table that it indexes");
    for (const struct fts5_column *c = decl.columns; c; c = c->next) {
        if (!str_eq_nocase(c->name, r->column))
            continue;
        r->column = c->name;
        return ERR_OK;
    }
    return refuse(p, r, "/column", "is no column of this table");
}

static enum err_code plan_own(const struct planner *p, struct mask_rule *r)
{
    const struct cat_table *t = catalog_table(p->cat, r->table);
    if (!t)
        return refuse(p, r, "/table", "is no table of this database" STR_FMT,
            STR_ARG(catalog_suggest_table(p->cat, p->arena, r->table)));
    const struct mask_rule *other = find(p->plan, t->name, r->column);
    if (other && other != r)
        return refuse(p, r, "", "is the second mask of this column");
    if (t->kind == CAT_VIRTUAL)
        return plan_search_column(p, r, t);
    const struct cat_column *c = cat_column(t, r->column);
    if (!c || c->hidden)
        return refuse(p, r, "/column", "is no column of \"" STR_FMT "\"" STR_FMT, STR_ARG(t->name),
            STR_ARG(catalog_suggest_column(t, p->arena, r->column)));
    r->table = t->name;
    r->column = c->name;
    return check_column(p, r, t, c);
}

/* --- References --- */

static bool masks(const struct mask_rule *r)
{
    return r && r->mask.kind != MASK_KEEP;
}

static bool is_same(const struct mask_rule *a, const struct mask_rule *b)
{
    return mask_eq(&a->mask, &b->mask) && a->fold == b->fold && a->affinity == b->affinity;
}

/* The column gets the mask of the key that it refers to. */
static enum err_code follow(const struct planner *p, const struct mask_rule *key, const struct cat_table *t,
    const struct cat_column *c)
{
    struct mask_rule *r = arena_alloc(p->arena, sizeof *r);
    struct mask_rule **tail = &p->plan->rules;
    if (!r)
        return err_set(p->err, ERR_TOO_LARGE, "the masks are too many");
    *r = *key;
    r->next = NULL;
    r->table = t->name;
    r->column = c->name;
    r->index = -1;
    r->from_table = key->table;
    r->from_column = key->column;
    if (c->generated)
        return refuse(p, key, "",
            "\"" STR_FMT "\".\"" STR_FMT "\" refers to this column and is computed from "
            "others, so it cannot follow",
            STR_ARG(t->name), STR_ARG(c->name));
    if (mask_makes_text(&r->mask) && t->strict && holds_numbers(t, c))
        return refuse(p, key, "", "\"" STR_FMT "\".\"" STR_FMT "\" refers to this column and holds numbers",
            STR_ARG(t->name), STR_ARG(c->name));
    while (*tail)
        tail = &(*tail)->next;
    *tail = r;
    return ERR_OK;
}

static enum err_code refuse_pair(
    const struct planner *p, const struct mask_rule *key, const struct mask_rule *r, const struct cat_fk *fk)
{
    const struct mask_rule *at = r->index >= 0 || !key ? r : key;
    if (!masks(key))
        return refuse(p, at, "",
            "\"" STR_FMT "\".\"" STR_FMT "\" refers to \"" STR_FMT "\".\"" STR_FMT
            "\", which keeps its values: mask that column, and this one follows",
            STR_ARG(r->table), STR_ARG(r->column), STR_ARG(fk->ref_table), STR_ARG(fk->ref_column));
    return refuse(p, at, "",
        "\"" STR_FMT "\".\"" STR_FMT "\" refers to \"" STR_FMT "\".\"" STR_FMT
        "\" and must have the same mask: leave it out, it follows",
        STR_ARG(r->table), STR_ARG(r->column), STR_ARG(key->table), STR_ARG(key->column));
}

/* One column of a foreign key; *changed: it follows now. */
static enum err_code plan_reference(
    const struct planner *p, const struct cat_table *t, const struct cat_fk *fk, bool *changed)
{
    const struct cat_table *parent = catalog_table(p->cat, fk->ref_table);
    const struct cat_column *c = cat_column(t, fk->column);
    if (!parent || !c || !fk->ref_column.ptr || !cat_column(parent, fk->ref_column))
        return ERR_OK; /* nothing that values could break */
    struct mask_rule *key = find(p->plan, parent->name, fk->ref_column);
    struct mask_rule *r = find(p->plan, t->name, c->name);
    if (!masks(key) && !masks(r))
        return ERR_OK;
    if (r && r->mask.kind == MASK_NULL)
        return ERR_OK; /* it refers to nothing then */
    if (masks(key) && !r) {
        *changed = true;
        return follow(p, key, t, c);
    }
    if (masks(key) && is_same(key, r))
        return ERR_OK;
    if (!masks(key) || !mask_eq(&key->mask, &r->mask) || r->from_table.ptr)
        return refuse_pair(p, key, r, fk);
    r->fold = key->fold;
    r->affinity = key->affinity;
    r->from_table = key->table;
    r->from_column = key->column;
    *changed = true;
    return ERR_OK;
}

/* Each round settles one column at least, so it ends. */
static enum err_code plan_references(const struct planner *p)
{
    enum err_code code = ERR_OK;
    bool changed = true;
    while (changed && !code) {
        changed = false;
        for (const struct cat_table *t = p->cat->tables; t; t = t->next) {
            for (const struct cat_fk *fk = t->fks; fk && !code; fk = fk->next)
                code = plan_reference(p, t, fk, &changed);
        }
    }
    return code;
}

enum err_code mask_plan_make(struct arena *a, const struct catalog *cat, struct mask_rule *wishes,
    struct mask_plan *ret, struct err *err)
{
    enum err_code code = ERR_OK;
    ret->rules = wishes;
    const struct planner p = {a, cat, ret, err};
    for (struct mask_rule *r = wishes; r && !code; r = r->next)
        code = plan_own(&p, r);
    return code ? code : plan_references(&p);
}

enum err_code mask_plan_check_search(
    struct arena *a, const struct catalog *cat, const struct mask_plan *p, struct err *err)
{
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        struct fts5_decl decl;
        if (t->kind != CAT_VIRTUAL || !fts5_decl_read(a, t->sql, &decl) || decl.content != FTS5_OWN)
            continue;
        for (const struct fts5_column *c = decl.columns; c; c = c->next) {
            if (!find(p, t->name, c->name))
                return err_set(err, ERR_CONFLICT,
                    "\"" STR_FMT "\" is a search table with text of its own: give its column \"" STR_FMT
                    "\" a mask (keep, when it may be seen)",
                    STR_ARG(t->name), STR_ARG(c->name));
        }
    }
    return ERR_OK;
}
