/* See schema_diff.h. */
#include "branch/schema_diff.h"
#include "base/check.h"
#include "base/strbuf.h"
#include "branch/schema_alter.h"
#include "branch/schema_text.h"

#define STATEMENT_MAX (1 << 20)

const char *schema_kind_name(enum schema_kind kind)
{
    static const char *const names[SCHEMA_KIND_COUNT] = {"table", "view", "index", "trigger"};
    return names[kind];
}

/* SQLite's names: ASCII letters of either case are the same. */
static const struct schema_object *find(
    const struct schema_object *list, enum schema_kind kind, struct str name)
{
    for (; list; list = list->next)
        if (list->kind == kind && str_eq_nocase(list->name, name))
            return list;
    return NULL;
}

/* --- What ALTER TABLE ADD COLUMN did to a table's text --- */

struct insertion {
    size_t at;       /* in the parent's text */
    struct str text; /* ", column …", "" none */
};

/* The one piece that the branch's text has more, turned so that it begins with a comma. */
static bool find_insertion(struct str was, struct str is, struct insertion *ret)
{
    size_t at = 0, more = is.len - was.len;
    if (is.len <= was.len)
        return false;
    while (at < was.len && was.ptr[at] == is.ptr[at])
        at++;
    if (!str_eq(str_slice(was, at, was.len), str_slice(is, at + more, is.len)))
        return false;
    while (at > 0 && is.ptr[at] != ',' && is.ptr[at - 1] == is.ptr[at + more - 1])
        at--;
    *ret = (struct insertion){at, str_slice(is, at, at + more)};
    return is.ptr[at] == ',';
}

/* --- Statements --- */

struct builder {
    struct arena *a;
    struct schema_statement **end; /* of the list that grows */
};

static void add(struct builder *b, struct str sql)
{
    struct schema_statement *s = arena_alloc(b->a, sizeof *s);
    if (!s)
        return; /* arena_failed() tells */
    *s = (struct schema_statement){.sql = sql};
    *b->end = s;
    b->end = &s->next;
}

static struct str about(
    struct arena *a, const char *verb, const char *what, struct str name, const char *then, struct str more)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, STATEMENT_MAX);
    strbuf_add_cstr(&sql, verb);
    strbuf_add_cstr(&sql, what);
    strbuf_add_char(&sql, ' ');
    strbuf_add_quoted(&sql, name, '"');
    strbuf_add_cstr(&sql, then);
    strbuf_add_str(&sql, more);
    return strbuf_failed(&sql) ? STR_EMPTY : arena_copy(a, strbuf_str(&sql));
}

/* The columns that `is` has more than `was`, each one's declaration. false: they differ in more than that. */
static bool new_columns(struct arena *a, struct str was, struct str is, struct schema_statement **ret)
{
    struct insertion in;
    struct str column;
    struct builder b = {a, ret};
    *ret = NULL;
    if (!find_insertion(was, is, &in))
        return false;
    for (struct str rest = in.text; rest.len;) {
        if (!schema_text_item(&rest, &column) || schema_text_is_constraint(column))
            return false;
        add(&b, column);
    }
    return true;
}

static const struct schema_statement *find_column(const struct schema_statement *list, struct str column)
{
    while (list && !str_eq_nocase(schema_text_column(list->sql), schema_text_column(column)))
        list = list->next;
    return list;
}

/* Those of `columns` that `there` has not. false: it has one of the same name that is another. */
static bool alter_table(struct arena *a, struct str table, const struct schema_statement *columns,
    const struct schema_statement *there, struct schema_statement **ret)
{
    struct builder b = {a, ret};
    *ret = NULL;
    for (; columns; columns = columns->next) {
        const struct schema_statement *same = find_column(there, columns->sql);
        if (same && !str_eq(same->sql, columns->sql))
            return false;
        if (!same)
            add(&b, about(a, "ALTER ", "TABLE", table, " ADD COLUMN ", columns->sql));
    }
    return true;
}

/* --- The difference --- */

#define BOTH_CHANGED   "the parent changed it in another way since the branch began"
#define PARENT_REMOVED "the parent removed it since the branch began, and the branch changed it"
#define BRANCH_REMOVED "the branch removed it, and the parent changed it since the branch began"
#define MORE_ON_IT                                                                                           \
    "the branch removed it, and the parent made an index or a trigger of it since the branch began"
#define OTHERS_REFER                                                                                         \
    "other tables of the parent refer to it, and their rows would go with its rows or lose what they refer " \
    "to: make them anew without that, or remove them, in the parent as well"
