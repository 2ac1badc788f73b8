/* Gathering and writing the last use of tokens. */
#include "api/last_used.h"

#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define SAVE_EVERY_US 60000000

struct use {
    struct id token_id;
    int64_t at_ms;
};

struct save_job {
    struct workq_job job;
    struct api *api;
    size_t count;
    struct use uses[];
};

static void on_timer(void *arg)
{
    last_used_save(arg);
}

void last_used_init(struct last_used *u, struct api *api)
{
    u->api = api;
    map_init(&u->times);
    loop_timer_init(&u->timer, api->opt.loop, on_timer, u);
}

static void clear(struct last_used *u)
{
    size_t pos = 0;
    struct str key;
    void *value;

    while (map_next(&u->times, &pos, &key, &value))
        mem_free(value);
    map_release(&u->times);
    map_init(&u->times);
}

void last_used_release(struct last_used *u)
{
    clear(u);
    map_release(&u->times);
    loop_timer_release(&u->timer);
}

void last_used_note(struct last_used *u, const struct id *token_id)
{
    int64_t *at = map_get(&u->times, id_str(token_id));

    if (!at) {
        if (u->times.count >= CACHE_ENTRIES_MAX)
            return; /* it is noted after the next save */
        if (u->times.count == 0)
            loop_timer_set(&u->timer, SAVE_EVERY_US);
        at = MEM_NEW(int64_t);
        (void)map_put(&u->times, id_str(token_id), at); /* replaces nothing */
    }
    *at = clock_wall_ms();
}

static enum err_code save_all(const struct save_job *j, struct db *db, struct err *err)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; !code && i < j->count; i++)
        code = token_touch(db, id_str(&j->uses[i].token_id), j->uses[i].at_ms, err);
    return code;
}

/* A failure costs the operator a column in a list: it is logged and forgotten. */
static void save_run(struct workq_job *job, unsigned worker)
{
    const struct save_job *j = CONTAINER_OF(job, struct save_job, job);
    struct err err = ERR_INIT;
    struct db *db;
    enum err_code code = request_worker_db(j->api, worker, &db, &err);

    if (!code)
        code = tx_begin_write(db, &err);
    if (!code)
        code = tx_end(db, save_all(j, db, &err), &err);
    if (code)
        log_event(LOG_WARN, "last_used_failed", LOG_CSTR("error", err.message));
}

static void save_done(struct workq_job *job)
{
    mem_free(CONTAINER_OF(job, struct save_job, job));
}

static struct save_job *take_all(struct last_used *u)
{
    struct save_job *j = mem_alloc(sizeof *j + u->times.count * sizeof j->uses[0]);
    size_t pos = 0;
    struct str key;
    void *value;

    j->api = u->api;
    while (map_next(&u->times, &pos, &key, &value)) {
        struct use *use = &j->uses[j->count++];
        memcpy(use->token_id.text, key.ptr, key.len);
        use->at_ms = *(int64_t *)value;
    }
    clear(u);
    return j;
}

void last_used_save(struct last_used *u)
{
    loop_timer_cancel(&u->timer);
    if (u->times.count == 0)
        return;
    struct save_job *j = take_all(u);
    j->job = (struct workq_job){.run = save_run, .done = save_done};
    if (workq_submit(u->api->opt.workq, u->api->opt.loop, WORKQ_WRITE, &j->job, NULL))
        mem_free(j); /* the queue is full of requests: these uses are noted again soon */
}
