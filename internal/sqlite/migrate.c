/* Running migrations. */
#include "sqlite/migrate.h"
#include "base/check.h"
#include "base/clock.h"
#include "sqlite/db_internal.h"

#define SQL_HAS_TABLE "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'"
#define SQL_TABLES    "SELECT count(*) FROM sqlite_schema"
#define SQL_CREATE                                                                                           \
    "CREATE TABLE schema_migration(number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at "      \
    "BIGINT NOT NULL)"
#define SQL_LAST    "SELECT coalesce(max(number), 0) FROM schema_migration"
#define SQL_APPLIED "SELECT number, name FROM schema_migration ORDER BY number"
#define SQL_INSERT  "INSERT INTO schema_migration(number, name, applied_at) VALUES(?1, ?2, ?3)"

static enum err_code query_int(struct db *db, const char *sql, int64_t *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one_literal(db, sql, DB_NO_ARGS, &st, err);

    if (!code)
        *ret = db_col_int(&st, 0);
    return code;
}

enum err_code migrate_version(struct db *db, int *ret_version, struct err *err)
{
    int64_t has_table, last = 0;
    enum err_code code = query_int(db, SQL_HAS_TABLE, &has_table, err);

    if (!code && has_table)
        code = query_int(db, SQL_LAST, &last, err);
    if (!code)
        *ret_version = (int)last;
    return code;
}

static const struct migration_file *find_file(const struct migration_file *files, int64_t number)
{
    for (; files->number != 0; files++)
        if (files->number == number)
            return files;
    return NULL;
}

static enum err_code check_row(
    const struct migration_file *files, int64_t number, struct str name, struct err *err)
{
    const struct migration_file *file = find_file(files, number);

    if (!file)
        return err_set(err, ERR_CONFLICT,
            "this data was written by a newer Holdfast (its schema %lld, \"" STR_FMT
            "\", is unknown here); use that version",
            (long long)number, STR_ARG(name));
    if (!str_eq(str_of(file->name), name))
        return err_set(err, ERR_CONFLICT,
            "this data has another history: its schema %lld is \"" STR_FMT "\", not \"%s\"",
            (long long)number, STR_ARG(name), file->name);
    return ERR_OK;
}

/* What was applied must be what we know under the same number and name. */
static enum err_code check_history(struct db *db, const struct migration_file *files, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(db, SQL_APPLIED, DB_NO_ARGS, &st, err);

    while (!code && db_row(&st))
        code = check_row(files, db_col_int(&st, 0), db_col_text(&st, 1), err);
    return code ? code : db_done(&st, err);
}

/* The first time: a database that holds other people's tables is not ours to fill. */
static enum err_code create_history(struct db *db, struct err *err)
{
    int64_t objects;
    enum err_code code = query_int(db, SQL_TABLES, &objects, err);

    if (!code && objects > 0)
        return err_set(err, ERR_CONFLICT, "this file is a database of something else");
    return code ? code : db_exec(db, SQL_CREATE, DB_NO_ARGS, err);
}

static enum err_code check_foreign_keys(struct db *db, const struct migration_file *file, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query(db, "PRAGMA foreign_key_check", DB_NO_ARGS, &st, err);

    if (!code && db_row(&st))
        return err_set(err, ERR_CORRUPT, "migration %d leaves a row that points nowhere", file->number);
    return code ? code : db_done(&st, err);
}

/* Inside the transaction: another process may have come first. */
static enum err_code apply_in_tx(struct db *db, const struct migration_file *file, struct err *err)
{
    int version;
    enum err_code code = migrate_version(db, &version, err);

    if (code || version >= file->number)
        return code;
    CHECK(version == file->number - 1);
    if (version == 0)
        code = create_history(db, err);
    if (!code)
        code = db_run(db, file->sql, err);
    CHECK(code || !sqlite3_get_autocommit(db->handle)); /* a migration must not commit by itself */
    if (!code)
        code = db_exec(db, SQL_INSERT,
            DB_ARGS(db_int(file->number), db_text(str_of(file->name)), db_int(clock_wall_ms())), err);
    return code ? code : check_foreign_keys(db, file, err);
}

static enum err_code apply(struct db *db, const struct migration_file *file, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    return code ? code : tx_end(db, apply_in_tx(db, file, err), err);
}

static enum err_code apply_missing(
    struct db *db, const struct migration_file *files, int version, struct err *err)
{
    enum err_code code = ERR_OK;

    for (const struct migration_file *file = files; !code && file->number != 0; file++)
        if (file->number > version)
            code = apply(db, file, err);
    return code;
}

enum err_code migrate_run(struct db *db, const struct migration_file *files, struct err *err)
{
    int version;
    enum err_code code = migrate_version(db, &version, err);

    if (!code && version > 0)
        code = check_history(db, files, err);
    if (!code)
        code = db_run(db, "PRAGMA foreign_keys = OFF", err);
    if (code)
        return code;
    code = apply_missing(db, files, version, err);
    enum err_code restored = db_run(db, "PRAGMA foreign_keys = ON", code ? NULL : err);
    return code ? code : restored;
}