#define MORE_THAN_COLUMNS                                                                                    \
    "it is more than columns, and other tables refer to it, so it cannot be made anew beside them"
#define IS_VIRTUAL "it is a virtual table, which no statement alters: make it anew in the parent as well"
#define NAME_TAKEN                                                                                           \
    "made anew it would be called as it is with __new behind it meanwhile, and there is one of that name"
#define RENAMED_OR_NEW                                                                                       \
    "its last column has another name: renamed, or gone and a new one? Do one of these to the parent as "    \
    "well"
#define TABLE_RENAMED                                                                                        \
    "a new table is like it: renamed, or gone and another? Do one of these to the parent as well"
#define REFERS_RENAMED                                                                                       \
    "it refers to a new table that is like one that is gone: renamed, or another? Do one of these to the "   \
    "parent as well"
#define COLUMNS_MOVED                                                                                        \
    "some of its columns went where others came, or stand in another order: renamed, or gone and new ones? " \
    "Do one of these to the parent as well"
#define AS_RENAMED                                                                                           \
    "columns of the same place and kind have other names: they are renamed and keep their values"
#define AS_DROPPED  "columns are removed, with their values"
#define AS_FOLLOWED "by the new names of columns that it refers to: nothing is to be done"
#define AS_REBUILT                                                                                           \
    "it is made anew, and rows keep the values of columns of the same name; what rests on it is made again"

struct comparison {
    struct arena *a;
    const struct schema_sides *sides;
    struct schema_diff *diff;
    struct schema_change **added, **changed, **removed; /* ends of the lists */
    struct schema_rename *renames;                      /* of all tables */
};

static void note(struct comparison *c, struct schema_change ***end, const struct schema_change *what)
{
    struct schema_change *made = arena_alloc(c->a, sizeof *made);
    if (!made)
        return; /* arena_failed() tells */
    *made = *what;
    c->diff->by_hand += made->by_hand != NULL;
    **end = made;
    *end = &made->next;
}

static bool is_virtual(const struct schema_object *table)
{
    struct str rest = table->sql;
    (void)schema_text_token(&rest); /* CREATE */
    return str_eq_nocase(schema_text_token(&rest), S("VIRTUAL"));
}

/* A table that was given back its name has it in quotes. */
static struct str without_name(const struct schema_object *o)
{
    struct schema_text text;
    bool split = o->kind == SCHEMA_TABLE && !is_virtual(o) && schema_text_split(o->sql, &text);
    return split ? str_slice(o->sql, text.head.len, o->sql.len) : o->sql;
}

static bool is_same(const struct schema_object *a, const struct schema_object *b)
{
    return a && b && (str_eq(a->sql, b->sql) || str_eq(without_name(a), without_name(b)));
}

/* Both sides changed a table since `base`, which may be NULL: columns that both only added come together. */
static void compare_both(struct comparison *c, const struct schema_object *base,
    const struct schema_object *parent, const struct schema_object *branch)
{
    struct schema_statement *ours, *theirs = NULL;
    struct schema_change change = {.parent = parent, .branch = branch, .by_hand = BOTH_CHANGED};
    bool told = false;
    if (is_virtual(parent) || is_virtual(branch)) {
        note(c, &c->changed, &change);
        return;
    }
    if (base)
        told = new_columns(c->a, base->sql, branch->sql, &ours) &&
               new_columns(c->a, base->sql, parent->sql, &theirs);
    else if (new_columns(c->a, branch->sql, parent->sql, &ours))
        return; /* the parent's has all of it */
    else
        told = new_columns(c->a, parent->sql, branch->sql, &ours);
    if (told && alter_table(c->a, parent->name, ours, theirs, &change.alters))
        change.by_hand = NULL;
    if (change.by_hand || change.alters)
        note(c, &c->changed, &change);
}

/* ALTER TABLE RENAME leaves a table less and a table more that is like it, and so do one that went and
 * another that came. */
static bool may_be_renamed(
    struct comparison *c, const struct schema_object *gone, const struct schema_object *is)
{
    const struct schema_sides *s = c->sides;
    return gone->kind == SCHEMA_TABLE && is->kind == SCHEMA_TABLE &&
           find(s->parent, SCHEMA_TABLE, gone->name) && !find(s->branch, SCHEMA_TABLE, gone->name) &&
           !find(s->base, SCHEMA_TABLE, is->name) && schema_alter_like(c->a, gone, is);
}

