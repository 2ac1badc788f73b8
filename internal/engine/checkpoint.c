/* Checkpoints: by the writer alone, after answers were sent, so that nobody waits for them. A busy database
 * lets its log grow further before it pays for one, because many versions of a page then collapse into one
 * write. */
#include "engine/engine_state.h"

enum {
    PAGES_IDLE = 256,  /* worth a checkpoint when nothing else is to do */
    PAGES_BUSY = 4000, /* about 16 MiB: worth one between two turns */
};

static void checkpoint(struct engine *eng, int how)
{
    int pages = 0;
    if (eng->cfg.mode != ENGINE_WRITER || eng->leaving || eng->base.keeps)
        return;
    struct guard_saved saved = guard_enter_own(&eng->guard);
    int rc = sqlite3_wal_checkpoint_v2(eng->db, "main", how, &pages, NULL);
    guard_leave(&eng->guard, saved);
    if (rc == SQLITE_OK)
        eng->wal_pages = 0; /* the next commit tells again */
    else if ((rc & 0xff) == SQLITE_IOERR)
        eng->leaving = true;
    /* SQLITE_BUSY, SQLITE_FULL: a reader still needs the log, or the disk is full; the next one will do. */
}

void checkpoint_after_commit(struct engine *eng)
{
    if (eng->wal_pages >= PAGES_BUSY && base_allows_checkpoint(eng))
        checkpoint(eng, SQLITE_CHECKPOINT_PASSIVE);
}

/* A base is copied when the log has grown, and not for the sake of tidiness. */
void checkpoint_when_idle(struct engine *eng)
{
    if (eng->wal_pages >= PAGES_BUSY)
        (void)base_allows_checkpoint(eng); /* what it says is kept */
    if (eng->wal_pages >= PAGES_IDLE)
        checkpoint(eng, SQLITE_CHECKPOINT_PASSIVE);
}

void checkpoint_at_exit(struct engine *eng)
{
    checkpoint(eng, SQLITE_CHECKPOINT_TRUNCATE);
}
