/* A counter shared by every process that has a data directory open: <data>/control.gen, one mapped page.
 * Whoever changes tokens, namespaces or databases bumps it after the commit (tx_announce in db.h); caches
 * compare it on each use and drop what they hold when it moved, so that a revocation by the command line
 * holds at the server's next request. The number means nothing by itself. A process that dies between commit
 * and bump leaves caches unaware, so they also keep nothing for longer than GENERATION_TRUST_MS. Any thread.
 */
#ifndef SQLITE_GENERATION_H
#define SQLITE_GENERATION_H

#include "base/err.h"

#define GENERATION_TRUST_MS 10000

struct generation;

/* Maps the file, making it (0600) when it is not there. */
MUST_CHECK enum err_code generation_open(const char *path, struct generation **ret, struct err *err);
void generation_close(struct generation *g); /* NULL is fine */
uint64_t generation_get(const struct generation *g);
void generation_bump(struct generation *g);

#endif
