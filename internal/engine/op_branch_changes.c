/* What a branch changed since it was made, row by row: GET …/branches/{ref}/diff, and the first half of a
 * merge. Arguments: table=, cursor=, limit= as of a proposal's changes; the front adds .merged= (names in
 * merged/ between commas: what was merged before counts as the base's) and .set= (the file for the change
 * set). Body, if any: {"tables":[…]}. data: {"base" (its id), "baseRows" (did it have rows?), "tables",
 * "rows", "hiddenRows", "truncated", "nextCursor", "notCompared":[{"table","reason"}]}. */
#include "base/limits.h"
#include "base/map.h"
#include "engine/base.h"
#include "engine/branch_set.h"
#include "engine/change_compare.h"
#include "engine/change_view.h"
#include "engine/engine_state.h"
#include "engine/proposal_view.h"
#include "json/jsonr.h"

enum { ROWS_DEFAULT = 100, ROWS_MAX = 1000, PAGE_BYTES = 4 << 20, TRIES = 3, MERGED_MAX = 200 };

static int64_t int_arg(const struct op *op, const char *name, int64_t max, int64_t fallback)
{
    int64_t value;
    struct str text = wire_arg(&op->call, name);
    return text.ptr && str_to_i64(text, 0, max, &value) ? value : fallback; /* the front has checked it */
}

/* --- Which tables --- */