static bool may_have_new_name(struct comparison *c, const struct schema_object *gone)
{
    const struct schema_object *o = c->sides->branch;
    while (o && !may_be_renamed(c, gone, o))
        o = o->next;
    return o != NULL;
}

static bool may_have_old_name(struct comparison *c, const struct schema_object *is)
{
    const struct schema_object *o = c->sides->base;
    while (o && !may_be_renamed(c, o, is))
        o = o->next;
    return o != NULL;
}

static bool refers_to_renamed(struct comparison *c, const struct schema_object *table)
{
    const struct schema_object *o = c->sides->branch;
    while (
        o && !(o->kind == SCHEMA_TABLE && schema_text_refers(table->sql, o->name) && may_have_old_name(c, o)))
        o = o->next;
    return o != NULL;
}

static bool is_referred(const struct schema_object *list, struct str table)
{
    while (list && !(list->kind == SCHEMA_TABLE && schema_text_refers(list->sql, table)))
        list = list->next;
    return list != NULL;
}

static bool has_temporary(struct comparison *c, const struct schema_object *table)
{
    struct str temporary = schema_alter_temporary(c->a, table->name);
    bool taken = false;
    for (unsigned kind = 0; kind < SCHEMA_KIND_COUNT; kind++)
        taken |= find(c->sides->parent, (enum schema_kind)kind, temporary) != NULL ||
                 find(c->sides->branch, (enum schema_kind)kind, temporary) != NULL;
    return taken;
}

static void rebuild(struct comparison *c, struct schema_change *change)
{
    const struct schema_object *was = change->parent, *is = change->branch;
    if (refers_to_renamed(c, is))
        change->by_hand = REFERS_RENAMED;
    else if (is_referred(c->sides->parent, was->name)) /* dropping it would take their rows along */
        change->by_hand = MORE_THAN_COLUMNS;
    else if (has_temporary(c, was))
        change->by_hand = NAME_TAKEN;
    else if (!schema_alter_rebuild(c->a, was, is, &change->alters))
        change->by_hand = COLUMNS_MOVED;
    else {
        change->remark = AS_REBUILT;
        change->rebuilt = true;
    }
}

/* The parent left it as it was. */
static void alter(struct comparison *c, struct schema_change *change)
{
    struct schema_statement *ours;
    struct schema_rename *renames;
    bool sure;
    const struct schema_object *was = change->parent, *is = change->branch;
    if (is_virtual(was) || is_virtual(is)) {
        change->by_hand = IS_VIRTUAL;
        return;
    }
    if (new_columns(c->a, was->sql, is->sql, &ours) &&
        alter_table(c->a, was->name, ours, NULL, &change->alters))
        return;
    if (schema_alter_renames(c->a, was, is, &renames, &change->alters, &sure)) {
        change->remark = sure ? AS_RENAMED : NULL;
        change->by_hand = sure ? NULL : RENAMED_OR_NEW;
    } else if (schema_alter_drops(c->a, was, is, &change->alters))
        change->remark = AS_DROPPED;
    else if (schema_alter_follows(was->sql, is->sql, c->renames)) {
        change->remark = AS_FOLLOWED;
        change->alters = NULL;
    } else
        rebuild(c, change);
}

static void compare_table(struct comparison *c, const struct schema_object *base,
    const struct schema_object *parent, const struct schema_object *branch)
{
    struct schema_change change = {.parent = parent, .branch = branch};
    if (!is_same(base, parent)) {
        compare_both(c, base, parent, branch);
        return;
    }
    alter(c, &change);
    note(c, &c->changed, &change);
}

/* Whoever speaks of these columns has other words for them. */
static void gather_renames(struct comparison *c)
{
    struct schema_rename **end = &c->renames;
    for (const struct schema_object *o = c->sides->branch; o; o = o->next) {
        const struct schema_object *parent = find(c->sides->parent, SCHEMA_TABLE, o->name);
        struct schema_statement *ignored;
        bool sure;
        if (o->kind != SCHEMA_TABLE || !parent || is_same(parent, o) ||
            !is_same(find(c->sides->base, SCHEMA_TABLE, o->name), parent))
            continue;
        if (!schema_alter_renames(c->a, parent, o, end, &ignored, &sure))
            *end = NULL;
        while (*end)
            end = &(*end)->next;
    }
}

