/* The row of the audit log for a proposal that was applied. Which one it was is known afterwards alone, so
 * its row is appended then, and before the client hears of it. A crash in between loses the row and not the
 * truth: the database keeps who applied what, in the transaction of the write itself.
 *
 * A transaction of control.db waits for the disk. Those that are applied meanwhile share the next one, as
 * writes share one in an engine:
 *
 *     applied ─► api->applied ─► (no group under way) ─► group, on a worker ─► answered; the next group
 */
#include "api/request.h"

#include "audit/audit.h"
#include "base/fail_point.h"
#include "base/mem.h"

enum { GROUP_MAX = 256 }; /* rows of one transaction: others wait for their turn to write too */

struct group {
    struct workq_job job;
    struct api *api;
    struct list requests;
};

/* It stands in meta, behind all data. */
static struct str applied_proposal(const struct api_request *r)
{
    static const struct str NAME = {"\"proposalId\":\"", 14};
    struct str body = strbuf_str(&r->body);
    size_t at = body.len;
    while (at >= NAME.len && !str_ends(str_slice(body, 0, at), NAME))
        at--;
    size_t end = at;
    while (end < body.len && body.ptr[end] != '"')
        end++;
    struct str id = str_slice(body, at, end);
    return id_valid(id, "prop") ? id : STR_EMPTY;
}

/* --- On a worker --- */

static enum err_code append_one(struct db *db, const struct api_request *r, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = r->by,
            .action = AUDIT_PROPOSAL_APPLIED,
            .namespace_id = &r->who->id->namespace_id,
            .target_id = id_str(&r->place.id),
            .target_name = r->db,
            .after = AUDIT_VALUES(audit_text_or_null("proposal", applied_proposal(r)))},
        err);
}

static enum err_code append_all(struct db *db, struct list *requests, struct err *err)
{
    struct list *it, *next;
    enum err_code rc = tx_begin_write(db, err);
    if (rc)
        return rc;
    LIST_EACH(it, next, requests)
    if (!rc)
        rc = append_one(db, LIST_ITEM(it, struct api_request, settling), err);
    return tx_end(db, rc, err);
}

/* One namespace's chain is damaged: the others' rows are written all the same. */
static void append_each(struct db *db, struct list *requests)
{
    struct list *it, *next;
    LIST_EACH(it, next, requests)
    {
        struct api_request *r = LIST_ITEM(it, struct api_request, settling);
        r->err = (struct err)ERR_INIT;
        r->err.code = tx_begin_write(db, &r->err);
        if (!r->err.code)
            r->err.code = tx_end(db, append_one(db, r, &r->err), &r->err);
    }
}

static void group_run(struct workq_job *job, unsigned worker)
{
    struct group *g = CONTAINER_OF(job, struct group, job);
    struct list *it, *next;
    struct err err = ERR_INIT;
    struct db *db;
    fail_point_pass(FAIL_APPLY_ANSWERED);
    enum err_code rc = request_worker_db(g->api, worker, &db, &err);
    if (!rc)
        rc = append_all(db, &g->requests, &err);
    fail_point_pass(FAIL_APPLY_RECORDED);
    if (rc == ERR_CORRUPT) {
        append_each(db, &g->requests);
        return;
    }
    LIST_EACH(it, next, &g->requests)
    LIST_ITEM(it, struct api_request, settling)->err = err;
}

/* --- On the loop --- */

static void begin_group(struct api *api);

static void group_done(struct workq_job *job)
{
    struct group *g = CONTAINER_OF(job, struct group, job);
    struct list *it, *next;
    g->api->appending = false;
    begin_group(g->api); /* its answers leave while the next one waits for the disk */
    LIST_EACH(it, next, &g->requests)
    {
        struct api_request *r = LIST_ITEM(it, struct api_request, settling);
        struct err err = r->err;
        list_remove(it);
        request_settled(r, &err);
    }
    mem_free(g);
}

static void take(struct group *g, struct list *waiting)
{
    for (int n = 0; n < GROUP_MAX && !list_empty(waiting); n++) {
        struct list *first = waiting->next;
        list_remove(first);
        list_push_back(&g->requests, first);
    }
}

static void refuse(struct group *g, const struct err *why)
{
    struct list *it, *next;
    LIST_EACH(it, next, &g->requests)
    {
        list_remove(it);
        request_settled(LIST_ITEM(it, struct api_request, settling), why);
    }
    mem_free(g);
}

static void begin_group(struct api *api)
{
    struct err err = ERR_INIT;
    if (api->appending || list_empty(&api->applied))
        return;
    struct group *g = MEM_NEW(struct group);
    g->api = api;
    g->job = (struct workq_job){.run = group_run, .done = group_done};
    list_init(&g->requests);
    take(g, &api->applied);
    api->appending = true; /* done() may come before submit returns */
    if (!workq_submit(api->opt.workq, api->opt.loop, WORKQ_WRITE, &g->job, &err))
        return;
    api->appending = false;
    refuse(g, &err);
}

void applied_append(struct api_request *r)
{
    (void)request_actor(r); /* kept in r->by */
    list_push_back(&r->api->applied, &r->settling);
    begin_group(r->api);
}
