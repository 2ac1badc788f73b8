/* Remarks of a dump. */
#include "engine/import_remarks.h"
#include "engine/descriptions.h"
#include "engine/dump_sql.h"
#include "json/jsonr.h"

struct import_remark {
    struct import_remark *next;
    struct str json;
};

void import_remarks_init(struct import_remarks *r, struct op *op)
{
    *r = (struct import_remarks){.op = op};
    r->tail = &r->first;
}

static void take_description(struct import_remarks *r, struct str json)
{
    if (r->count == REMARKS_DESCRIPTIONS_MAX)
        return;
    struct import_remark *remark = arena_alloc(r->op->arena, sizeof *remark);
    struct str copy = arena_copy(r->op->arena, json);
    if (!remark || !copy.ptr)
        return; /* the arena remembers */
    *remark = (struct import_remark){NULL, copy};
    *r->tail = remark;
    r->tail = &remark->next;
    r->count++;
}

void import_remarks_take(struct import_remarks *r, struct str comment)
{
    struct str description = S(DUMP_DESCRIPTION), note = S(DUMP_NOTE);
    if (str_starts(comment, description)) {
        take_description(r, str_trim(str_slice(comment, description.len, comment.len)));
    } else if (str_starts(comment, note) && r->note_count < REMARKS_NOTES_MAX) {
        struct str text = str_trim(str_slice(comment, note.len, comment.len));
        struct str copy = arena_copy(r->op->arena, str_slice(text, 0, ERR_MESSAGE_MAX));
        if (copy.ptr)
            r->notes[r->note_count++] = copy;
    }
}

/* A member's text; "" when it is absent or no text. */
static struct str text_of(const struct jsonr_value *root, const char *name)
{
    const struct jsonr_value *v = jsonr_member(root, str_of(name));
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

static enum err_code store(
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

enum err_code import_remarks_store(struct import_remarks *r, struct arena *scratch, struct err *err)
{
    struct catalog cat;
    enum err_code code = r->first ? catalog_of_op(r->op, &cat, err) : ERR_OK;
    for (const struct import_remark *remark = r->first; remark && !code; remark = remark->next) {
        const struct jsonr_value *root;
        arena_release(scratch);
        if (jsonr_parse(scratch, remark->json, &root, NULL) || jsonr_kind(root) != JSONR_OBJECT)
            continue; /* somebody's own remark */
        code = store(r, &cat, root, err);
    }
    return code;
}
