/* Columns and keys of a table, as the recorder needs them. */
#include "engine/change_table.h"
#include "engine/engine_state.h"

static struct str copy_text(struct recorder *r, sqlite3_stmt *stmt, int column)
{
    struct str s = str_make(sqlite3_column_text(stmt, column), (size_t)sqlite3_column_bytes(stmt, column));
    struct str copy = arena_copy(&r->arena, s.ptr ? s : STR_EMPTY);
    return copy.ptr ? copy : STR_EMPTY;
}

/* SQL of ours, while a statement of the tenant's is running. `name` takes the place of %w. */
static sqlite3_stmt *prepare(struct recorder *r, const char *fmt, struct str name)
{
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf(fmt, name.ptr);
    struct guard_saved saved = guard_enter_own(&r->eng->guard);
    int rc = sql ? sqlite3_prepare_v2(r->from ? r->from : r->eng->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;
    guard_leave(&r->eng->guard, saved);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? stmt : NULL;
}

static bool end(sqlite3_stmt *stmt, int rc)
{
    (void)sqlite3_finalize(stmt); /* repeats the error of the step */
    return rc == SQLITE_DONE || rc == SQLITE_ROW;
}

/* --- Kinds --- */

static bool read_kind(struct recorder *r, struct recorder_table *t, bool *ret_found, bool *ret_inner)
{
    sqlite3_stmt *stmt = prepare(r, "PRAGMA main.table_list(\"%w\")", t->name);
    int rc = stmt ? own_step(r->eng, stmt) : SQLITE_ERROR;
    *ret_found = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        *ret_inner = str_eq(copy_text(r, stmt, 2), S("shadow"));
        t->without_rowid = sqlite3_column_int(stmt, 4) != 0;
    }
    return end(stmt, rc);
}

static void copy_column(struct recorder *r, struct recorder_table *t, sqlite3_stmt *stmt)
{
    struct recorder_column *c = &t->columns[t->column_count++];
    c->cid = sqlite3_column_int(stmt, 0);
    c->name = copy_text(r, stmt, 1);
    c->key = sqlite3_column_int(stmt, 5) > 0;
}

enum { HIDDEN_GENERATED = 2 /* and above */ };

/* Most tables have few columns, and memory of an arena is cleared. */
static bool room_for_column(struct recorder *r, struct recorder_table *t, size_t *cap)
{
    enum { FIRST = 16 };
    if (t->column_count < *cap)
        return true;
    size_t more = *cap ? 2 * *cap : FIRST;
    struct recorder_column *columns = arena_alloc(&r->arena, more * sizeof *columns);
    if (!columns)
        return false;
    if (t->column_count)
        memcpy(columns, t->columns, t->column_count * sizeof *columns);
    t->columns = columns;
    *cap = more;
    return true;
}

static bool read_columns(struct recorder *r, struct recorder_table *t, size_t *ret_keys, bool *ret_integer)
{
    sqlite3_stmt *stmt = prepare(r, "PRAGMA main.table_xinfo(\"%w\")", t->name);
    int rc = SQLITE_ERROR;
    size_t cap = 0;
    while (stmt && room_for_column(r, t, &cap) && (rc = own_step(r->eng, stmt)) == SQLITE_ROW) {
        if (sqlite3_column_int(stmt, 6) >= HIDDEN_GENERATED)
            continue;
        copy_column(r, t, stmt);
        if (t->columns[t->column_count - 1].key) {
            *ret_integer = str_eq_nocase(copy_text(r, stmt, 2), S("INTEGER"));
            t->alias = (int)t->column_count - 1;
            ++*ret_keys;
        }
    }
    return end(stmt, rc);
}

/* An INTEGER PRIMARY KEY is the row id unless it has an index of its own (DESC makes one). */
static bool read_alias(struct recorder *r, struct recorder_table *t)
{
    sqlite3_stmt *stmt = prepare(r, "PRAGMA main.index_list(\"%w\")", t->name);
    int rc = SQLITE_ERROR;
    while (stmt && (rc = own_step(r->eng, stmt)) == SQLITE_ROW) {
        if (str_eq(str_of((const char *)sqlite3_column_text(stmt, 3)), S("pk")))
            t->alias = -1;
    }
    return end(stmt, rc);
}

