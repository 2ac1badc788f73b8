/* GET …/schema: the SQL that made the user's objects, as it stands in sqlite_schema, in order of creation.
 * data: {"tables":[{"name","type":"table"|"virtual","sql"}], "indexes":[{"name","table","sql"}],
 * "triggers":[{"name","table","sql"}], "views":[{"name","sql"}], "schemaHash"}. Indexes that a constraint
 * makes are part of their table's SQL. The hash covers kinds, names and SQL of what is shown: it changes
 * exactly when one of them does. For the front (.base=1) a copy tells under "base" what it began with, and
 * under "now" a name of the schema of now that no other has. */
#include "engine/catalog.h"
#include "engine/op.h"
#include "engine/start_schema.h"

/* FNV-1a, 64 bits: tells schemas apart; it does not have to withstand an adversary. */
static void hash_str(uint64_t *hash, struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        *hash = (*hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    *hash = (*hash ^ 0xffu) * 0x100000001b3u; /* never a byte of UTF-8: keeps "ab","c" from "a","bc" */
}

static void write_object(
    struct op *op, const char *kind, struct str name, struct str table, struct str sql, uint64_t *hash)
{
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "name", name);
    if (table.ptr)
        JSONW_TEXT(op->w, "table", table);
    else
        JSONW_CSTR(op->w, "type", kind);
    JSONW_TEXT(op->w, "sql", sql);
    jsonw_object_end(op->w);
    hash_str(hash, str_of(kind));
    hash_str(hash, name);
    hash_str(hash, sql);
}

static const struct str NO_TABLE = {NULL, 0};

static void write_tables(struct op *op, const struct cat_table *list, const char *key, uint64_t *hash)
{
    static const char *const kinds[] = {"table", "virtual", "view"};
    jsonw_key(op->w, key);
    jsonw_array(op->w);
    for (const struct cat_table *t = list; t; t = t->next)
        write_object(op, kinds[t->kind], t->name, NO_TABLE, t->sql, hash);
    jsonw_array_end(op->w);
}

static void write_indexes(struct op *op, const struct catalog *cat, uint64_t *hash)
{
    jsonw_key(op->w, "indexes");
    jsonw_array(op->w);
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
            if (ix->sql.ptr)
                write_object(op, "index", ix->name, t->name, ix->sql, hash);
        }
    }
    jsonw_array_end(op->w);
}

static void write_triggers(struct op *op, const struct cat_table *list, uint64_t *hash)
{
    for (const struct cat_table *t = list; t; t = t->next) {
        for (const struct cat_trigger *tr = t->triggers; tr; tr = tr->next)
            write_object(op, "trigger", tr->name, t->name, tr->sql, hash);
    }
}

static enum err_code write_start(struct op *op, struct err *err)
{
    struct str name;
    enum err_code code = start_schema_name(op, &name, err);
    if (code)
        return code;
    JSONW_TEXT(op->w, "now", name);
    jsonw_key(op->w, "base");
    return start_schema_write(op, err);
}

enum err_code op_run_SCHEMA(struct op *op, struct err *err)
{
    uint64_t hash = 0xcbf29ce484222325u;
    struct catalog cat;
    enum err_code code = catalog_of_op(op, &cat, err);
    if (code)
        return code;
    jsonw_object(op->w);
    write_tables(op, cat.tables, "tables", &hash);
    write_indexes(op, &cat, &hash);
    jsonw_key(op->w, "triggers");
    jsonw_array(op->w);
    write_triggers(op, cat.tables, &hash);
    write_triggers(op, cat.views, &hash);
    jsonw_array_end(op->w);
    write_tables(op, cat.views, "views", &hash);
    JSONW_TEXT(op->w, "schemaHash", arena_printf(op->arena, "%016llx", (unsigned long long)hash));
    if (wire_arg(&op->call, ".base").ptr)
        code = write_start(op, err);
    jsonw_object_end(op->w);
    return code;
}
