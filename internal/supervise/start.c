/* Starting engines through the starter: board, socket pair, the answer, and what happens when the starter
 * itself dies. */
#define _GNU_SOURCE /* memfd_create */
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervise/state.h"
#include <assert.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static_assert(sizeof(struct board) <= BOARD_SIZE, "the board is one page");

/* A page that both sides map; its size is sealed, so that the engine cannot make our reads fault. */
static int board_new(struct board **ret)
{
    AUTO_FD fd = memfd_create("board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, BOARD_SIZE) != 0)
        return -1;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return -1;
    void *p = mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -1;
    *ret = p;
    int out = fd;
    fd = -1;
    return out;
}

static void fill_config(const struct peer *e, struct engine_config *cfg)
{
    static const uint32_t MODES[] = {[KIND_WRITER] = ENGINE_WRITER,
        [KIND_READER] = ENGINE_READER,
        [KIND_STREAM] = ENGINE_READER,
        [KIND_SCRATCH] = ENGINE_SCRATCH_MODE};
    const struct supervise_options *opt = &e->s->opt;
    char own[FS_PATH_MAX];
    const char *path = e->db->scratch_dir;
    if (!path) {
        fs_join(own, e->s->dir, e->db->id.text);
        path = own;
    }
    *cfg = (struct engine_config){.mode = MODES[e->kind],
        .no_sandbox = opt->no_sandbox,
        .db_bytes_max = opt->db_bytes_max,
        .cost_request_nano = opt->cost_request_nano,
        .cost_read_nano = opt->cost_read_nano,
        .cost_write_nano = opt->cost_write_nano,
        .undo_kept_ms = opt->undo_kept_ms};
    CHECK(strlen(path) < sizeof cfg->dir);
    memcpy(cfg->dir, path, strlen(path) + 1);
}

/* It never lived. */
static void start_failed(struct peer *e)
{
    list_remove(&e->queue_node);
    e->start_failed = e->exited = e->eof = true;
    e->wait_status = -1;
    peer_check_ended(e);
}

/* Hands one engine to the starter. false: nothing can be started now. */
static bool peer_ask(struct peer *e)
{
    struct supervisor *s = e->s;
    struct engine_config cfg;
    int pair[2];
    fill_config(e, &cfg);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    AUTO_FD ours = pair[0], theirs = pair[1];
    AUTO_FD board_fd = board_new(&e->board);
    if (e->board)
        atomic_store_explicit(&e->board->refuse_writes, s->refuse_writes, memory_order_relaxed);
    bool ok = board_fd >= 0 && fcntl(ours, F_SETFL, O_NONBLOCK) == 0 &&
              s->starter->start(s->starter, &cfg, theirs, board_fd);
    if (!ok) {
        if (e->board)
            munmap(e->board, BOARD_SIZE);
        e->board = NULL;
        return false;
    }
    e->fd = ours;
    ours = -1;
    e->state = PEER_ASKED;
    e->asked_us = e->progress_us = clock_mono_us();
    list_remove(&e->queue_node);
    list_push_back(&s->asked, &e->queue_node);
    s->queued_count--;
    s->asked_count++;
    s->live_count++;
    return true;
}

/* At the maximum: as many idle engines are asked to leave as new ones wait. */
static void make_room(struct supervisor *s)
{
    while (s->leaving_count < s->queued_count && !list_empty(&s->idle))
        peer_leave(LIST_FIRST(&s->idle, struct peer, queue_node));
}

void peers_start_queued(struct supervisor *s)
{
    while (!list_empty(&s->queued) && s->asked_count < STARTS_MAX && s->starter->alive(s->starter)) {
        if (s->live_count >= s->opt.engines_max) {
            make_room(s);
            return;
        }
        if (!peer_ask(LIST_FIRST(&s->queued, struct peer, queue_node)))
            return; /* the tick tries again */
    }
}

static struct str pid_key(const int32_t *pid)
{
    return str_make(pid, sizeof *pid);
}

static void on_pid_ready(void *arg, unsigned ready)
{
    struct peer *e = arg;
    int32_t pid = (int32_t)e->pid;
    (void)ready;
    if (!pidfd_ended(e->pidfd))
        return;
    loop_io_release(&e->pid_io);
    if (map_get(&e->s->pids, pid_key(&pid)) == e) /* else the number belongs to another by now */
        (void)map_del(&e->s->pids, pid_key(&pid));
    e->s->live_count--;
    e->exited = true;
    e->wait_status = -1;
    peer_check_ended(e);
}

static void peer_started(struct peer *e, int32_t pid, int pidfd)
{
    struct supervisor *s = e->s;
    e->pid = pid;
    e->pidfd = pidfd;
    e->state = PEER_OPENING;
    (void)map_put(&s->pids, pid_key(&pid), e);
    log_event(LOG_DEBUG, "engine_start", LOG_STR("db", id_str(&e->db->id)), LOG_INT("pid", pid));
    if (e->end > END_LEAVE)
        (void)pidfd_kill(pidfd);
    if (e->eof)
        return;
    loop_io_init(&e->io, s->loop, e->fd, peer_on_io, e);
    peer_want(e);
    peer_touch(e);
}

static void peer_exited(struct supervisor *s, int32_t pid, int wait_status)
{
    struct peer *e = map_del(&s->pids, pid_key(&pid));
    if (!e)
        return; /* told twice, or ended while the starter was away */
    loop_io_release(&e->pid_io);
    s->live_count--;
    e->exited = true;
    e->wait_status = wait_status;
    peer_check_ended(e);
}

void starter_answered(struct supervisor *s, const struct zygote_answer *answer, int pidfd)
{
    if (answer->exited) {
        peer_exited(s, answer->pid, answer->wait_status);
        return;
    }
    CHECK(!list_empty(&s->asked));
    struct peer *e = LIST_FIRST(&s->asked, struct peer, queue_node);
    list_remove(&e->queue_node);
    s->asked_count--;
    if (answer->pid > 0) {
        peer_started(e, answer->pid, pidfd);
    } else {
        log_event(LOG_ERROR, "engine_start_failed", LOG_STR("db", id_str(&e->db->id)),
            LOG_INT("errno", -answer->pid));
        s->live_count--;
        start_failed(e);
    }
    peers_start_queued(s);
}

void starter_lost(struct supervisor *s)
{
    struct list *it, *nx;
    while (!list_empty(&s->asked)) {
        struct peer *e = LIST_FIRST(&s->asked, struct peer, queue_node);
        s->asked_count--;
        s->live_count--;
        e->exited = e->eof = true;
        e->wait_status = -1;
        list_remove(&e->queue_node);
        peer_check_ended(e); /* not its fault: its calls go to the next engine */
    }
    LIST_EACH(it, nx, &s->engines)
    {
        struct peer *e = LIST_ITEM(it, struct peer, node);
        if (e->pidfd < 0 || e->exited || e->pid_io.read_ev)
            continue;
        loop_io_init(&e->pid_io, s->loop, e->pidfd, on_pid_ready, e);
        loop_io_want(&e->pid_io, LOOP_READ);
    }
}

void starter_back(struct supervisor *s)
{
    peers_start_queued(s);
}

void stats_add_board(struct supervise_stats *to, const struct board *b)
{
    to->commits += atomic_load_explicit(&b->commits, memory_order_relaxed);
    to->writes += atomic_load_explicit(&b->writes, memory_order_relaxed);
    to->fsyncs += atomic_load_explicit(&b->fsyncs, memory_order_relaxed);
    to->fsync_us += atomic_load_explicit(&b->fsync_us, memory_order_relaxed);
    to->busy_us += atomic_load_explicit(&b->busy_us, memory_order_relaxed);
    to->rollback_redos += atomic_load_explicit(&b->rollback_redos, memory_order_relaxed);
    to->violations += atomic_load_explicit(&b->violations, memory_order_relaxed);
}
