/* Once a turn for each database that something happened to: refuse what cannot run, start what is missing,
 * send what waits. */
#include "supervise/state.h"
#include "base/limits.h"

static void fail_list(struct list *head, const struct err *err)
{
    struct list mine;
    list_init(&mine);
    while (!list_empty(head)) { /* first into a list of ours: on_done may put new calls into the old one */
        struct list *node = head->next;
        list_remove(node);
        list_push_back(&mine, node);
    }
    while (!list_empty(&mine))
        flight_finish(LIST_FIRST(&mine, struct flight, node), err);
}

void database_fail_waiting(struct database *db, const struct err *err)
{
    fail_list(&db->waiting, err);
    fail_list(&db->bounced, err);
    fail_list(&db->streams, err);
}

/* What waits was admitted before; has that changed? A trial waits rightly, whatever the breaker says. */
static bool refuses(struct database *db, struct err *err)
{
    if (db->held && !db->s->stopping)
        return database_tell_held(err) != ERR_OK;
    if (db->s->stopping)
        err_set(err, ERR_UNAVAILABLE, "the server is shutting down");
    else if (db->evicted)
        err_set(err, ERR_NOT_FOUND, "no such database");
    else if (db->quarantined)
        err_set(err, ERR_CORRUPT,
            "the database file is damaged, missing or not this database's; it was set aside and needs a "
            "restore");
    else if (db->breaker.state == BREAKER_OPEN)
        err_set(
            err, ERR_UNAVAILABLE, "the engine of this database crashed repeatedly and rests for a moment");
    else
        return false;
    if (err->code == ERR_UNAVAILABLE)
        err->retry_after_s = db->s->stopping ? 5 : (int)(LIMIT_BREAKER_OPEN_MS / 1000);
    return true;
}

static void dismiss(struct database *db)
{
    struct list *it, *nx;
    LIST_EACH(it, nx, &db->others)
    peer_kill(LIST_ITEM(it, struct peer, db_node), END_CANCELLED);
    LIST_EACH(it, nx, &db->readers)
    peer_leave(LIST_ITEM(it, struct peer, db_node));
    if (db->writer)
        peer_leave(db->writer);
}

/* Sends the first flight of a list that nobody cancelled. false: the list is empty. */
static bool send_first(struct list *head, struct peer *e)
{
    while (!list_empty(head)) {
        struct flight *f = LIST_FIRST(head, struct flight, node);
        struct err err = ERR_INIT;
        if (!f->cancelled) {
            flight_unwait(f);
            if (peer_send(e, f))
                return true;
            flight_wait(f, true);
            err_set(&err, ERR_BUSY, "the server is short of memory");
        } else {
            cancel_error(&err);
        }
        flight_finish(f, &err);
    }
    return false;
}

static void pump_writer(struct database *db)
{
    if (!db->writer) {
        if (db->waiting_count > 0)
            peer_start(db, db->scratch_dir ? KIND_SCRATCH : KIND_WRITER);
        return;
    }
    while (peer_usable(db->writer) && peer_has_room(db->writer) && send_first(&db->waiting, db->writer)) {
    }
}

/* One call at a time on each reader: it reads for long. */
static void pump_readers(struct database *db)
{
    struct list *it, *nx;
    unsigned starting = 0, waiting = 0;
    LIST_EACH(it, nx, &db->readers)
    {
        struct peer *e = LIST_ITEM(it, struct peer, db_node);
        if (peer_usable(e) && e->sent_count == 0)
            send_first(&db->bounced, e);
        starting += e->state != PEER_READY;
    }
    LIST_EACH(it, nx, &db->bounced)
    waiting++;
    for (; waiting > starting && db->reader_count < db->s->opt.readers_max; starting++)
        peer_start(db, KIND_READER);
}

static void pump_streams(struct database *db)
{
    unsigned most = db->s->opt.readers_max > 0 ? db->s->opt.readers_max : 1, waiting = 0;
    struct list *it, *nx;
    LIST_EACH(it, nx, &db->others)
    {
        struct peer *e = LIST_ITEM(it, struct peer, db_node);
        if (!peer_usable(e))
            continue;
        if (!e->taken) {
            e->taken = true;
            db->stream_spare--;
            send_first(&db->streams, e);
        }
        if (e->sent_count == 0)
            peer_leave(e);
    }
    LIST_EACH(it, nx, &db->streams)
    waiting++;
    while (waiting > db->stream_spare && db->stream_count < most)
        peer_start(db, KIND_STREAM);
}

static void mark_idle(struct database *db)
{
    struct list *it, *nx;
    LIST_EACH(it, nx, &db->readers)
    {
        struct peer *e = LIST_ITEM(it, struct peer, db_node);
        peer_set_idle(e, peer_usable(e) && e->sent_count == 0);
    }
    struct peer *w = db->writer;
    if (!w)
        return;
    bool idle = peer_usable(w) && db->open == 0 && db->reader_count == 0 && db->stream_count == 0;
    if (idle && w->kind == KIND_SCRATCH)
        peer_leave(w);
    else
        peer_set_idle(w, idle);
}

void database_tell_waiting(struct database *db)
{
    struct peer *w = db->writer;
    if (!w || !w->board)
        return;
    unsigned behind = w->sent_count + db->waiting_count;
    atomic_store_explicit(&w->board->waiting, behind > 0 ? behind - 1 : 0, memory_order_relaxed);
}

static void tell_readers(struct database *db)
{
    struct supervisor *s = db->s;
    struct peer *w = db->writer;
    bool can =
        s->opt.readers_max > 0 && w && w->kind == KIND_WRITER &&
        (db->reader_count > 0 || (s->live_count < s->opt.engines_max && s->starter->alive(s->starter)));
    if (w && w->board)
        atomic_store_explicit(&w->board->has_readers, can, memory_order_relaxed);
}

void database_pump(struct database *db)
{
    struct err err = ERR_INIT;
    if (refuses(db, &err)) {
        database_fail_waiting(db, &err);
        if (db->s->stopping || db->evicted || db->quarantined) /* an open breaker leaves alone what runs */
            dismiss(db);
    }
    if (db->s->opt.read_only)
        pump_streams(db);
    else
        pump_writer(db);
    if (peer_usable(db->writer) && db->writer->kind == KIND_WRITER) {
        pump_readers(db);
        pump_streams(db);
    }
    mark_idle(db);
    database_tell_waiting(db);
    tell_readers(db);
}
