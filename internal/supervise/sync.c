/* What worker threads call: the work is posted to the loop, the worker waits. The request is shared by both
 * and freed by the last; so neither a worker that gave up nor a loop that has ended leaves anything dangling.
 */
#include "base/check.h"
#include "base/mem.h"
#include "supervise/state.h"

struct sync_call {
    struct list node; /* supervisor->sync_calls while the loop has not begun it; under sync_lock */
    struct supervisor *s;
    pthread_mutex_t lock; /* guards done, refs and the result */
    pthread_cond_t wake;
    bool done;
    unsigned refs;
    void (*begin)(struct sync_call *sc); /* on the loop; leads to sync_end() */
    struct engine_call call;             /* of a call; the strings are the worker's */
    struct str db_id;                    /* of the others */
    struct wire_reply_head head;
    struct strbuf *out;
    enum err_code code;
    struct err err;
};

void sync_init(struct supervisor *s)
{
    CHECK(pthread_mutex_init(&s->sync_lock, NULL) == 0);
    CHECK(pthread_mutex_init(&s->set_aside_lock, NULL) == 0);
    map_init(&s->set_aside);
    list_init(&s->sync_calls);
}

static struct sync_call *sync_new(struct supervisor *s, void (*begin)(struct sync_call *sc))
{
    struct sync_call *sc = MEM_NEW(struct sync_call);
    CHECK(pthread_mutex_init(&sc->lock, NULL) == 0);
    CHECK(pthread_cond_init(&sc->wake, NULL) == 0);
    list_init(&sc->node);
    sc->s = s;
    sc->begin = begin;
    sc->refs = 1;
    return sc;
}

static void sync_unref(struct sync_call *sc)
{
    pthread_mutex_lock(&sc->lock);
    bool last = --sc->refs == 0;
    pthread_mutex_unlock(&sc->lock);
    if (!last)
        return;
    pthread_cond_destroy(&sc->wake);
    pthread_mutex_destroy(&sc->lock);
    mem_free(sc);
}

/* Wakes the worker; its memory must not be touched afterwards. */
static void sync_finish(struct sync_call *sc, enum err_code code)
{
    pthread_mutex_lock(&sc->lock);
    CHECK(!sc->done);
    sc->code = code;
    sc->done = true;
    pthread_cond_signal(&sc->wake);
    pthread_mutex_unlock(&sc->lock);
}

/* As above for the loop's side, with its reference. */
static void sync_end(struct sync_call *sc, enum err_code code)
{
    sync_finish(sc, code);
    sync_unref(sc);
}

static void sync_refuse(struct sync_call *sc)
{
    sync_finish(sc, err_set(&sc->err, ERR_UNAVAILABLE, "the server is shutting down"));
}

/* Loop thread. Finds the request done when the supervisor was closed in between (it may be gone by now). */
static void on_posted(void *arg)
{
    struct sync_call *sc = arg;
    pthread_mutex_lock(&sc->lock);
    bool done = sc->done;
    pthread_mutex_unlock(&sc->lock);
    if (done) {
        sync_unref(sc);
        return;
    }
    pthread_mutex_lock(&sc->s->sync_lock);
    list_remove(&sc->node);
    pthread_mutex_unlock(&sc->s->sync_lock);
    sc->begin(sc); /* the reference is its, until sync_end() */
}

/* Worker thread: posts and waits. */
static void sync_run(struct sync_call *sc)
{
    struct supervisor *s = sc->s;
    CHECK(!loop_is_current(s->loop)); /* it would wait for itself */
    pthread_mutex_lock(&s->sync_lock);
    bool closed = s->sync_closed;
    if (!closed) {
        sc->refs++;
        list_push_back(&s->sync_calls, &sc->node);
        loop_post(s->loop, on_posted, sc);
    }
    pthread_mutex_unlock(&s->sync_lock);
    if (closed)
        sync_refuse(sc);
    pthread_mutex_lock(&sc->lock);
    while (!sc->done)
        pthread_cond_wait(&sc->wake, &sc->lock);
    pthread_mutex_unlock(&sc->lock);
}

