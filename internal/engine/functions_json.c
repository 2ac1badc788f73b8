/* json_patch and jsonb_patch look for each member of the patch among all of the target: two documents of half
 * a megabyte take half a minute inside one C call. SQLite's own form still does the work, on a connection of
 * its own that is opened when it is first needed, but only for sizes that end in a fraction of a second. */
#include "base/mem.h"
#include "engine/functions.h"
#include <stdint.h>

/* Product of both lengths: 64 KiB each, or a kilobyte's patch to a document of four megabytes; about 0.3 s.
 */
#define WORK_MAX     4000000000LL
#define JSON_SUBTYPE 74 /* 'J': what SQLite's JSON functions call a text that is JSON */

struct patcher {
    const char *sql;
    bool text; /* json_patch, whose result is JSON text */
    sqlite3 *db;
    sqlite3_stmt *stmt;
};

static void patcher_free(void *arg)
{
    struct patcher *p = arg;
    (void)sqlite3_finalize(p->stmt); /* its result was told */
    (void)sqlite3_close(p->db);      /* nothing is open any more */
    mem_free(p);
}

static int patcher_open(struct patcher *p)
{
    if (p->stmt)
        return SQLITE_OK;
    int rc = p->db ? SQLITE_OK
                   : sqlite3_open_v2(":memory:", &p->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    return rc == SQLITE_OK ? sqlite3_prepare_v3(p->db, p->sql, -1, SQLITE_PREPARE_PERSISTENT, &p->stmt, NULL)
                           : rc;
}

static void fn_patch(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct patcher *p = sqlite3_user_data(ctx);
    (void)argc;
    if ((int64_t)sqlite3_value_bytes(argv[0]) * sqlite3_value_bytes(argv[1]) > WORK_MAX) {
        sqlite3_result_error(ctx,
            "the documents are too large to be patched by json_patch(): change members with json_set()", -1);
        return;
    }
    int rc = patcher_open(p);
    for (int i = 0; i < 2 && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_value(p->stmt, i + 1, argv[i]);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(p->stmt);
    if (rc == SQLITE_ROW) {
        sqlite3_result_value(ctx, sqlite3_column_value(p->stmt, 0));
        if (p->text && sqlite3_column_type(p->stmt, 0) != SQLITE_NULL)
            sqlite3_result_subtype(ctx, JSON_SUBTYPE);
    } else if (rc == SQLITE_NOMEM) {
        sqlite3_result_error_nomem(ctx);
    } else {
        sqlite3_result_error(ctx, sqlite3_errmsg(p->db), -1);
    }
    (void)sqlite3_reset(p->stmt); /* as the step said */
    if (p->stmt)
        (void)sqlite3_clear_bindings(p->stmt); /* cannot fail */
}

static int register_one(sqlite3 *db, const char *name, const char *sql, bool text)
{
    struct patcher *p = MEM_NEW(struct patcher);
    p->sql = sql;
    p->text = text;
    /* On failure SQLite frees `p` too. */
    return sqlite3_create_function_v2(db, name, 2,
        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS | SQLITE_RESULT_SUBTYPE, p, fn_patch, NULL,
        NULL, patcher_free);
}

int functions_register_json(sqlite3 *db)
{
    int rc = register_one(db, "json_patch", "SELECT json_patch(?1, ?2)", true);
    return rc == SQLITE_OK ? register_one(db, "jsonb_patch", "SELECT jsonb_patch(?1, ?2)", false) : rc;
}
