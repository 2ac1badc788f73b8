/* The one place where SQLite's result codes become ours. */
#include "sqlite/db_internal.h"
#include "base/check.h"
#include <errno.h>

struct mapping {
    int rc; /* extended code, or primary when no extended row matches */
    enum err_code code;
};

static const struct mapping MAPPINGS[] = {
    {SQLITE_IOERR_NOMEM, ERR_UNAVAILABLE},
    {SQLITE_BUSY, ERR_BUSY},
    {SQLITE_LOCKED, ERR_BUSY},
    {SQLITE_PROTOCOL, ERR_BUSY}, /* the WAL's locks changed under us too often */
    {SQLITE_CONSTRAINT, ERR_CONFLICT},
    {SQLITE_FULL, ERR_FULL},
    {SQLITE_CORRUPT, ERR_CORRUPT},
    {SQLITE_NOTADB, ERR_CORRUPT},
    {SQLITE_IOERR, ERR_IO},
    {SQLITE_CANTOPEN, ERR_IO},
    {SQLITE_READONLY, ERR_IO},
    {SQLITE_PERM, ERR_IO},
    {SQLITE_TOOBIG, ERR_TOO_LARGE},
    {SQLITE_NOMEM, ERR_UNAVAILABLE},
};

/* SQLite reports a full quota and the limit on file sizes as plain write errors. */
static bool errno_means_full(int e)
{
    return e == ENOSPC || e == EDQUOT || e == EFBIG;
}

enum err_code db_error_code(int rc, int system_errno)
{
    CHECK(rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE);
    if (rc == SQLITE_IOERR_WRITE && errno_means_full(system_errno))
        return ERR_FULL;
    for (size_t i = 0; i < ARRAY_LEN(MAPPINGS); i++)
        if (MAPPINGS[i].rc == rc || MAPPINGS[i].rc == (rc & 0xff))
            return MAPPINGS[i].code;
    return ERR_INTERNAL;
}

/* What the kernel holds of the file is unknown after these; reading on would show writes that never reach the
 * disk. */
static bool breaks_connection(int rc)
{
    switch (rc) {
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_TRUNCATE: return true;
    default: return false;
    }
}

/* "UNIQUE constraint failed: token.hash" → "token.hash" */
static void remember_constraint(struct db *db, const char *message)
{
    struct str name = str_of(message);
    const char *colon = strstr(message, ": ");

    name = colon ? str_of(colon + 2) : STR_EMPTY;
    if (name.len >= sizeof db->constraint)
        name.len = sizeof db->constraint - 1;
    memcpy(db->constraint, name.ptr, name.len);
    db->constraint[name.len] = '\0';
}

enum err_code db_error_broken(struct err *err)
{
    return err_set(
        err, ERR_IO, "the control database is out of use after a failed write; restart to recover");
}

enum err_code db_error(struct db *db, int rc, const char *doing, struct err *err)
{
    int extended = sqlite3_extended_errcode(db->handle);
    int system_errno = sqlite3_system_errno(db->handle);
    const char *message = sqlite3_errmsg(db->handle);

    if ((extended & 0xff) !=
        (rc & 0xff)) { /* a failure that the connection did not record, as of finalised memory */
        extended = rc;
        message = sqlite3_errstr(rc);
    }
    enum err_code code = db_error_code(extended, system_errno);
    if (breaks_connection(extended))
        db->broken = true;
    if (code == ERR_CONFLICT)
        remember_constraint(db, message);
    err_set(err, code, "%s: %s", doing, message);
    if (err && code == ERR_BUSY)
        err->retry_after_s = 1;
    return code;
}
