/* The life of one engine process as seen from the front: leaving, being killed, the end.
 *
 *   QUEUED ─► ASKED ─► OPENING ─► READY ──(end: LEAVE or a kill)──► end of file and exit ─► settled, freed
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervise/state.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const char *const END_NAMES[] = {
    "none", "leave", "deadline", "stalled", "protocol", "cancelled", "stuck"};

static void attach(struct peer *e)
{
    struct database *db = e->db;
    switch (e->kind) {
    case KIND_WRITER:
    case KIND_SCRATCH:
        CHECK(!db->writer);
        db->writer = e;
        break;
    case KIND_READER:
        list_push_back(&db->readers, &e->db_node);
        db->reader_count++;
        break;
    case KIND_STREAM:
        list_push_back(&db->others, &e->db_node);
        db->stream_count++;
        db->stream_spare++;
        break;
    }
}

static void detach(struct peer *e)
{
    struct database *db = e->db;
    list_remove(&e->db_node);
    if (db->writer == e)
        db->writer = NULL;
    if (e->kind == KIND_READER)
        db->reader_count--;
    if (e->kind == KIND_STREAM) {
        db->stream_count--;
        db->stream_spare -= !e->taken;
    }
}

void peer_start(struct database *db, enum peer_kind kind)
{
    struct supervisor *s = db->s;
    struct peer *e = MEM_NEW(struct peer);
    e->s = s;
    e->db = db;
    e->kind = kind;
    e->fd = e->pidfd = -1;
    list_init(&e->dirty_node);
    list_init(&e->db_node);
    list_init(&e->sent);
    strbuf_init(&e->out, WIRE_FRAME_MAX + 2 * PEER_SENT_BYTES_MAX);
    strbuf_init(&e->in, READ_BUFFER + WIRE_REPLY_FRAME_MAX);
    list_push_back(&s->engines, &e->node);
    list_push_back(&s->queued, &e->queue_node);
    s->queued_count++;
    attach(e);
    loop_turn_ask(&s->turn);
    supervisor_tick_soon(s);
}

static void peer_free(struct peer *e)
{
    CHECK(e->sent_count == 0 && list_empty(&e->sent));
    peer_close(e);
    loop_io_release(&e->pid_io);
    fd_close(&e->pidfd);
    if (e->board)
        munmap(e->board, BOARD_SIZE);
    strbuf_release(&e->out);
    strbuf_release(&e->in);
    list_remove(&e->node);
    list_remove(&e->queue_node);
    list_remove(&e->dirty_node);
    mem_free(e);
}

void peer_unqueue(struct peer *e)
{
    CHECK(e->state == PEER_QUEUED);
    e->s->queued_count--;
    detach(e);
    database_touch(e->db);
    peer_free(e);
}

void peer_set_idle(struct peer *e, bool idle)
{
    if (e->idle == idle)
        return;
    e->idle = idle;
    list_remove(&e->queue_node);
    if (!idle)
        return;
    e->idle_us = clock_mono_us();
    list_push_back(&e->s->idle, &e->queue_node); /* so the list is in the order of idleness */
}

/* From now on the end is awaited. */
static void begin_end(struct peer *e, enum peer_end why)
{
    peer_set_idle(e, false);
    if (e->end == END_NONE) {
        e->leave_us = clock_mono_us();
        e->s->leaving_count++;
    }
    e->end = why;
    database_touch(e->db);
}

void peer_leave(struct peer *e)
{
    if (e->state == PEER_QUEUED) {
        peer_unqueue(e);
        return;
    }
    if (e->end != END_NONE || e->exited)
        return;
    begin_end(e, END_LEAVE);
    peer_touch(e); /* once all is written, our end is shut down for writing */
}

static void count_kill(struct supervise_stats *st, enum peer_end why)
{
    if (why == END_DEADLINE)
        st->kills_deadline++;
    else if (why == END_STALLED)
        st->kills_stalled++;
    else if (why == END_PROTOCOL)
        st->kills_protocol++;
    else if (why == END_STUCK)
        st->kills_stuck++;
}

void peer_send_kill(struct peer *e)
{
    if (e->pidfd >= 0 && !e->exited)
        (void)pidfd_kill(e->pidfd); /* it may be gone already */
}

void peer_kill(struct peer *e, enum peer_end why)
{
    CHECK(why > END_LEAVE);
    if (e->state == PEER_QUEUED) {
        peer_unqueue(e);
        return;
    }
    if (e->exited || e->end > END_LEAVE)
        return;
    begin_end(e, why);
    count_kill(&e->s->gone, why);
    if (why != END_CANCELLED)
        log_event(LOG_WARN, "engine_kill", LOG_STR("db", id_str(&e->db->id)), LOG_INT("pid", e->pid),
            LOG_CSTR("reason", END_NAMES[why]));
    peer_send_kill(e); /* before it has a pid: in peer_started() */
    /* What a process wrote before a deadline killed it are answers and is read; the rest nobody wants. */
    if (why != END_DEADLINE && why != END_STUCK)
        peer_close(e);
}

void peer_check_ended(struct peer *e)
{
    struct supervisor *s = e->s;
    struct database *db = e->db;
    if (!e->exited)
        return;
    peer_drain(e);
    if (!e->eof)
        return; /* a paused stream whose last bytes still wait for the receiver */
    peer_set_idle(e, false);
    detach(e);
    if (e->end != END_NONE)
        s->leaving_count--;
    if (e->board)
        stats_add_board(&s->gone, e->board);
    peer_settle(e);
    peer_free(e);
    database_touch(db);
    loop_turn_ask(&s->turn);
}
