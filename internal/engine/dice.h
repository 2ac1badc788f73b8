/* The clock and the dice of SQL: what 'now', CURRENT_TIMESTAMP, random() and randomblob() answer. Usually the
 * clock of the machine and the kernel's randomness. While a write is rehearsed both are held still, and when
 * it is applied they are held as they were: so a write that depends on them does what was shown. Engine's
 * thread. */
#ifndef ENGINE_DICE_H
#define ENGINE_DICE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;

struct dice {
    bool held;
    uint64_t state;
    bool time_asked, dice_asked; /* since they were held */
};

/* random() and randomblob() on one connection. */
int dice_register(struct engine *eng, sqlite3 *db);

/* From now on the time is `wall_ms` and the dice begin at `seed`. */
void dice_hold(struct engine *eng, int64_t wall_ms, uint64_t seed);
void dice_release(struct engine *eng);

#endif
