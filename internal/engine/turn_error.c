/* Errors of whole groups. */
#include "engine/turn_error.h"

enum err_code turn_ended(struct err *err)
{
    return err_retry(err, ERR_UNAVAILABLE, 1,
        "the transaction ended, for want of memory or of a working disk; nothing of it was kept; try again");
}

/* Every other failure of a COMMIT comes before the last page is written. */
bool turn_may_be_in_log(int sql)
{
    return (sql & 0xff) == SQLITE_IOERR || (sql & 0xff) == SQLITE_NOMEM;
}

/* The last page of the transaction may stand in the log, and the next engine to read the log then takes it
 * for done. Only that one can tell, so this one leaves. */
static enum err_code commit_unknown(struct engine *eng, int sql, struct err *err)
{
    eng->leaving = true;
    return err_retry(err, ERR_IO, 1,
        "%s while the write was made durable: it may have been kept. Look before you send it again; with an "
        "Idempotency-Key it can be sent again safely",
        (sql & 0xff) == SQLITE_IOERR ? "the disk failed" : sqlite3_errstr(sql));
}

/* What a failed BEGIN or COMMIT means for all calls of the group. */
enum err_code turn_group_error(struct engine *eng, int sql, bool committing, struct err *err)
{
    if ((sql & 0xff) == SQLITE_FULL)
        return err_set(
            err, ERR_FULL, "the database is full: its quota or the disk is used up; nothing was written");
    if ((sql & 0xff) == SQLITE_BUSY)
        return err_set(err, ERR_BUSY, "the database is locked; try again");
    if (committing && turn_may_be_in_log(sql))
        return commit_unknown(eng, sql, err);
    if (engine_note_failure(eng, sql, err))
        return err->code;
    if (committing)
        return err_set(
            err, ERR_SQL, "the write could not be committed, and was undone: %s", sqlite3_errstr(sql));
    return err_retry(err, ERR_UNAVAILABLE, 1,
        "the transaction could not begin (%s); nothing was written, try again", sqlite3_errstr(sql));
}