/* Those that the loop has begun end as all calls do; those it has not, and later ones, are refused. */
void sync_close(struct supervisor *s)
{
    pthread_mutex_lock(&s->sync_lock);
    s->sync_closed = true;
    while (!list_empty(&s->sync_calls)) {
        struct sync_call *sc = LIST_FIRST(&s->sync_calls, struct sync_call, node);
        list_remove(&sc->node);
        sync_refuse(sc);
    }
    pthread_mutex_unlock(&s->sync_lock);
}

void sync_release(struct supervisor *s)
{
    CHECK(list_empty(&s->sync_calls));
    pthread_mutex_destroy(&s->sync_lock);
    pthread_mutex_destroy(&s->set_aside_lock);
    map_release(&s->set_aside);
}

/* --- calls --- */

static void on_data(struct engine_call *call, const struct wire_reply_head *head, struct str chunk)
{
    struct sync_call *sc = call->arg;
    if (head)
        sc->head = *head;
    strbuf_add_str(sc->out, chunk);
    if (strbuf_failed(sc->out))
        supervise_cancel(sc->s, call);
}

static void on_done(struct engine_call *call, const struct err *err)
{
    struct sync_call *sc = call->arg;
    if (strbuf_failed(sc->out))
        err_set(&sc->err, ERR_TOO_LARGE, "the answer of the database is too large");
    else if (err)
        sc->err = *err;
    sync_end(sc, sc->err.code);
}

static void begin_call(struct sync_call *sc)
{
    enum err_code code = supervise_submit(sc->s, &sc->call, &sc->err);
    if (code != ERR_OK)
        sync_end(sc, code);
}

static enum err_code run_call(
    struct sync_call *sc, struct wire_reply_head *ret_head, struct strbuf *out, struct err *err)
{
    sc->call.on_data = on_data;
    sc->call.on_done = on_done;
    sc->call.arg = sc;
    sc->out = out;
    sync_run(sc);
    enum err_code code = sc->code;
    if (code == ERR_OK)
        *ret_head = sc->head;
    else if (err)
        *err = sc->err;
    sync_unref(sc);
    return code;
}

enum err_code supervise_call_sync(struct supervisor *s, struct str db_id, const struct wire_call *req,
    struct wire_reply_head *ret_head, struct strbuf *out, struct err *err)
{
    struct sync_call *sc = sync_new(s, begin_call);
    sc->call.db_id = db_id;
    sc->call.req = *req;
    sc->call.place = wire_op_lane(req->op) == WIRE_LANE_STREAM ? ENGINE_STREAM : ENGINE_SHARED;
    return run_call(sc, ret_head, out, err);
}

/* --- eviction --- */

static void on_evicted(void *arg)
{
    sync_end(arg, ERR_OK);
}

static void begin_evict(struct sync_call *sc)
{
    supervise_evict(sc->s, sc->db_id, on_evicted, sc);
}

static void begin_hold(struct sync_call *sc)
{
    supervise_hold(sc->s, sc->db_id, on_evicted, sc);
}

static void begin_allow(struct sync_call *sc)
{
    supervise_allow(sc->s, sc->db_id);
    sync_end(sc, ERR_OK);
}

static void run_plain(struct supervisor *s, struct str db_id, void (*begin)(struct sync_call *sc))
{
    struct sync_call *sc = sync_new(s, begin);
    sc->db_id = db_id;
    sync_run(sc);
    sync_unref(sc);
}

void supervise_evict_sync(struct supervisor *s, struct str db_id)
{
    run_plain(s, db_id, begin_evict);
}

void supervise_hold_sync(struct supervisor *s, struct str db_id)
{
    run_plain(s, db_id, begin_hold);
}

void supervise_allow_sync(struct supervisor *s, struct str db_id)
{
    run_plain(s, db_id, begin_allow);
}
