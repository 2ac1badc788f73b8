/* Asking invariants. */
#include "engine/invariant.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/proposal_view.h"
#include "engine/rowsec.h"
#include "engine/rule.h"
#include "engine/schema_state.h"

enum { ROWS_TOLD = 20, TOLD_BYTES_MAX = 256 << 10, LOADED_BYTES_MAX = 16 << 20 };

struct invariants {
    struct arena arena;
    struct invariant *first;
};

/* --- What is stored --- */

void invariants_forget(struct engine *eng)
{
    if (!eng->invariants)
        return;
    arena_release(&eng->invariants->arena);
    mem_free(eng->invariants);
    eng->invariants = NULL;
}

static enum err_code read_all(struct op *op, struct invariants *all, struct err *err)
{
    struct binding b = binding_of(op, OWN_INVARIANTS);
    struct invariant **tail = &all->first;
    while (binding_step(op, &b)) {
        struct invariant *i = arena_alloc(&all->arena, sizeof *i);
        if (!i)
            break;
        *i = (struct invariant){.id = catalog_text(&all->arena, b.stmt, 0),
            .name = catalog_text(&all->arena, b.stmt, 1),
            .query = catalog_text(&all->arena, b.stmt, 2),
            .note = catalog_text(&all->arena, b.stmt, 3),
            .created_ms = sqlite3_column_int64(b.stmt, 4),
            .people_only = sqlite3_column_int64(b.stmt, 5) != 0,
            .reads = {NULL, 0}};
        *tail = i;
        tail = &i->next;
    }
    enum err_code code = binding_end(op, &b, err);
    if (!code && arena_failed(&all->arena))
        return err_set(err, ERR_TOO_LARGE, "the invariants are too large");
    return code;
}

enum err_code invariants_load(struct op *op, struct invariant **ret, struct err *err)
{
    struct engine *eng = op->eng;
    enum err_code code = ERR_OK;
    if (eng->cfg.mode == ENGINE_READER)
        invariants_forget(eng); /* another engine writes them */
    if (!eng->invariants) {
        eng->invariants = MEM_NEW(struct invariants);
        arena_init(&eng->invariants->arena, LOADED_BYTES_MAX);
        code = read_all(op, eng->invariants, err);
    }
    if (code)
        invariants_forget(eng);
    *ret = code ? NULL : eng->invariants->first;
    return code;
}

/* --- Which are due --- */

static struct invariant *known(struct op *op)
{
    return op->eng->invariants ? op->eng->invariants->first : NULL;
}

void invariants_begin(struct op *op)
{
    struct err ignored = ERR_INIT;
    struct invariant *i;
    if (invariants_load(op, &i, &ignored))
        op->error_detail = STR_EMPTY; /* the check tries again, and tells */
    for (; i; i = i->next)
        i->due = false;
}

static bool has_name(struct str names, struct str name)
{
    struct str one;
    while (str_cut(&names, '\0', &one)) {
        if (one.len && str_eq_nocase(one, name))
            return true;
    }
    return false;
}

static bool meet(struct str reads, struct str writes)
{
    struct str one;
    while (str_cut(&writes, '\0', &one)) {
        if (one.len && has_name(reads, one))
            return true;
    }
    return false;
}

/* Under policies the writes are done by statements of ours, which this one only sets off. */
void invariants_touch(struct op *op, const struct cached *c)
{
    bool unknown = !c->written.ptr || sql_verb_changes_schema(c->verb) || op->eng->guard.rowsec;
    for (struct invariant *i = c->reads ? NULL : known(op); i; i = i->next)
        i->due |= unknown || !i->reads.ptr || meet(i->reads, c->written);
}

void invariants_touch_all(struct op *op)
{
    for (struct invariant *i = known(op); i; i = i->next)
        i->due = true;
}

/* --- Asking --- */

static void write_row(struct jsonw *w, sqlite3_stmt *stmt)
{
    jsonw_array(w);
    for (int i = 0; i < sqlite3_column_count(stmt); i++)
        op_write_column(w, stmt, i);
    jsonw_array_end(w);
}

