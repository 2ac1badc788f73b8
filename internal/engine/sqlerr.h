/* What SQLite says, as the error a person gets: one of PerSQL's twelve kinds, what it concerns, and a hint
 * that helps. */
#ifndef ENGINE_SQLERR_H
#define ENGINE_SQLERR_H

#include "engine/op.h"
#include "engine/sql_text.h"

#define SQLERR_COLUMNS_MAX 16

struct sqlerr_detail {
    const char *kind; /* one of PerSQL's closed list */
    struct str table, column, constraint, near;
    struct {
        struct str table, column;
    } columns[SQLERR_COLUMNS_MAX];
    size_t column_count; /* written when more than one */
    int64_t position;    /* byte offset in the statement, -1 unknown */
    const int64_t *row;  /* rowid of the row at fault, NULL unknown */
    uint64_t line;       /* of the file that is imported, 0 none */
    const char *hint;    /* NULL none */
};

/* Fills err with `message` and op->error_detail with the object. `d` is written with position as it stands.
 */
enum err_code sqlerr_set(
    struct op *op, enum err_code code, const struct sqlerr_detail *d, const char *message, struct err *err);

/* The table of a row that a CHECK or a foreign key refused, "" it cannot be known. */
struct str sqlerr_table_of_row(struct op *op, struct str sql);

/* Adds the line of the imported file to op->error_detail, when there is one. */
void sqlerr_add_line(struct op *op, uint64_t line);

/* Refuses what its first word already decides. */
MUST_CHECK enum err_code sqlerr_check_verb(struct op *op, enum sql_verb verb, struct err *err);

/* sqlerr_limit.c: when SQLite's message is about a limit, adds what the limit is and what the statement has,
 * and sets the hint. The other two: for SQLITE_NOMEM; sqlite3_memory_highwater(1) was called before
 * preparing. */
void sqlerr_tell_limit(char *message, size_t size, const char **hint, struct str sql);
bool sqlerr_is_program_too_long(struct str sql, char *message, size_t size);
const char *sqlerr_program_hint(void);

/* sqlerr_hint.c: the nearest name among the live schema's, in arena memory; "" none is near. `sql` says which
 * tables the statement speaks of. */
struct str sqlerr_near_table(struct op *op, struct str name);
struct str sqlerr_near_column(struct op *op, struct str sql, struct str name, struct str *ret_tables);
struct str sqlerr_near_function(struct op *op, struct str name);

#endif