/* --- Full-text tables --- */

static const struct str CONTENT = {"_content", 8};
static const struct str INNER[] = {
    {"_content", 8}, {"_data", 5}, {"_idx", 4}, {"_docsize", 8}, {"_config", 7}};

static void name_owner(struct recorder_table *t)
{
    for (size_t i = 0; i < ARRAY_LEN(INNER) && !t->inner_of.len; i++) {
        if (str_ends(t->name, INNER[i]))
            t->inner_of = str_slice(t->name, 0, t->name.len - INNER[i].len);
    }
}

static sqlite3_stmt *columns_of_owner(struct recorder *r, const struct recorder_table *t)
{
    struct str owner = arena_copy(&r->arena, t->inner_of);
    return owner.ptr ? prepare(r, "PRAGMA main.table_xinfo(\"%w\")", owner) : NULL;
}

/* The columns of what it keeps are id, c0, c1 …: numbers of the owner's. One that keeps fewer than it has is
 * as good as one that keeps none. */
static bool name_content_columns(struct recorder *r, struct recorder_table *t)
{
    sqlite3_stmt *stmt = columns_of_owner(r, t);
    int rc = SQLITE_ERROR;
    size_t named = 0, wanted = 0;
    while (stmt && (rc = own_step(r->eng, stmt)) == SQLITE_ROW) {
        int64_t cid = sqlite3_column_int64(stmt, 0), number;
        if (sqlite3_column_int(stmt, 6) != 0)
            continue;
        wanted++;
        for (size_t i = 0; i < t->column_count; i++) {
            struct str name = t->columns[i].name;
            if (!str_starts(name, S("c")) || !str_to_i64(str_slice(name, 1, name.len), 0, 2000, &number) ||
                number != cid || named > i)
                continue;
            t->columns[i].name = copy_text(r, stmt, 1);
            named++;
            break;
        }
    }
    t->bare = t->ignored = named != wanted;
    return end(stmt, rc);
}

/* The id of the kept row is the row id of the table: nobody's column. */
static void drop_id_column(struct recorder_table *t)
{
    for (size_t i = 1; t->alias == 0 && i < t->column_count; i++)
        t->columns[i - 1] = t->columns[i];
    t->column_count -= t->alias == 0;
    t->alias = -1;
}

/* An index without the rows that it indexes. */
static bool look_for_content(struct recorder *r, struct recorder_table *t)
{
    struct str name = arena_printf(&r->arena, STR_FMT "_content", STR_ARG(t->inner_of));
    struct recorder_table *content = name.ptr ? recorder_table_read(r, name) : NULL;
    t->bare = !content || content->gone || content->bare;
    return name.ptr != NULL;
}

static bool read_inner(struct recorder *r, struct recorder_table *t)
{
    name_owner(t);
    t->ignored = !str_ends(t->name, CONTENT);
    if (t->ignored)
        return look_for_content(r, t);
    t->shown = t->inner_of;
    t->has_key = false;
    drop_id_column(t);
    return name_content_columns(r, t);
}

static struct recorder_table *read_table(struct recorder *r, struct str name)
{
    bool found = false, inner = false, integer = false;
    size_t keys = 0;
    struct recorder_table *t = arena_alloc(&r->arena, sizeof *t);
    if (!t)
        return NULL;
    t->name = t->shown = arena_copy(&r->arena, name);
    t->inner_of = STR_EMPTY;
    t->alias = -1;
    t->schema = r->schema;
    t->ignored = op_name_reserved(name);
    if (!t->name.ptr || t->ignored)
        return t->name.ptr ? t : NULL;
    if (!read_kind(r, t, &found, &inner))
        return NULL;
    t->gone = !found;
    if (t->gone)
        return t;
    if (!read_columns(r, t, &keys, &integer))
        return NULL;
    if (t->without_rowid || keys != 1 || !integer)
        t->alias = -1;
    else if (!read_alias(r, t))
        return NULL;
    t->has_key = keys > 0 && t->alias < 0;
    if (inner && !read_inner(r, t))
        return NULL;
    return arena_failed(&r->arena) ? NULL : t;
}

