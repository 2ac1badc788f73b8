/* Rehearsing without holding up the database's writers: in a reader engine, on a copy of the database that is
 * made for it and dropped after it. Only what comes of it is written to the database itself, in a short
 * transaction. A rehearsal comes here when the writer stopped it because others waited: turn.c. */
#ifndef ENGINE_BESIDE_H
#define ENGINE_BESIDE_H

#include "engine/rehearsal.h"

/* Makes the copy; from now on the engine's connection is one to it, inside a transaction. */
MUST_CHECK enum err_code beside_begin(struct op *op, struct err *err);
/* Leaves the copy, whatever happened there. Unless `code` says that it failed: from now on the connection is
 * one that may write to the database, inside a transaction; schema and rules are those of the rehearsal. */
MUST_CHECK enum err_code beside_store(
    struct op *op, const struct rehearsal *r, enum err_code code, struct err *err);
/* Commits, or takes back what `code` says has failed. The connection is the reader's again. */
MUST_CHECK enum err_code beside_end(struct op *op, enum err_code code, struct err *err);

#endif
