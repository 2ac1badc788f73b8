/* One of the engine's own statements, bound and run by an operation. The first failure stays and is told by
 * binding_end. Engine's thread. */
#ifndef ENGINE_BINDING_H
#define ENGINE_BINDING_H

#include "engine/op.h"
#include "engine/own.h"

struct binding {
    sqlite3_stmt *stmt; /* NULL: it could not be prepared */
    int rc, index;
    bool borrows; /* what was bound ends with the call */
};

struct binding binding_of(struct op *op, enum own_sql which);
/* The next parameter. ptr NULL: NULL; what is bound must live until the end. */
void bind_int(struct binding *b, int64_t n);
void bind_text(struct binding *b, struct str s);
void bind_blob(struct binding *b, struct str s); /* "" is NULL too */
/* true: there is a row. */
bool binding_step(struct op *op, struct binding *b);
MUST_CHECK enum err_code binding_end(struct op *op, struct binding *b, struct err *err);
/* One step and the end. */
MUST_CHECK enum err_code binding_run(struct op *op, struct binding *b, struct err *err);

#endif
