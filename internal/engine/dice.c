/* The clock and the dice. */
#include "engine/dice.h"
#include "base/limits.h"
#include "engine/engine_state.h"

/* SplitMix64: a new number from a state that only counts. */
static uint64_t next_number(struct dice *d)
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fill(struct engine *eng, unsigned char *out, size_t len)
{
    struct dice *d = &eng->dice;
    if (!d->held) {
        sqlite3_randomness((int)len, out);
        return;
    }
    d->dice_asked = true;
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t n = next_number(d);
        memcpy(out + at, &n, len - at < sizeof n ? len - at : sizeof n);
    }
}

/* Any integer but the smallest, which abs() could not take. */
static void fn_random(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    int64_t n;
    (void)argc;
    (void)argv;
    fill(sqlite3_user_data(ctx), (unsigned char *)&n, sizeof n);
    sqlite3_result_int64(ctx, n < 0 ? -(n & INT64_MAX) : n);
}

static void fn_randomblob(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    int64_t len = sqlite3_value_int64(argv[0]);
    (void)argc;
    len = len < 1 ? 1 : len;
    if (len > LIMIT_SQL_VALUE_BYTES) {
        sqlite3_result_error_toobig(ctx);
        return;
    }
    unsigned char *bytes = sqlite3_malloc64((sqlite3_uint64)len);
    if (!bytes) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    fill(sqlite3_user_data(ctx), bytes, (size_t)len);
    sqlite3_result_blob64(ctx, bytes, (sqlite3_uint64)len, sqlite3_free);
}

int dice_register(struct engine *eng, sqlite3 *db)
{
    enum { FLAGS = SQLITE_UTF8 | SQLITE_INNOCUOUS };
    int rc = sqlite3_create_function_v2(db, "random", 0, FLAGS, eng, fn_random, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(db, "randomblob", 1, FLAGS, eng, fn_randomblob, NULL, NULL, NULL);
    return rc;
}

/* SQLite's own dice choose row ids behind the largest one. 0: the kernel's randomness again. */
static void seed_sqlite(int seed)
{
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed, (sqlite3 *)NULL); /* cannot fail */
}

void dice_hold(struct engine *eng, int64_t wall_ms, uint64_t seed)
{
    eng->dice = (struct dice){.held = true, .state = seed};
    seed_sqlite((int)(seed >> 33) | 1);
    vfs_hold_clock(eng->vfs, wall_ms, &eng->dice.time_asked);
}

void dice_release(struct engine *eng)
{
    eng->dice.held = false;
    seed_sqlite(0);
    vfs_hold_clock(eng->vfs, 0, NULL);
}