static void compare_one(struct comparison *c, const struct schema_object *branch)
{
    const struct schema_object *base = find(c->sides->base, branch->kind, branch->name);
    const struct schema_object *parent = find(c->sides->parent, branch->kind, branch->name);
    struct schema_change change = {.parent = parent, .branch = branch};
    if (is_same(parent, branch) || is_same(base, branch))
        return;
    if (!parent && !base) {
        change.waits = may_have_old_name(c, branch);
        note(c, &c->added, &change);
    } else if (parent && branch->kind == SCHEMA_TABLE)
        compare_table(c, base, parent, branch);
    else {
        bool ours = is_same(base, parent) || c->sides->base_unknown;
        change.by_hand = !parent ? PARENT_REMOVED : ours ? NULL : BOTH_CHANGED;
        note(c, &c->changed, &change);
    }
}

/* Has the parent made what goes with a table when it is removed? */
static bool has_more(const struct schema_sides *s, const struct schema_object *table)
{
    for (const struct schema_object *o = s->parent; o; o = o->next)
        if ((o->kind == SCHEMA_INDEX || o->kind == SCHEMA_TRIGGER) && str_eq_nocase(o->table, table->name) &&
            !find(s->base, o->kind, o->name))
            return true;
    return false;
}

/* Of those that go, the ones that are dropped before it, because they were made later, are no matter. */
static bool is_referred_by_kept(struct comparison *c, const struct schema_object *table)
{
    for (const struct schema_object *o = c->sides->parent; o; o = o->next) {
        const struct schema_change *gone = c->diff->removed;
        while (gone && !(gone->parent == o && !gone->by_hand))
            gone = gone->next;
        if (!gone && o != table && o->kind == SCHEMA_TABLE && schema_text_refers(o->sql, table->name))
            return true;
    }
    return false;
}

static void compare_removed(struct comparison *c, const struct schema_object *parent)
{
    const struct schema_object *base = find(c->sides->base, parent->kind, parent->name);
    struct schema_change change = {.parent = parent};
    if (!base || find(c->sides->branch, parent->kind, parent->name))
        return;
    if (!is_same(base, parent))
        change.by_hand = BRANCH_REMOVED;
    else if (has_more(c->sides, parent))
        change.by_hand = MORE_ON_IT;
    else if (may_have_new_name(c, base))
        change.by_hand = TABLE_RENAMED;
    else if (parent->kind == SCHEMA_TABLE && is_referred_by_kept(c, parent))
        change.by_hand = OTHERS_REFER;
    note(c, &c->removed, &change);
}

/* The last made first, because what was made later may need what was made before. */
static void compare_all_removed(struct comparison *c)
{
    size_t count = 0, at = 0;
    for (const struct schema_object *o = c->sides->parent; o; o = o->next)
        count++;
    const struct schema_object **all = arena_alloc(c->a, (count + 1) * sizeof(all[0]));
    for (const struct schema_object *o = c->sides->parent; all && o; o = o->next)
        all[at++] = o;
    while (at > 0) /* arena_failed() tells when there is none */
        compare_removed(c, all[--at]);
}

/* --- In an order that runs --- */

static bool is_gone(const struct schema_diff *d, struct str table)
{
    for (const struct schema_change *c = d->removed; c; c = c->next)
        if (c->parent->kind == SCHEMA_TABLE && str_eq_nocase(c->parent->name, table))
            return true;
    return false;
}

static bool is_by_hand(const struct schema_change *list, struct str table)
{
    for (; list; list = list->next) {
        const struct schema_object *o = list->branch ? list->branch : list->parent;
        if ((list->by_hand || list->waits) && o->kind == SCHEMA_TABLE && str_eq_nocase(o->name, table))
            return true;
    }
    return false;
}

/* Beside what people do: views and triggers may speak of anything, an index speaks of its table. */
static bool is_told(const struct schema_diff *d, const struct schema_change *c)
{
    const struct schema_object *o = c->branch ? c->branch : c->parent;
    if (c->by_hand || c->waits)
        return false;
    if (!d->by_hand || o->kind == SCHEMA_TABLE)
        return true;
    return o->kind == SCHEMA_INDEX && !is_by_hand(d->changed, o->table) &&
           !is_by_hand(d->removed, o->table) && !is_by_hand(d->added, o->table);
}

static void drop_all(
    struct builder *b, const struct schema_diff *d, const struct schema_change *list, enum schema_kind kind)
{
    static const char *const words[SCHEMA_KIND_COUNT] = {"TABLE", "VIEW", "INDEX", "TRIGGER"};
    for (; list; list = list->next) {
        const struct schema_object *o = list->parent;
        bool with_table = kind == SCHEMA_INDEX || kind == SCHEMA_TRIGGER;
        if (is_told(d, list) && o->kind == kind && !(with_table && is_gone(d, o->table)))
            add(b, about(b->a, "DROP ", words[kind], o->name, "", STR_EMPTY));
    }
}

