/* What SQLite says, as the error a person gets. */
#define _GNU_SOURCE /* memmem, memrchr */
#include "engine/sqlerr.h"
#include "base/enc.h"
#include "base/limits.h"
#include "engine/engine_state.h"
#include "engine/rowsec.h"
#include <stdio.h>

enum { DETAIL_BYTES_MAX = 16 << 10, MESSAGE_BYTES_MAX = 480 };

/* A message of SQLite and what it means. `text` is found anywhere in the message; the name at fault follows
 * it. */
struct pattern {
    const char *text;
    const char *kind;
    enum {
        NAME_NONE,
        NAME_TABLE,
        NAME_COLUMN,
        NAME_COLUMNS,
        NAME_CONSTRAINT,
        NAME_NEAR,
        NAME_HAS_NO,
        NAME_FUNCTION,
        NAME_STORED
    } name;
    const char *hint;
};

static const struct pattern PATTERNS[] = {
    {"UNIQUE constraint failed: index ", "unique_violation", NAME_CONSTRAINT, NULL},
    {"UNIQUE constraint failed: ", "unique_violation", NAME_COLUMNS, NULL},
    {"NOT NULL constraint failed: ", "not_null_violation", NAME_COLUMNS,
        "give the column a value, or the table a DEFAULT"},
    {"CHECK constraint failed: ", "check_violation", NAME_CONSTRAINT,
        "the row breaks a CHECK of its table: see GET …/describe"},
    {"FOREIGN KEY constraint failed", "fk_violation", NAME_NONE, NULL},
    {"foreign key mismatch", "fk_violation", NAME_NONE,
        "the parent columns need a PRIMARY KEY or UNIQUE index"},
    {"cannot store ", "type_mismatch", NAME_STORED, "the table is STRICT: bind a value of the column's type"},
    {"datatype mismatch", "type_mismatch", NAME_NONE, "an INTEGER PRIMARY KEY takes integers only"},
    {"no such table: ", "unknown_table", NAME_TABLE, NULL},
    {"no such view: ", "unknown_table", NAME_TABLE, NULL},
    {" has no column named ", "unknown_column", NAME_HAS_NO, NULL},
    {"no such column: ", "unknown_column", NAME_COLUMN, NULL},
    {"ambiguous column name: ", "unknown_column", NAME_COLUMN,
        "more than one table has this column: write table.column"},
    {"no such function: ", "unknown", NAME_FUNCTION, NULL},
    {"wrong number of arguments to function ", "unknown", NAME_NONE, NULL},
    {"syntax error", "syntax_error", NAME_NEAR, NULL},
    {"unrecognized token: ", "syntax_error", NAME_NEAR,
        "a quote may be open: text is written 'so', names are written \"so\""},
    {"incomplete input", "syntax_error", NAME_NONE, "the statement ends too early"},
    {"too many SQL variables", "too_many_params", NAME_NONE, NULL},
    {"variable number must be between", "too_many_params", NAME_NONE, NULL},
    {"attempt to write a readonly database", "readonly", NAME_NONE, NULL},
    {"parser stack overflow", "syntax_error", NAME_NONE, "the statement is nested too deeply"},
    {"string or blob too big", "unknown", NAME_NONE, "a text, blob or row may have 4,000,000 bytes"},
    {"statement too long", "syntax_error", NAME_NONE,
        "a statement may have 100,000 bytes: bind large values as params"},
    {"may not be modified", "readonly", NAME_NONE, "SQLite keeps this table itself"},
    {"because it is a view", "readonly", NAME_NONE,
        "write to the table behind the view, or give the view an INSTEAD OF trigger"},
    {"database is locked", "database_locked", NAME_NONE, "try again"},
    {"database table is locked", "database_locked", NAME_NONE, "try again"},
};

static const struct pattern UNKNOWN = {"", "unknown", NAME_NONE, NULL};

/* --- Writing the object --- */

