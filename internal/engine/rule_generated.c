/* Columns that a condition asks for in vain. */
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/rule_when.h"
#include <ctype.h>

enum { NAME_COLUMN = 1, HIDDEN_COLUMN = 6, HIDDEN_GENERATED = 2 /* and above */ };

static bool is_letter(char c)
{
    return (unsigned char)c >= 0x80 || isalnum((unsigned char)c) || c == '_';
}

/* Not a part of a longer word. */
static bool stands_at(struct str text, size_t at, struct str word)
{
    size_t end = at + word.len;
    bool longer_before = at > 0 && is_letter(text.ptr[at - 1]) && is_letter(word.ptr[0]);
    bool longer_behind = end < text.len && is_letter(text.ptr[end]) && is_letter(word.ptr[word.len - 1]);
    return !longer_before && !longer_behind && str_eq_nocase(str_slice(text, at, end), word);
}

static bool says(struct str text, struct str word)
{
    for (size_t at = 0; at + word.len <= text.len; at++) {
        if (stands_at(text, at, word))
            return true;
    }
    return false;
}

/* A name that SQL or JSON spells otherwise than it is may be anywhere. */
static bool may_ask_for(struct str condition, struct str column)
{
    for (size_t i = 0; i < column.len; i++) {
        if (!is_letter(column.ptr[i]) && column.ptr[i] != ' ' && column.ptr[i] != '-')
            return true;
    }
    return !column.len || says(condition, column) || says(condition, S("json_each")) ||
           says(condition, S("json_tree"));
}

enum err_code when_generated(
    const struct when_facts *f, struct str table, struct str *ret_column, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct op *op = f->op;
    struct str name = arena_copy(op->arena, table);
    char *sql = name.ptr ? sqlite3_mprintf("PRAGMA main.table_xinfo(\"%w\")", name.ptr) : NULL;
    enum err_code code =
        sql ? op_prepare_internal(op, sql, &stmt, err) : err_set(err, ERR_TOO_LARGE, "out of memory");
    int rc = SQLITE_DONE;
    sqlite3_free(sql);
    *ret_column = (struct str){NULL, 0};
    while (!code && !ret_column->ptr && (rc = own_step(op->eng, stmt)) == SQLITE_ROW) {
        struct str column = str_of((const char *)sqlite3_column_text(stmt, NAME_COLUMN));
        if (sqlite3_column_int(stmt, HIDDEN_COLUMN) >= HIDDEN_GENERATED && may_ask_for(f->condition, column))
            *ret_column = arena_copy(op->arena, column);
    }
    bool failed = rc != SQLITE_ROW && rc != SQLITE_DONE;
    if (!code && arena_failed(op->arena))
        return err_set(err, ERR_TOO_LARGE, "out of memory");
    return !code && failed ? op_sql_error(op, rc, STR_EMPTY, err) : code;
}
