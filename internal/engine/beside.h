/* Rehearsing without holding up the database's writers: in a reader engine, on a copy of the database that is
 * made for it and dropped after it. Only what comes of it is written to the database itself, in a short
 * transaction, with the receipt of the call's key. A rehearsal comes here when the writer stopped it because
 * others waited: turn.c. */
#ifndef ENGINE_BESIDE_H
#define ENGINE_BESIDE_H

#include "engine/rehearsal.h"

/* What is done with `arg`. The first rehearses and takes back; *ret stays NULL when it has answered, and
 * there is nothing to store. The second stores what *ret is, and answers. */
struct beside_work {
    enum err_code (*rehearse)(void *arg, const struct rehearsal **ret, struct err *err);
    enum err_code (*store)(void *arg, struct err *err);
};

/* Both, inside the handler of a write: in the writer one after the other; in a reader the first on a copy,
 * the second in the database, if schema and rules are still those of the rehearsal. */
MUST_CHECK enum err_code beside_run(
    struct op *op, const struct beside_work *work, void *arg, struct err *err);

#endif
