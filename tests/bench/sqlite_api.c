/* SQLite itself, through its C API, doing what one batch request of 100 inserts does: BEGIN IMMEDIATE, 100
 * prepared inserts, COMMIT with synchronous=FULL in WAL mode. Usage: sqlite_api FILE SECONDS; prints batches
 * per second. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(sqlite3 *db, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void batch(sqlite3 *db, sqlite3_stmt *insert, long *id)
{
    must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
    for (int i = 0; i < 100; i++) {
        sqlite3_bind_int64(insert, 1, ++*id);
        sqlite3_bind_text(insert, 2, "an order of some length, as people have them", -1, SQLITE_STATIC);
        must(db, sqlite3_step(insert));
        must(db, sqlite3_reset(insert));
    }
    must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    if (argc != 3)
        return 2;
    must(db, sqlite3_open(argv[1], &db));
    must(db, sqlite3_exec(db,
                 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE orders(id INTEGER PRIMARY "
                 "KEY, note TEXT)",
                 NULL, NULL, NULL));
    must(db, sqlite3_prepare_v2(db, "INSERT INTO orders(id,note) VALUES(?,?)", -1, &insert, NULL));
    long id = 0, batches = 0;
    double start = now(), end = start + strtod(argv[2], NULL);
    for (; now() < end; batches++)
        batch(db, insert, &id);
    printf("%.1f\n", (double)batches / (now() - start));
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return 0;
}
