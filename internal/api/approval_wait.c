/* GET …/approvals/{id}?waitSec=: answers when the decision is there, or the time is over. Whoever waits costs
 * a request and a timer, no thread: it stands in a list of the api, and looks again on a worker when
 * something about approvals changed.
 *
 *   look (worker) ─┬─► decided, or nobody waits ─► answer
 *        ▲         └─► pending ─► parked ─┐
 *        └── changed, time over, gone ────┘ */
#include "api/approvals.h"
#include "base/clock.h"
#include "base/limits.h"

route_loop_fn persql_approval_get;

#define LOOK_ARENA_MAX (8 << 20)

struct wait {
    struct list node; /* of api->approval_waits while it is parked */
    struct loop_timer timer;
    struct api_request *r;
    struct id database_id;
    int64_t until_us, over_ms; /* over_ms: of the approval */
    uint64_t seen;             /* changes, when it looked */
    bool parked, again, gone;
};

/* With the request's arena. */
static void release(void *arg)
{
    struct wait *w = arg;
    loop_timer_release(&w->timer);
}

/* --- On the worker --- */

/* An admin without limits sees what others asked for; so does a person. */
static bool sees(const struct api_call *c, const struct approval *p)
{
    bool whole = c->who->role == WIRE_ROLE_ADMIN && !c->who->has_table_scope && !c->who->claims.len;

    return c->person || whole || str_eq(id_str(&c->who->token_id), id_str(&p->token_id));
}

enum err_code approval_find(struct api_call *c, const struct id *database_id, struct approval *ret)
{
    enum err_code rc = approval_get(c->db, c->arena, c->item, ret, c->err);

    if (!rc && (!str_eq(id_str(&ret->database_id), id_str(database_id)) || !sees(c, ret)))
        rc = err_set(c->err, ERR_NOT_FOUND, "No such approval");
    return rc ? rc : approval_reconcile(c->db, c->opt->supervisor, c->arena, ret, c->err);
}

static enum err_code look_in(struct api_call *c, struct wait *w)
{
    struct approval p;
    enum err_code rc = approval_find(c, &w->database_id, &p);

    if (rc)
        return rc;
    w->again = p.status == APPROVAL_PENDING;
    w->over_ms = p.expires_at;
    jsonw_object(c->out);
    JSONW_BOOL(c->out, "success", true);
    jsonw_key(c->out, "data");
    rc = approval_view_whole(c, &p, NULL, NULL);
    jsonw_object_end(c->out);
    return rc;
}

static enum err_code look_step(struct api_call *c)
{
    AUTO_ARENA a;
    struct api_call mine = *c; /* it may look many times */

    arena_init(&a, LOOK_ARENA_MAX);
    mine.arena = &a;
    return look_in(&mine, c->flow);
}

/* --- On the loop --- */

static void looked(struct api_request *r);

static void look(struct wait *w)
{
    struct err err = ERR_INIT;

    w->seen = w->r->api->approval_changes;
    if (request_run_step(w->r, WORKQ_READ, look_step, looked, &err))
        request_flow_fail(w->r, &err);
}

static void unpark(struct wait *w)
{
    if (!w->parked)
        return;
    w->parked = false;
    list_remove(&w->node);
    w->r->api->approval_waiters--;
    loop_timer_cancel(&w->timer);
    look(w);
}

static void on_time(void *arg)
{
    unpark(arg);
}

static void on_gone(void *arg)
{
    struct wait *w = arg;
    w->gone = true;
    unpark(w);
}

static void park(struct wait *w, int64_t left_us)
{
    int64_t over_us = (w->over_ms - clock_wall_ms() + 1) * 1000;

    w->parked = true;
    list_push_back(&w->r->api->approval_waits, &w->node);
    w->r->api->approval_waiters++;
    loop_timer_set(&w->timer, over_us < left_us ? (over_us > 1000 ? over_us : 1000) : left_us);
}

static void looked(struct api_request *r)
{
    struct wait *w = r->flow;
    struct api *api = r->api;
    int64_t left_us = w->until_us - clock_mono_us();
    bool full = api->approval_waiters >= LIMIT_APPROVAL_WAITERS;

    if (w->again && left_us > 0 && !w->gone && !full && !api->draining) {
        if (w->seen != api->approval_changes)
            look(w);
        else
            park(w, left_us);
        return;
    }
    r->flow = NULL;
    request_reply_body(r, 200, "application/json");
}

void approvals_changed(struct api *api)
{
    api->approval_changes++;
    for (unsigned n = api->approval_waiters; n > 0; n--) /* who parks again stands behind them */
        unpark(LIST_FIRST(&api->approval_waits, struct wait, node));
}

void approvals_stop(struct api *api)
{
    approvals_changed(api); /* it drains, so nobody parks again */
}

void persql_approval_get(struct api_request *r)
{
    int64_t wait_s;
    struct err err = ERR_INIT;
    struct wait *w = ARENA_NEW(&r->arena, struct wait);

    if (query_i64(&r->args, "waitSec", 0, 0, LIMIT_APPROVAL_WAIT_S, &wait_s, &err)) {
        request_fail(r, &err);
        return;
    }
    *w = (struct wait){.r = r, .database_id = r->place.id, .until_us = clock_mono_us() + wait_s * 1000000};
    loop_timer_init(&w->timer, r->api->opt.loop, on_time, w);
    arena_defer(&r->arena, release, w);
    r->flow = w;
    http_on_gone(r->http, on_gone, w);
    look(w);
}