static void write_names(struct jsonw *w, sqlite3_stmt *stmt)
{
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (int i = 0; i < sqlite3_column_count(stmt); i++)
        jsonw_cstr(w, sqlite3_column_name(stmt, i));
    jsonw_array_end(w);
}

static int step(struct op *op, sqlite3_stmt *stmt)
{
    struct guard_saved saved = guard_enter_own(&op->eng->guard);
    int rc = sqlite3_step(stmt);
    guard_leave(&op->eng->guard, saved);
    return rc;
}

/* Its rows may be of tables that the caller does not see. */
static void tell_rows(struct op *op, const struct invariant *i, sqlite3_stmt *stmt)
{
    AUTO_STRBUF out;
    struct jsonw w;
    bool all = !op->call.has_table_scope && !op->eng->guard.rowsec;
    int rc = SQLITE_ROW, told = 0;
    strbuf_init(&out, TOLD_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    JSONW_TEXT(&w, "id", i->id);
    JSONW_TEXT(&w, "name", i->name);
    JSONW_TEXT_OR_NULL(&w, "note", i->note);
    if (all)
        write_names(&w, stmt);
    jsonw_key(&w, "rows");
    jsonw_array(&w);
    for (; all && rc == SQLITE_ROW && told < ROWS_TOLD && !strbuf_failed(&out); rc = step(op, stmt), told++)
        write_row(&w, stmt);
    jsonw_array_end(&w);
    JSONW_BOOL(&w, "truncated", !all || rc != SQLITE_DONE);
    jsonw_object_end(&w);
    op->invariant = strbuf_failed(&out) ? STR_EMPTY : arena_copy(op->arena, strbuf_str(&out));
}

static enum err_code broken(const struct invariant *i, struct err *err)
{
    return err_set(err, ERR_INVARIANT,
        "The invariant \"" STR_FMT
        "\" would not hold: nothing was changed. Its rows are what is wrong" STR_FMT STR_FMT,
        STR_ARG(i->name), STR_ARG(i->note.ptr ? S(": ") : STR_EMPTY),
        STR_ARG(i->note.ptr ? i->note : STR_EMPTY));
}

static enum err_code cannot_ask(
    struct op *op, const struct invariant *i, const char *because, struct err *err)
{
    char why[200];
    enum err_code late = op_check_time(op, err);
    if (late)
        return late;
    str_print_cut(why, sizeof why, "%s", because);
    op->error_detail = STR_EMPTY;
    return err_set(err, ERR_INVARIANT,
        "The invariant \"" STR_FMT
        "\" cannot be asked any more (%s): nothing was changed. An admin may delete it; with "
        "row-level security it must say main.<table>, and it goes through no view",
        STR_ARG(i->name), why);
}

static bool is_view(struct op *op, struct str name)
{
    struct err ignored = ERR_INIT;
    const struct guard *g = &op->eng->guard;
    if (g->rowsec && rowsec_is_shadow(g->rowsec, name))
        return true;
    struct binding b = binding_of(op, OWN_VIEW);
    bind_text(&b, name);
    bool found = binding_step(op, &b);
    return binding_end(op, &b, &ignored) || found;
}

/* What is no view of these names is a common table expression of the query's own. */
static enum err_code check_views(
    struct op *op, const struct invariant *i, const struct guard_names *through, struct err *err)
{
    struct str names = str_make(through->text, through->len), one;
    while (str_cut(&names, '\0', &one)) {
        if (one.len && is_view(op, one))
            return cannot_ask(op, i, "it goes through a view", err);
    }
    return through->full ? cannot_ask(op, i, "it has too many names", err) : ERR_OK;
}

/* What it keeps would go on under a name that it does not ask, and another table stand in its place. */
static enum err_code check_places(
    struct op *op, const struct invariant *i, const struct guard_names *reads, struct err *err)
{
    struct str names = str_make(reads->text, reads->len), one;
    if (!i->people_only || !op->deeds || rules_of_person(op))
        return ERR_OK;
    while (str_cut(&names, '\0', &one)) {
        struct str now = one.len ? schema_went(op, one) : STR_EMPTY;
        if (now.len)
            return err_set(err, ERR_INVARIANT,
                "The invariant \"" STR_FMT "\" is kept by people and asks the table \"" STR_FMT
                "\", whose rows would be in \"" STR_FMT
                "\" and another table in its place: nothing was changed. "
                "A person may do this, or drop the old table in the same write",
                STR_ARG(i->name), STR_ARG(one), STR_ARG(now));
    }
    return reads->full ? cannot_ask(op, i, "it has too many names", err) : ERR_OK;
}

static enum err_code prepare(struct op *op, struct invariant *i, sqlite3_stmt **ret, struct err *err)
{
    struct guard *g = &op->eng->guard;
    struct guard_names names = {.len = 0}, through = {.len = 0};
    g->own_reads = true;
    struct guard_saved saved = guard_enter_own(g);
    g->names = &names;
    g->accessors = &through;
    int rc = sqlite3_prepare_v2(op->eng->db, i->query.ptr, (int)i->query.len, ret, NULL);
    g->names = g->accessors = NULL;
    guard_leave(g, saved);
    if (rc != SQLITE_OK || !*ret)
        return cannot_ask(op, i, sqlite3_errmsg(op->eng->db), err);
    if (!i->reads.ptr && !names.full && op->eng->invariants && !g->rowsec)
        i->reads = arena_copy(&op->eng->invariants->arena, str_make(names.text, names.len));
    enum err_code code = check_views(op, i, &through, err);
    return code ? code : check_places(op, i, &names, err);
}

static enum err_code ask(struct op *op, struct invariant *i, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    enum err_code code = prepare(op, i, &stmt, err);
    if (code)
        return code;
    int rc = step(op, stmt);
    if (rc == SQLITE_DONE)
        return ERR_OK;
    if (rc != SQLITE_ROW)
        return cannot_ask(op, i, sqlite3_errmsg(op->eng->db), err);
    tell_rows(op, i, stmt);
    return broken(i, err);
}

static enum err_code too_long(struct op *op, const struct invariant *i, struct err *err)
{
    op->error_detail = STR_EMPTY;
    return err_set(err, ERR_INVARIANT,
        "The invariant \"" STR_FMT "\" took too long: more than %d ms of processor time, while other writes "
        "waited; nothing was changed. "
        "An admin may exchange it for one that an index answers",
        STR_ARG(i->name), (int)LIMIT_INVARIANT_MS);
}

/* Its end is not that of the call, which goes on to take itself back. */
enum err_code invariant_ask(struct op *op, struct invariant *i, struct err *err)
{
    struct engine *eng = op->eng;
    op->invariant = STR_EMPTY;
    eng->invariant_until_us = clock_cpu_us() + LIMIT_INVARIANT_MS * 1000;
    enum err_code code = ask(op, i, err);
    eng->invariant_until_us = 0;
    if (eng->stop != STOP_INVARIANT)
        return code;
    eng->stop = STOP_NONE;
    return op->invariant.len ? code : too_long(op, i, err);
}

enum err_code invariants_check(struct op *op, struct err *err)
{
    struct invariant *i;
    enum err_code code = invariants_load(op, &i, err);
    for (; i && !code; i = i->next)
        code = i->due ? invariant_ask(op, i, err) : ERR_OK;
    return code;
}

enum err_code invariants_broken(struct op *op, struct str *ret, struct err *err)
{
    AUTO_STRBUF out;
    struct jsonw w;
    enum err_code code = ERR_OK;
    strbuf_init(&out, TOLD_BYTES_MAX);
    jsonw_init(&w, &out);
    jsonw_array(&w);
    for (struct invariant *i = known(op); i && !code; i = i->next) {
        struct err why = ERR_INIT;
        enum err_code one = i->due ? invariant_ask(op, i, &why) : ERR_OK;
        if (one == ERR_INVARIANT)
            jsonw_text(&w, i->name);
        else if (one)
            code = err_set(err, one, "%s", why.message);
    }
    jsonw_array_end(&w);
    op->invariant = STR_EMPTY;
    *ret = strbuf_failed(&out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&out));
    return !code && !ret->ptr ? err_set(err, ERR_TOO_LARGE, "too many invariants are broken") : code;
}