static enum err_code want(struct op *op, struct map *only, struct str name, struct err *err)
{
    struct str lower = arena_copy(op->arena, name);
    bool *there = arena_alloc(op->arena, sizeof *there);
    if (!lower.ptr || !there)
        return err_set(err, ERR_TOO_LARGE, "the call is too large");
    for (char *c = (char *)(uintptr_t)lower.ptr; c < lower.ptr + lower.len; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    (void)map_put(only, lower, there); /* twice is as good as once */
    return ERR_OK;
}

/* A name that is none would otherwise have no changes, silently. */
static enum err_code check_wanted(const struct map *only, struct err *err)
{
    struct str name;
    void *there;
    for (size_t pos = 0; map_next(only, &pos, &name, &there);)
        if (!*(const bool *)there)
            return err_set(err, ERR_NOT_FOUND,
                "The branch has no table \"" STR_FMT "\" whose rows can be compared, and began with none",
                STR_ARG(str_slice(name, 0, 100)));
    return ERR_OK;
}

static enum err_code read_tables(struct op *op, struct map *only, bool *ret_all, struct err *err)
{
    const struct jsonr_value *root, *list = NULL;
    struct str table = wire_arg(&op->call, "table");
    enum err_code code = table.ptr ? want(op, only, table, err) : ERR_OK;
    if (!code && op->call.body.len) {
        code = jsonr_parse(op->arena, op->call.body, &root, err);
        list = !code && jsonr_kind(root) == JSONR_OBJECT ? jsonr_member(root, S("tables")) : NULL;
    }
    bool given = list && jsonr_kind(list) == JSONR_ARRAY;
    for (const struct jsonr_value *v = given ? jsonr_first(list) : NULL; v && !code; v = jsonr_next(v))
        if (jsonr_kind(v) == JSONR_TEXT)
            code = want(op, only, jsonr_text(v), err);
    *ret_all = !table.ptr && !given;
    return code;
}

/* --- What was merged --- */

struct merged {
    struct branch_set sets[MERGED_MAX];
    struct str views[MERGED_MAX];
    size_t count;
};

static enum err_code read_merged(struct op *op, struct merged *m, struct err *err)
{
    struct str rest = wire_arg(&op->call, ".merged"), name;
    enum err_code code = ERR_OK;
    while (!code && rest.len > 0 && str_cut(&rest, ',', &name)) {
        if (m->count == MERGED_MAX)
            return err_set(err, ERR_CONFLICT,
                "the branch was merged %d times: make it anew, or make another one", (int)MERGED_MAX);
        struct str path = arena_printf(op->arena, BASE_MERGED "/" STR_FMT, STR_ARG(name));
        code = branch_set_read(op, path, &m->sets[m->count], err);
        m->views[m->count] = m->sets[m->count].set;
        m->count++;
    }
    return code;
}

/* --- --- */

static enum err_code compare_once(
    struct op *op, struct comparison *c, struct base *b, bool *ret_stood, struct err *err)
{
    strbuf_reset(c->set);
    strbuf_reset(c->whole);
    c->notes = NULL;
    enum err_code code = base_open(op, b, err);
    if (code)
        return code;
    if (b->kind == BASE_NONE)
        return err_set(err, ERR_CONFLICT,
            "What this branch began with is not known: it was restored from a snapshot of a time before "
            "it was made (anew), made by an older version, or its disk was full. Make the branch anew (PUT)");
    c->base = b->db;
    code = change_compare(op, c, err);
    *ret_stood = base_stood(op, b);
    base_close(b);
    return code;
}

static enum err_code compare(struct op *op, struct comparison *c, struct base *b, struct err *err)
{
    bool stood = true;
    for (int i = 0; i < TRIES; i++) {
        enum err_code code = compare_once(op, c, b, &stood, err);
        if (stood)
            return code;
        *err = (struct err)ERR_INIT;
        op->error_detail = STR_EMPTY;
    }
    return err_set(err, ERR_UNAVAILABLE, "the branch is being written too much; try again");
}

static void write_notes(struct jsonw *w, const struct compare_note *n)
{
    jsonw_key(w, "notCompared");
    jsonw_array(w);
    for (; n; n = n->next) {
        jsonw_object(w);
        JSONW_TEXT(w, "table", n->table);
        JSONW_CSTR(w, "reason", n->reason);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static enum err_code answer(struct op *op, const struct comparison *c, const struct base *b, struct err *err)
{
    struct change_view v = {.table = {NULL, 0},
        .from = (uint64_t)int_arg(op, "cursor", INT64_MAX, 0),
        .rows_max = (size_t)int_arg(op, "limit", ROWS_MAX, ROWS_DEFAULT),
        .bytes_max = PAGE_BYTES};
    jsonw_object(op->w);
    JSONW_CSTR(op->w, "base", b->id);
    JSONW_BOOL(op->w, "baseRows", b->kind == BASE_ROWS);
    enum err_code code = change_view_write(&v, strbuf_str(c->set), op->w, err);
    write_notes(op->w, c->notes);
    jsonw_object_end(op->w);
    return code;
}

static enum err_code run(struct op *op, struct comparison *c, struct merged *m, struct err *err)
{
    struct base b;
    struct map only;
    bool all = true;
    map_init(&only);
    enum err_code code = read_tables(op, &only, &all, err);
    c->only = all ? NULL : &only;
    if (!code)
        code = read_merged(op, m, err);
    c->merged = m->views;
    c->merged_count = m->count;
    if (!code)
        code = compare(op, c, &b, err);
    if (!code)
        code = check_wanted(&only, err);
    struct str file = wire_arg(&op->call, ".set");
    if (!code && file.ptr)
        code = branch_set_write(op, file, strbuf_str(c->set), strbuf_str(c->whole), err);
    if (!code)
        code = answer(op, c, &b, err);
    c->only = NULL;
    map_release(&only);
    return code;
}

enum err_code op_run_BRANCH_CHANGES(struct op *op, struct err *err)
{
    AUTO_STRBUF set;
    AUTO_STRBUF whole;
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&whole, (size_t)LIMIT_CHANGE_BYTES);
    struct comparison c = {.set = &set, .whole = &whole};
    if (!proposal_sees_all(op))
        return err_set(err, ERR_FORBIDDEN,
            "This shows all rows: it needs a token with the role admin, without table scope and claims");
    struct merged *m = arena_alloc(op->arena, sizeof *m);
    if (!m)
        return err_set(err, ERR_TOO_LARGE, "the call is too large");
    enum err_code code = run(op, &c, m, err);
    for (size_t i = 0; i < m->count; i++)
        branch_set_release(&m->sets[i]);
    return code;
}
