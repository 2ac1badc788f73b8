/* A counter shared by every process that has a data directory open: <data>/control.gen, one mapped page.
 * Whoever changes tokens, namespaces or databases bumps it after the commit (tx_announce in db.h); caches
 * compare it on each use and drop what they hold when it moved, so that a revocation by the command line
 * holds at the server's next request. The number means nothing by itself. From just before the commit until
 * after the bump the page says that a change is on its way, and whoever asks gets a number of his own each
 * time: caches then keep nothing, also when the process dies in between. The next write transaction of any
 * process finds that and ends it. Any thread. */
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

/* Both with control.db's write lock held, so that there is one change at a time. */
void generation_will_change(struct generation *g);
void generation_recover(struct generation *g); /* after a process that died before its bump */

#endif
