/* POST …/import?table=&format=sql|csv|ndjson (admin): one transaction, all or nothing. Reads the file in
 * `in/` that the front names with file=, or the body. csv and ndjson fill the table named by table=, and make
 * it when it is absent. data: {"rows", "bytesRead", "tables":[…], "durationMs"}, for sql also
 * "statements", "descriptions", "policies" (how many were stored) and "notes":[…] (what the dump could not
 * hold), for csv and ndjson "created". */
#include "engine/op_import.h"
#include "base/clock.h"
#include "engine/engine_dir.h"
#include "engine/invariant.h"
#include "engine/rule.h"

static enum err_code open_source(struct op *op, struct import_source *in, struct err *err)
{
    char path[FS_PATH_MAX];
    struct str file = wire_arg(&op->call, "file");
    if (!file.ptr) {
        import_source_memory(in, op->call.body);
        return ERR_OK;
    }
    /* A name the front made: one component below in/. */
    struct str name = str_slice(file, 3, file.len);
    if (!str_starts(file, S("in/")) || name.len == 0 || name.ptr[0] == '.' ||
        memchr(name.ptr, '/', name.len) || memchr(name.ptr, '\0', name.len) || file.len > 200)
        return err_field(err, "/file", "must name a file in in/");
    struct str copy = arena_copy(op->arena, file);
    if (!copy.ptr)
        return err_set(err, ERR_TOO_LARGE, "the call is too large");
    engine_dir_path(op, copy.ptr, path);
    return import_source_file(in, path, err);
}

void import_note_table(struct import *im, struct str table)
{
    if (table.len == 0 || im->table_count >= IMPORT_TABLES_MAX || map_get(&im->tables, table))
        return;
    struct str *slot = &im->table_names[im->table_count];
    *slot = arena_copy(im->op->arena, table);
    if (!slot->ptr)
        return; /* the answer lists fewer names */
    map_put(&im->tables, table, slot);
    im->table_count++;
}

static void write_remarks(struct jsonw *w, const struct import_remarks *r)
{
    JSONW_INT(w, "descriptions", r->stored);
    JSONW_INT(w, "policies", r->policies);
    jsonw_key(w, "notes");
    jsonw_array(w);
    for (int i = 0; i < r->note_count; i++)
        jsonw_text(w, r->notes[i]);
    jsonw_array_end(w);
}

static void write_answer(struct import *im, bool sql, int64_t started_us)
{
    struct jsonw *w = im->op->w;
    jsonw_object(w);
    if (sql)
        JSONW_INT(w, "statements", (int64_t)im->statements);
    JSONW_INT(w, "rows", (int64_t)im->rows);
    JSONW_INT(w, "bytesRead", (int64_t)im->in.offset);
    jsonw_key(w, "tables");
    jsonw_array(w);
    for (size_t i = 0; i < im->table_count; i++)
        jsonw_text(w, im->table_names[i]);
    jsonw_array_end(w);
    if (sql)
        write_remarks(w, &im->remarks);
    else
        JSONW_BOOL(w, "created", im->created);
    JSONW_INT(w, "durationMs", (clock_mono_us() - started_us) / 1000);
    jsonw_object_end(w);
}

static enum err_code run_format(struct import *im, struct str format, struct str table, struct err *err)
{
    if (str_eq(format, S("sql")))
        return import_sql(im, err);
    if (table.len == 0)
        return err_field(err, "/table", "is required: csv and ndjson hold one table");
    if (op_name_reserved(table))
        return err_field(err, "/table", "\"" STR_FMT "\" is a reserved name", STR_ARG(table));
    if (!op_table_visible(im->op, table))
        return err_set(
            err, ERR_FORBIDDEN, "Token scope does not include table \"" STR_FMT "\"", STR_ARG(table));
    return str_eq(format, S("csv")) ? import_csv(im, table, err) : import_ndjson(im, table, err);
}

struct running {
    struct import *im;
    struct str format, table;
};

static enum err_code run_it(void *arg, struct err *err)
{
    const struct running *r = arg;
    return run_format(r->im, r->format, r->table, err);
}

enum err_code op_run_IMPORT(struct op *op, struct err *err)
{
    struct import im = {.op = op};
    int64_t started_us = clock_mono_us();
    struct str format = wire_arg(&op->call, "format"), table = wire_arg(&op->call, "table");
    if (op->call.role != WIRE_ROLE_ADMIN)
        return err_set(err, ERR_FORBIDDEN, "an import needs the admin role");
    if (!format.ptr)
        format = S("sql");
    bool sql = str_eq(format, S("sql"));
    if (!sql && !str_eq(format, S("csv")) && !str_eq(format, S("ndjson")))
        return err_field(err, "/format", "must be \"sql\", \"csv\" or \"ndjson\"");
    invariants_touch_all(op);
    enum err_code code = open_source(op, &im.in, err);
    if (code)
        return code;
    im.table_names = arena_need(op->arena, IMPORT_TABLES_MAX * sizeof *im.table_names);
    arena_init(&im.scratch, IMPORT_SCRATCH_MAX);
    map_init(&im.tables);
    import_remarks_init(&im.remarks, op);
    struct running run = {&im, format, table};
    code = judged_import(op, run_it, &run, err);
    if (!code) {
        op->head.rows_written += im.rows;
        write_answer(&im, sql, started_us);
    }
    map_release(&im.tables);
    arena_release(&im.scratch);
    import_source_release(&im.in);
    return code;
}