static void create_all(
    struct builder *b, const struct schema_diff *d, const struct schema_change *list, enum schema_kind kind)
{
    for (; list; list = list->next)
        if (is_told(d, list) && list->branch->kind == kind)
            add(b, list->branch->sql);
}

static bool is_rebuilt(const struct schema_diff *d, struct str table)
{
    const struct schema_change *c = d->changed;
    while (c && !(c->rebuilt && (!table.ptr || str_eq_nocase(c->parent->name, table))))
        c = c->next;
    return c != NULL;
}

static bool is_dropped(
    const struct schema_diff *d, const struct schema_change *list, const struct schema_object *o)
{
    while (list && !(list->parent == o && is_told(d, list)))
        list = list->next;
    return list != NULL;
}

static bool is_changed_view(const struct schema_diff *d, struct str name)
{
    const struct schema_change *c = d->changed;
    while (c && !(c->parent && c->parent->kind == SCHEMA_VIEW && is_told(d, c) &&
                    str_eq_nocase(c->parent->name, name)))
        c = c->next;
    return c != NULL;
}

/* Views and triggers may speak of a table that is made anew, its indexes go with it, and triggers with the
 * view they are of: those that stay as they are, are made again. */
static bool is_made_again(const struct schema_diff *d, const struct schema_object *o, enum schema_kind kind)
{
    bool rests = kind == SCHEMA_INDEX ? is_rebuilt(d, o->table) : is_rebuilt(d, (struct str){NULL, 0});
    rests |= kind == SCHEMA_TRIGGER && is_changed_view(d, o->table);
    return rests && o->kind == kind && !is_dropped(d, d->changed, o) && !is_dropped(d, d->removed, o) &&
           !(kind == SCHEMA_TRIGGER && is_gone(d, o->table));
}

static void drop_again(struct builder *b, const struct schema_diff *d, const struct schema_object *parent)
{
    for (const struct schema_object *o = parent; o; o = o->next)
        if (is_made_again(d, o, SCHEMA_TRIGGER))
            add(b, about(b->a, "DROP ", "TRIGGER", o->name, "", STR_EMPTY));
    for (const struct schema_object *o = parent; o; o = o->next)
        if (is_made_again(d, o, SCHEMA_VIEW))
            add(b, about(b->a, "DROP ", "VIEW", o->name, "", STR_EMPTY));
}

static void order(struct arena *a, struct schema_diff *d, const struct schema_object *parent)
{
    static const enum schema_kind drops[] = {SCHEMA_TRIGGER, SCHEMA_VIEW, SCHEMA_INDEX};
    static const enum schema_kind creates[] = {SCHEMA_INDEX, SCHEMA_VIEW, SCHEMA_TRIGGER};
    struct builder b = {a, &d->statements};
    drop_again(&b, d, parent);
    for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
        drop_all(&b, d, d->removed, drops[i]);
        drop_all(&b, d, d->changed, drops[i]);
    }
    drop_all(&b, d, d->removed, SCHEMA_TABLE);
    create_all(&b, d, d->added, SCHEMA_TABLE);
    for (const struct schema_change *c = d->changed; c; c = c->next)
        for (const struct schema_statement *s = c->by_hand ? NULL : c->alters; s; s = s->next)
            add(&b, s->sql);
    for (size_t i = 0; i < ARRAY_LEN(creates); i++) {
        for (const struct schema_object *o = parent; o; o = o->next)
            if (is_made_again(d, o, creates[i]))
                add(&b, o->sql);
        create_all(&b, d, d->changed, creates[i]);
        create_all(&b, d, d->added, creates[i]);
    }
}

enum err_code schema_diff(
    struct arena *a, const struct schema_sides *sides, struct schema_diff *ret, struct err *err)
{
    struct comparison c = {a, sides, ret, &ret->added, &ret->changed, &ret->removed, NULL};
    *ret = (struct schema_diff){.base_unknown = sides->base_unknown};
    gather_renames(&c);
    for (const struct schema_object *o = sides->branch; o; o = o->next)
        compare_one(&c, o);
    compare_all_removed(&c);
    order(a, ret, sides->parent);
    return arena_failed(a) ? err_set(err, ERR_TOO_LARGE, "the schemas are too large to be compared") : ERR_OK;
}