static void write_columns(struct jsonw *w, const struct sqlerr_detail *d)
{
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (size_t i = 0; i < d->column_count; i++) {
        jsonw_object(w);
        JSONW_TEXT(w, "table", d->columns[i].table);
        JSONW_TEXT(w, "column", d->columns[i].column);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_detail(struct jsonw *w, const struct sqlerr_detail *d, const char *message)
{
    jsonw_object(w);
    JSONW_CSTR(w, "kind", d->kind);
    JSONW_CSTR(w, "message", message);
    if (d->table.len)
        JSONW_TEXT(w, "table", d->table);
    if (d->column.len)
        JSONW_TEXT(w, "column", d->column);
    if (d->column_count > 1)
        write_columns(w, d);
    if (d->constraint.len)
        JSONW_TEXT(w, "constraint", d->constraint);
    if (d->near.len)
        JSONW_TEXT(w, "near", d->near);
    if (d->position >= 0)
        JSONW_INT(w, "position", d->position);
    if (d->row)
        JSONW_INT(w, "row", *d->row);
    if (d->line)
        JSONW_INT(w, "line", (int64_t)d->line);
    if (d->hint)
        JSONW_CSTR(w, "hint", d->hint);
    jsonw_object_end(w);
}

enum err_code sqlerr_set(
    struct op *op, enum err_code code, const struct sqlerr_detail *d, const char *message, struct err *err)
{
    AUTO_STRBUF text;
    struct jsonw w;
    strbuf_init(&text, DETAIL_BYTES_MAX);
    jsonw_init(&w, &text);
    write_detail(&w, d, message);
    op->error_detail = strbuf_failed(&text) ? STR_EMPTY : arena_copy(op->arena, strbuf_str(&text));
    if (!op->error_detail.ptr)
        op->error_detail = STR_EMPTY;
    return err_set(err, code, "%s", message);
}

void sqlerr_add_line(struct op *op, uint64_t line)
{
    struct str detail = op->error_detail;
    if (detail.len == 0)
        return;
    struct str longer = arena_printf(op->arena, STR_FMT ",\"line\":%llu}",
        STR_ARG(str_slice(detail, 0, detail.len - 1)), (unsigned long long)line);
    if (longer.ptr)
        op->error_detail = longer;
}

enum err_code sqlerr_check_verb(struct op *op, enum sql_verb verb, struct err *err)
{
    struct engine *eng = op->eng;
    if (!guard_refuses_verb(&eng->guard, verb))
        return ERR_OK;
    atomic_fetch_add_explicit(&eng->board->violations, 1, memory_order_relaxed);
    struct sqlerr_detail d = {.kind = "unknown", .position = -1};
    return sqlerr_set(op, ERR_FORBIDDEN, &d, eng->guard.text, err);
}

/* --- Reading the message --- */

static const struct pattern *match(struct str message, struct str *ret_before, struct str *ret_after)
{
    for (size_t i = 0; i < ARRAY_LEN(PATTERNS); i++) {
        struct str text = str_of(PATTERNS[i].text);
        const char *at = message.len ? memmem(message.ptr, message.len, text.ptr, text.len) : NULL;
        if (!at)
            continue;
        *ret_before = str_slice(message, 0, (size_t)(at - message.ptr));
        *ret_after = str_slice(message, (size_t)(at - message.ptr) + text.len, message.len);
        return &PATTERNS[i];
    }
    return &UNKNOWN;
}

static void split_dot(struct str name, struct str *ret_table, struct str *ret_column)
{
    const char *dot = name.len ? memrchr(name.ptr, '.', name.len) : NULL;
    size_t at = dot ? (size_t)(dot - name.ptr) : 0;
    *ret_table = dot ? str_slice(name, 0, at) : STR_EMPTY;
    *ret_column = dot ? str_slice(name, at + 1, name.len) : name;
}

/* "users.email, users.tenant" */
static void read_columns(struct sqlerr_detail *d, struct str list)
{
    struct str part;
    while (d->column_count < SQLERR_COLUMNS_MAX && str_cut(&list, ',', &part)) {
        split_dot(str_trim(part), &d->columns[d->column_count].table, &d->columns[d->column_count].column);
        d->column_count++;
    }
    if (d->column_count > 0) {
        d->table = d->columns[0].table;
        d->column = d->columns[0].column;
    }
}

/* What stands between the first pair of quotes, or the text itself. */
static struct str unquoted(struct str s)
{
    const char *open = s.len ? memchr(s.ptr, '"', s.len) : NULL;
    if (!open)
        return s;
    struct str inside = str_slice(s, (size_t)(open - s.ptr) + 1, s.len);
    const char *close = inside.len ? memrchr(inside.ptr, '"', inside.len) : NULL;
    return close ? str_slice(inside, 0, (size_t)(close - inside.ptr)) : inside;
}

static struct str last_word(struct str s)
{
    const char *space = s.len ? memrchr(s.ptr, ' ', s.len) : NULL;
    return space ? str_slice(s, (size_t)(space - s.ptr) + 1, s.len) : s;
}

static void read_names(struct sqlerr_detail *d, const struct pattern *p, struct str before, struct str after)
{
    struct str schema;
    switch (p->name) {
    case NAME_NONE:
    case NAME_FUNCTION: break;
    case NAME_TABLE: split_dot(after, &schema, &d->table); break;
    case NAME_COLUMN: split_dot(after, &d->table, &d->column); break;
    case NAME_COLUMNS: read_columns(d, after); break;
    case NAME_CONSTRAINT: d->constraint = str_trim(after); break;
    case NAME_NEAR: d->near = unquoted(before.len ? before : after); break;
    case NAME_HAS_NO:
        d->table = last_word(before);
        d->column = after;
        break;
    case NAME_STORED: split_dot(last_word(after), &d->table, &d->column); break;
    }
}

/* Where the name stands, when SQLite does not say. */
static int64_t find_word(struct str sql, struct str name)
{
    struct str word, rest = sql;
    while (name.len > 0 && sql_next_word(&rest, &word)) {
        if (str_eq_nocase(word, name))
            return word.ptr - sql.ptr;
    }
    return -1;
}

/* --- Hints that depend on the statement and the schema --- */

static const char *constraint_hint(const char *kind, enum sql_verb verb)
{
    bool update = verb == SQL_VERB_UPDATE;
    if (strcmp(kind, "unique_violation") == 0)
        return update ? "Another row has this key already."
                      : "Row with this key already exists: use INSERT … ON CONFLICT DO UPDATE, or UPDATE.";
    if (strcmp(kind, "fk_violation") == 0)
        return verb == SQL_VERB_DELETE ? "Other rows still refer to this row: delete or change them first."
                                       : "The row that is referred to does not exist: insert it first.";
    return NULL;
}

static const char *did_you_mean(struct op *op, struct str name)
{
    return name.len ? arena_printf(op->arena, "did you mean \"" STR_FMT "\"?", STR_ARG(name)).ptr : NULL;
}

static bool is_rowid(struct str name)
{
    return str_eq_nocase(name, S("rowid")) || str_eq_nocase(name, S("_rowid_")) ||
           str_eq_nocase(name, S("oid"));
}

static const char *column_hint(struct op *op, struct str sql, struct str column)
{
    if (op->eng->guard.rowsec && is_rowid(column))
        return "under row-level security a table has no rowid: name its INTEGER PRIMARY KEY, which is the "
               "same";
    struct str tables = STR_EMPTY;
    struct str near = sqlerr_near_column(op, sql, column, &tables);
    if (near.len)
        return did_you_mean(op, near);
    return tables.len ? tables.ptr
                      : "text is written in single quotes; names of columns in double quotes or none";
}

static const char *verb_hint(struct op *op, struct str sql)
{
    struct str word, rest = sql, best = STR_EMPTY;
    unsigned least = 3;
    if (sql_verb(sql) != SQL_VERB_NONE || !sql_next_word(&rest, &word))
        return NULL;
    for (int v = SQL_VERB_NONE + 1; v < SQL_VERB_BEGIN; v++) {
        unsigned d = str_distance(word, str_of(sql_verb_name((enum sql_verb)v)));
        if (d < least) {
            least = d;
            best = str_of(sql_verb_name((enum sql_verb)v));
        }
    }
    return did_you_mean(op, best);
}

static const char *hint_for(
    struct op *op, const struct pattern *p, const struct sqlerr_detail *d, struct str sql, struct str after)
{
    if (p->hint)
        return p->hint;
    switch (p->name) {
    case NAME_TABLE: return did_you_mean(op, sqlerr_near_table(op, d->table));
    case NAME_COLUMN:
    case NAME_HAS_NO: return column_hint(op, sql, d->column);
    case NAME_FUNCTION: return did_you_mean(op, sqlerr_near_function(op, after));
    case NAME_NEAR: return verb_hint(op, sql);
    default: return constraint_hint(p->kind, sql_verb(sql));
    }
}

/* SQLite does not say whose CHECK or foreign key it was. Of an INSERT that nothing follows it is the table
 * that it names; a trigger or an upsert may have reached another. */
struct str sqlerr_table_of_row(struct op *op, struct str sql)
{
    struct str word, rest = sql;
    struct rowsec_target into = rowsec_insert_target(op->arena, sql);
    while (sql_next_word(&rest, &word)) {
        if (str_eq_nocase(word, S("CONFLICT")))
            return STR_EMPTY;
    }
    sqlite3_stmt *stmt = into.ok && !into.replaces && into.name.len ? own_get(op->eng, OWN_TRIGGER_ON) : NULL;
    if (!stmt)
        return STR_EMPTY;
    int rc = sqlite3_bind_text64(stmt, 1, into.name.ptr, into.name.len, SQLITE_STATIC, SQLITE_UTF8);
    if (rc == SQLITE_OK)
        rc = own_step(op->eng, stmt);
    (void)sqlite3_reset(stmt);          /* repeats the error of the step */
    (void)sqlite3_clear_bindings(stmt); /* cannot fail */
    return rc == SQLITE_DONE ? into.name : STR_EMPTY;
}

/* --- Entry --- */

static enum err_code refused_by_guard(struct op *op, struct err *err)
{
    struct guard *g = &op->eng->guard;
    struct sqlerr_detail d = {.kind = g->role_too_low ? "readonly" : "unknown", .position = -1};
    char text[GUARD_TEXT_MAX];
    memcpy(text, g->text, sizeof text);
    g->refused = false;
    atomic_fetch_add_explicit(&op->eng->board->violations, 1, memory_order_relaxed);
    return sqlerr_set(op, ERR_FORBIDDEN, &d, text, err);
}

static enum err_code stopped(enum stop_reason why, struct err *err)
{
    if (why == STOP_DEADLINE)
        return err_set(err, ERR_QUERY_TIMEOUT,
            "the statement took longer than the server allows and was stopped; nothing of it was kept");
    return err_set(err, ERR_UNAVAILABLE, "the call was cancelled; nothing of it was kept");
}

/* Failures of the machine rather than of the statement. ERR_OK: none of those. */
static enum err_code machine_error(struct op *op, int rc, struct str sql, struct err *err)
{
    struct engine *eng = op->eng;
    struct sqlerr_detail d = {.kind = "unknown", .position = -1};
    char text[MESSAGE_BYTES_MAX];
    if (engine_note_failure(eng, rc, err))
        return err->code;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return sqlerr_set(op, ERR_FULL, &d,
            "the database is full: its quota or the disk is used up; nothing was written", err);
    case SQLITE_NOMEM:
        if (sqlerr_is_program_too_long(sql, text, sizeof text)) {
            d.hint = sqlerr_program_hint();
            return sqlerr_set(op, ERR_SQL, &d, text, err);
        }
        d.hint = "sort or group fewer or smaller rows, or work in steps; a long list of values goes into one "
                 "parameter as JSON text: json_each(?)";
        return sqlerr_set(op, ERR_SQL, &d, "the statement needs more memory than a statement may use", err);
    case SQLITE_CORRUPT: /* of a virtual table: the rest is said above */
        d.hint = "'delete' takes the rowid and the very values that were indexed, once. INSERT INTO t(t) "
                 "VALUES('rebuild') makes the index anew from its rows; with content='' fill it again";
        return sqlerr_set(op, ERR_SQL, &d,
            "the full-text index does not hold what this statement would take out of it, or does not fit its "
            "rows; nothing of the statement was kept",
            err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        d.kind = "database_locked";
        (void)sqlerr_set(op, ERR_BUSY, &d, "the database is locked; try again", err);
        err->retry_after_s = 1;
        return ERR_BUSY;
    default: return ERR_OK;
    }
}

/* What a scope must not learn from an error. A table that is missing and one that is hidden look alike.
 * ERR_OK: nothing to hide. */
static enum err_code hidden_error(struct op *op, const struct pattern *p, const struct sqlerr_detail *d,
    struct str message, struct err *err)
{
    struct sqlerr_detail plain = {.kind = "unknown", .position = -1};
    struct guard *g = &op->eng->guard;
    if (g->mode == GUARD_TENANT &&
        guard_hides_error(g, message, p->name == NAME_TABLE ? d->table : STR_EMPTY))
        return refused_by_guard(op, err);
    if (str_starts(message, S("error in "))) /* ALTER TABLE reads every view and trigger there is */
        return sqlerr_set(op, ERR_SQL, &plain,
            "a view or trigger of the database stands in the way; a token without a table scope is told "
            "which",
            err);
    return ERR_OK;
}

enum err_code op_sql_error(struct op *op, int rc, struct str sql, struct err *err)
{
    struct engine *eng = op->eng;
    if (eng->guard.refused)
        return refused_by_guard(op, err);
    if (eng->stop == STOP_GIVES_WAY)
        return op_check_time(op, err);
    if (eng->stop != STOP_NONE)
        return stopped(eng->stop, err);
    char message[MESSAGE_BYTES_MAX], limited[MESSAGE_BYTES_MAX + 128];
    str_print_cut(message, sizeof message, "%s", sqlite3_errmsg(eng->db));
    struct sqlerr_detail d = {.position = sqlite3_error_offset(eng->db)};
    enum err_code code = machine_error(op, rc, sql, err);
    if (code != ERR_OK)
        return code;
    struct str before = STR_EMPTY, after = STR_EMPTY;
    const struct pattern *p = match(str_of(message), &before, &after);
    d.kind = p->kind;
    read_names(&d, p, before, after);
    if (op->call.has_table_scope)
        code = hidden_error(op, p, &d, str_of(message), err);
    if (code != ERR_OK)
        return code;
    if (d.position < 0 && (p->name == NAME_TABLE || p->name == NAME_HAS_NO || p->name == NAME_NEAR))
        d.position = find_word(sql, p->name == NAME_TABLE  ? d.table
                                    : p->name == NAME_NEAR ? d.near
                                                           : d.column);
    if (strcmp(p->kind, "check_violation") == 0 || strcmp(p->kind, "fk_violation") == 0)
        d.table = sqlerr_table_of_row(op, sql);
    d.hint = hint_for(op, p, &d, sql, after);
    str_print_cut(limited, sizeof limited, "%s", message);
    sqlerr_tell_limit(limited, sizeof limited, &d.hint, sql);
    return sqlerr_set(op, ERR_SQL, &d, limited, err);
}