struct recorder_table *recorder_table_read(struct recorder *r, struct str name)
{
    bool known = r->from == NULL && r->expects_schema && r->schema == 0 && r->eng->schema_known;
    struct recorder_table *t = known ? known_table_get(r, name) : NULL;
    if (t)
        return t;
    t = read_table(r, name);
    if (t && known && !t->ignored && !t->gone && !t->inner_of.len)
        known_table_put(r->eng, t);
    return t;
}

static struct str assigned_name(struct strbuf *out, struct str table, struct str column)
{
    strbuf_reset(out);
    strbuf_add_str(out, table);
    strbuf_add_char(out, '\0');
    strbuf_add_str(out, column);
    return strbuf_str(out);
}

/* A table whose rows are updated though nobody told of it is written by a statement that was prepared before:
 * one of a full-text index, or of a policy's. */
void recorder_table_assigns(struct recorder *r, struct recorder_table *t)
{
    AUTO_STRBUF name;
    bool told = false;
    strbuf_init(&name, CHANGE_NAME_MAX);
    for (size_t i = 0; i < t->column_count; i++) {
        struct recorder_column *c = &t->columns[i];
        c->stays = !map_get(&r->assigned, assigned_name(&name, t->name, c->name));
        told |= !c->stays;
        c->stays |= (int)i == t->alias; /* an UPDATE that changes it is another row's */
    }
    for (size_t i = 0; i < t->column_count; i++)
        t->columns[i].stays &= r->told && told && !t->inner_of.len;
}

void recorder_assigns(struct recorder *r, const char *table, const char *column)
{
    AUTO_STRBUF name;
    strbuf_init(&name, CHANGE_NAME_MAX);
    if (r->heard) {
        strbuf_add(r->heard, table, strlen(table) + 1);
        strbuf_add(r->heard, column, strlen(column) + 1);
    }
    if (!r->told || map_put(&r->assigned, assigned_name(&name, str_of(table), str_of(column)), r))
        return;
    r->told = !strbuf_failed(&name);
    for (struct recorder_table *t = r->tables; t; t = t->next) {
        if (str_eq(t->name, str_of(table)) || !r->told)
            recorder_table_assigns(r, t);
    }
}

bool recorder_table_same(const struct recorder_table *a, const struct recorder_table *b)
{
    bool same = a->column_count == b->column_count && a->without_rowid == b->without_rowid &&
                a->alias == b->alias && a->ignored == b->ignored;
    for (size_t i = 0; same && i < a->column_count; i++)
        same = a->columns[i].cid == b->columns[i].cid && a->columns[i].key == b->columns[i].key &&
               str_eq(a->columns[i].name, b->columns[i].name);
    return same;
}

static const char *const ROWIDS[] = {"rowid", "_rowid_", "oid"};

/* A column may have the name of the row id; then it has another one. */
static size_t rowid_of(const struct recorder_table *t)
{
    for (size_t n = 0; n < ARRAY_LEN(ROWIDS); n++) {
        bool taken = false;
        for (size_t i = 0; i < t->column_count; i++)
            taken |= str_eq_nocase(t->columns[i].name, str_of(ROWIDS[n])) && (int)i != t->alias;
        if (!taken)
            return n;
    }
    return ARRAY_LEN(ROWIDS);
}

const char *recorder_table_rowid(const struct recorder_table *t)
{
    size_t n = rowid_of(t);
    return n < ARRAY_LEN(ROWIDS) ? ROWIDS[n] : NULL;
}

static const char *highest_sql(const struct recorder_table *t)
{
    static const char *const SQL[] = {"SELECT max(rowid) FROM main.\"%w\"",
        "SELECT max(_rowid_) FROM main.\"%w\"", "SELECT max(oid) FROM main.\"%w\""};
    size_t n = rowid_of(t);
    return n < ARRAY_LEN(SQL) ? SQL[n] : NULL;
}

bool recorder_table_highest(struct recorder *r, const struct recorder_table *t, int64_t *ret)
{
    const char *sql = highest_sql(t);
    sqlite3_stmt *stmt = sql ? prepare(r, sql, t->name) : NULL;
    int rc = stmt ? own_step(r->eng, stmt) : SQLITE_ERROR;
    *ret = rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER ? sqlite3_column_int64(stmt, 0)
                                                                              : 0;
    return end(stmt, rc);
}
