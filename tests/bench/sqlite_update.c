/* SQLite itself, through its C API: one UPDATE of all rows of a table, committed with synchronous=FULL in WAL
 * mode, the table made first. Usage: sqlite_update FILE ROWS ROUNDS; prints each round's milliseconds. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    if (argc != 4 || sqlite3_open(argv[1], &db) != SQLITE_OK)
        return 2;
    char *fill = sqlite3_mprintf(
        "CREATE TABLE IF NOT EXISTS wide(id INTEGER PRIMARY KEY, name TEXT, price REAL, n INTEGER);"
        "INSERT OR IGNORE INTO wide WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
        "WHERE x < %d) SELECT x, 'name ' || x, x * 1.5, 0 FROM c",
        atoi(argv[2]));
    run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    run(db, fill);
    sqlite3_free(fill);
    for (int i = atoi(argv[3]); i > 0; i--) {
        double begin = now_ms();
        run(db, "UPDATE wide SET n = n + 1");
        printf("%.2f\n", now_ms() - begin);
    }
    sqlite3_close(db);
    return 0;
}
