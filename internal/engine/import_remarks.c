/* Remarks of a dump. */
#include "engine/import_remarks.h"
#include "base/enc.h"
#include "engine/descriptions.h"
#include "engine/dump_sql.h"
#include "engine/op_policy.h"
#include "json/jsonr.h"

enum remark_kind { REMARK_DESCRIPTION, REMARK_POLICY, REMARK_ROW_SECURITY, REMARK_KIND_COUNT };

static const struct str PREFIXES[REMARK_KIND_COUNT] = {
#define PREFIX(z)                                                                                            \
    {                                                                                                        \
        z, sizeof z - 1                                                                                      \
    }
    [REMARK_DESCRIPTION] = PREFIX(DUMP_DESCRIPTION),
    [REMARK_POLICY] = PREFIX(DUMP_POLICY),
    [REMARK_ROW_SECURITY] = PREFIX(DUMP_ROW_SECURITY),
#undef PREFIX
};

struct import_remark {
    struct import_remark *next;
    enum remark_kind kind;
    struct str json;
};

void import_remarks_init(struct import_remarks *r, struct op *op)
{
    *r = (struct import_remarks){.op = op};
    r->tail = &r->first;
}

/* What would close a table is never one too many: the arena is the limit, and fails the import. */
static void keep(struct import_remarks *r, enum remark_kind kind, struct str json)
{
    if (kind == REMARK_DESCRIPTION && r->count++ >= REMARKS_DESCRIPTIONS_MAX)
        return;
    struct import_remark *remark = arena_alloc(r->op->arena, sizeof *remark);
    struct str copy = arena_copy(r->op->arena, json);
    if (!remark || !copy.ptr)
        return; /* the arena remembers */
    *remark = (struct import_remark){NULL, kind, copy};
    *r->tail = remark;
    r->tail = &remark->next;
}

static void add_note(struct import_remarks *r, struct str text)
{
    if (r->note_count == REMARKS_NOTES_MAX)
        return;
    struct str copy = arena_copy(r->op->arena, str_slice(text, 0, utf8_cut(text, ERR_MESSAGE_MAX)));
    if (copy.ptr)
        r->notes[r->note_count++] = copy;
}

void import_remarks_take(struct import_remarks *r, struct str comment)
{
    struct str note = S(DUMP_NOTE);
    for (int kind = 0; kind < REMARK_KIND_COUNT; kind++) {
        if (str_starts(comment, PREFIXES[kind]))
            keep(r, (enum remark_kind)kind, str_trim(str_slice(comment, PREFIXES[kind].len, comment.len)));
    }
    if (str_starts(comment, note))
        add_note(r, str_trim(str_slice(comment, note.len, comment.len)));
}

/* A member's text; "" when it is absent or no text. */
static struct str text_of(const struct jsonr_value *root, const char *name)
{
    const struct jsonr_value *v = jsonr_member(root, str_of(name));
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

static enum err_code store_description(
    struct import_remarks *r, const struct catalog *cat, const struct jsonr_value *root, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(r->op);
    struct str table = text_of(root, "table"), column = text_of(root, "column");
    struct str text = text_of(root, "description");
    const struct cat_table *t = catalog_table(cat, table);
    if (!t)
        t = catalog_view(cat, table);
    const struct cat_column *c = t && column.len ? cat_column(t, column) : NULL;
    bool of_database = table.len == 0 && column.len == 0 && !r->op->call.has_table_scope;
    bool known = t ? c || column.len == 0 : of_database;
    if (!known || text.len == 0 || text.len > DESCRIPTION_MAX)
        return ERR_OK;
    r->stored++;
    return descriptions_set(&src, t ? t->name : STR_EMPTY, c ? c->name : STR_EMPTY, text, err);
}

/* It is told that the table is not protected as the dump says. */
static void note_lost(struct import_remarks *r, const struct jsonr_value *root, const char *why)
{
    struct str text = arena_printf(r->op->arena,
        "a policy or the row-level security of \"" STR_FMT "\" was not taken over: %s",
        STR_ARG(text_of(root, "tableName")), why);
    if (text.ptr)
        add_note(r, text);
}

static enum err_code store_protection(
    struct import_remarks *r, enum remark_kind kind, const struct jsonr_value *root, struct err *err)
{
    struct err conflict = ERR_INIT;
    bool known = true;
    if (!policies_allowed(r->op)) {
        note_lost(r, root, "the token has a table scope");
        return ERR_OK;
    }
    enum err_code code = kind == REMARK_POLICY
                             ? policy_load(r->op, root, &known, &conflict)
                             : policies_close(r->op, text_of(root, "tableName"), &known, &conflict);
    r->policies += !code && known && kind == REMARK_POLICY;
    if (code == ERR_CONFLICT || !known)
        note_lost(r, root, known ? conflict.message : "there is no such table, or it is no policy");
    else if (code)
        *err = conflict;
    return code == ERR_CONFLICT ? ERR_OK : code;
}

enum err_code import_remarks_store(struct import_remarks *r, struct arena *scratch, struct err *err)
{
    struct catalog cat;
    enum err_code code = r->first ? catalog_of_op(r->op, &cat, err) : ERR_OK;
    for (const struct import_remark *remark = r->first; remark && !code; remark = remark->next) {
        const struct jsonr_value *root;
        arena_release(scratch);
        if (jsonr_parse(scratch, remark->json, &root, NULL) || jsonr_kind(root) != JSONR_OBJECT)
            continue; /* somebody's own remark */
        code = remark->kind == REMARK_DESCRIPTION ? store_description(r, &cat, root, err)
                                                  : store_protection(r, remark->kind, root, err);
    }
    if (!code && arena_failed(r->op->arena))
        code = err_set(err, ERR_TOO_LARGE, "the remarks of the dump are too large");
    return code;
}
