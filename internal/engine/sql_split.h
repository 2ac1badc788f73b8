/* Cuts a script into statements as it is read: quotes, comments and the bodies of triggers do not end one.
 * Knows nothing else about SQL. Engine's thread. */
#ifndef ENGINE_SQL_SPLIT_H
#define ENGINE_SQL_SPLIT_H

#include "base/strbuf.h"
#include "engine/import_source.h"

enum {
    SQL_SPLIT_MAX = 9 << 20, /* the longest value of a row in hex, and room for the rest of its statement */
};

struct sql_split {
    struct import_source *in;
    struct strbuf text; /* the statement, without its semicolon */
    uint64_t number;    /* of the statement, from 1 */
    uint64_t line;      /* where it begins, from 1 */
    uint64_t offset;    /* where it begins, in bytes from 0 */
    void (*on_comment)(
        void *arg, struct str comment); /* NULL, or is given each that stands between statements */
    void *arg;
};

void sql_split_init(struct sql_split *s, struct import_source *in);
void sql_split_release(struct sql_split *s);
/* *ret_found false at the end. Empty statements are passed over. ERR_INVALID: a NUL byte; ERR_TOO_LARGE;
 * ERR_IO. */
MUST_CHECK enum err_code sql_split_next(struct sql_split *s, bool *ret_found, struct err *err);

#endif
