/* Snapshots as part of requests. */
#include "api/snapshot_call.h"
#include "api/call.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"

/* An admin's call, of the server itself. */
static void fill_own(struct api_request *r, enum wire_op op, int64_t timeout_ms,
    void (*done)(struct engine_call *call, const struct err *failed))
{
    struct wire_call *call = &r->call.req;
    call->op = op;
    call->role = WIRE_ROLE_ADMIN; /* the capability was checked */
    call->deadline_us = clock_mono_us() + timeout_ms * 1000;
    call->idempotency_key = call->plan_key = call->plan_step = call->claims = call->body = STR_EMPTY;
    call->has_table_scope = false;
    call->table_count = 0;
    call->snapshot = WIRE_SNAPSHOT_NEVER;
    call->arg_count = 0;
    strbuf_reset(&r->body);
    r->call.place = op == WIRE_OP_COPY ? ENGINE_STREAM : ENGINE_SHARED;
    r->call.on_data = request_gather;
    r->call.on_done = done;
}

/* One whose result is out/<id>.db. */
static enum err_code submit_own(struct api_request *r, enum wire_op op, const struct id *id,
    int64_t timeout_ms, void (*done)(struct engine_call *call, const struct err *failed), struct err *err)
{
    struct wire_call *call = &r->call.req;
    fill_own(r, op, timeout_ms, done);
    call->args[call->arg_count++] = (struct wire_arg){S("copy"), id_str(id)};
    call->args[call->arg_count++] = (struct wire_arg){S("same"), S("1")};
    return request_submit(r, err);
}

enum err_code snapshot_call(struct api_request *r, const struct id *id, int64_t timeout_ms,
    void (*done)(struct engine_call *call, const struct err *failed), struct err *err)
{
    return submit_own(r, WIRE_OP_COPY, id, timeout_ms, done, err);
}

enum err_code snapshot_call_carry(struct api_request *r, const struct id *copy_id,
    void (*done)(struct engine_call *call, const struct err *failed), struct err *err)
{
    enum err_code rc = request_fill_call(r, LIMIT_RESTORE_SEAL_MS * 1000, err);
    return rc ? rc : submit_own(r, WIRE_OP_CARRY, copy_id, LIMIT_RESTORE_SEAL_MS, done, err);
}

enum err_code snapshot_call_invariants(
    struct api_request *r, void (*done)(struct engine_call *call, const struct err *failed), struct err *err)
{
    struct wire_call *call = &r->call.req;
    int64_t timeout_ms = r->api->opt.statement_timeout_us / 1000;
    enum err_code rc = request_fill_call(r, timeout_ms * 1000, err);
    fill_own(r, WIRE_OP_INVARIANT_LIST, timeout_ms, done);
    call->args[call->arg_count++] = (struct wire_arg){S("broken"), S("true")};
    return rc ? rc : request_submit(r, err);
}

/* An engine may answer anything. */
static const struct jsonr_value *member_of(
    struct arena *a, struct str reply, const char *outer, const char *name)
{
    const struct jsonr_value *root;
    struct str text = arena_copy(a, reply);
    if (!text.ptr || jsonr_parse_with_nul(a, text, &root, NULL))
        return NULL;
    if (outer)
        root = jsonr_kind(root) == JSONR_OBJECT ? jsonr_member(root, str_of(outer)) : NULL;
    return root && jsonr_kind(root) == JSONR_OBJECT ? jsonr_member(root, str_of(name)) : NULL;
}

/* A member of an answer, at most two levels down. */
static const struct jsonr_value *member(struct api_request *r, const char *outer, const char *name)
{
    return member_of(&r->arena, strbuf_str(&r->body), outer, name);
}

const struct jsonr_value *snapshot_call_broken(struct api_request *r)
{
    const struct jsonr_value *v = r->head.status == 200 ? member(r, NULL, "data") : NULL;
    return v && jsonr_kind(v) == JSONR_ARRAY ? v : NULL;
}

struct str snapshot_call_error(struct api_request *r)
{
    const struct jsonr_value *v = member(r, NULL, "error");
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : S("The engine refused it");
}

int64_t snapshot_call_read_at(struct api_request *r)
{
    const struct jsonr_value *v = member(r, "data", "readAtMs");
    return v && jsonr_kind(v) == JSONR_INT ? jsonr_int(v) : 0;
}

/* --- For an undo --- */

struct lay_flow {
    struct wire_call asked;
    void (*on_data)(struct engine_call *call, const struct wire_reply_head *head, struct str chunk);
    void (*on_done)(struct engine_call *call, const struct err *err);
    void *flow; /* that the request had */
    struct str wanted;
    struct id database_id;
    struct snapshot_laid laid;
    struct err failed;   /* of the call */
    struct strbuf reply; /* of the engine, while a step has the request's buffer */
};

bool snapshot_lay_wanted(struct arena *a, struct str reply, struct str *ret_id)
{
    const struct jsonr_value *lay = member_of(a, reply, NULL, "lay");
    if (!lay || jsonr_kind(lay) != JSONR_TEXT || !id_valid(jsonr_text(lay), "snap"))
        return false;
    *ret_id = jsonr_text(lay);
    return true;
}

/* What is gone, or cannot be copied, is told by the engine. */
enum err_code snapshot_lay(struct db *db, const char *data_dir, const struct id *database_id,
    struct str wanted, struct snapshot_laid *ret, struct err *err)
{
    *ret = (struct snapshot_laid){.copy_id = id_new("db")};
    enum err_code rc = snapshot_get(db, database_id, wanted, &ret->snapshot, err);
    if (!rc)
        rc = registry_snapshot_lay_out(
            data_dir, id_str(&ret->snapshot.id), id_str(database_id), id_str(&ret->copy_id), err);
    ret->laid = rc == ERR_OK;
    if (rc != ERR_NOT_FOUND)
        return rc;
    *err = (struct err)ERR_INIT;
    return ERR_OK;
}

void snapshot_lay_call(struct wire_call *call, struct str item, const struct snapshot_laid *laid)
{
    call->snapshot = WIRE_SNAPSHOT_NEVER;
    call->arg_count = 0;
    call->args[call->arg_count++] = (struct wire_arg){S("id"), item};
    call->args[call->arg_count++] =
        (struct wire_arg){S("snapshot"), laid->laid ? id_str(&laid->snapshot.id) : STR_EMPTY};
    call->args[call->arg_count++] = (struct wire_arg){S("label"), str_of(laid->snapshot.label)};
    call->args[call->arg_count++] = (struct wire_arg){S("copy"), id_str(&laid->copy_id)};
}

static enum err_code lay_out(struct api_call *c)
{
    struct lay_flow *f = c->flow;
    return snapshot_lay(c->db, c->disk->data_dir, &f->database_id, f->wanted, &f->laid, c->err);
}

static enum err_code take_away(struct api_call *c)
{
    const struct lay_flow *f = c->flow;
    registry_copy_drop(c->disk->data_dir, id_str(&f->database_id), id_str(&f->laid.copy_id));
    return ERR_OK;
}

static void taken_away(struct api_request *r)
{
    struct lay_flow *f = r->flow;
    r->flow = f->flow;
    strbuf_release(&r->body);
    r->body = f->reply;
    f->on_done(&r->call, f->failed.code ? &f->failed : NULL);
}

static void undo_done(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct lay_flow *f = r->flow;
    struct err err = ERR_INIT;
    r->calling = false;
    if (failed)
        f->failed = *failed;
    f->reply = r->body;
    strbuf_init(&r->body, f->reply.limit);
    if (request_run_step(r, WORKQ_READ, take_away, taken_away, &err))
        taken_away(r); /* the next start removes it */
}

static void send_with_snapshot(struct api_request *r)
{
    struct lay_flow *f = r->flow;
    struct wire_call *call = &r->call.req;
    *call = f->asked;
    call->deadline_us = clock_mono_us() + r->api->opt.statement_timeout_us;
    snapshot_lay_call(call, r->item, &f->laid);
    r->call.place = ENGINE_SHARED;
    r->call.on_data = f->on_data;
    r->call.on_done = undo_done;
    strbuf_reset(&r->body);
    if (r->gone)
        (void)err_set(&f->failed, ERR_UNAVAILABLE, "The client left; nothing was written");
    if (f->failed.code || request_submit(r, &f->failed))
        undo_done(&r->call, NULL);
}

static bool lay_before_undo(struct api_request *r, struct str wanted)
{
    struct err err = ERR_INIT;
    struct lay_flow *f = ARENA_NEW(&r->arena, struct lay_flow);
    *f = (struct lay_flow){.asked = r->call.req,
        .on_data = r->call.on_data,
        .on_done = r->call.on_done,
        .flow = r->flow,
        .wanted = wanted,
        .failed = ERR_INIT};
    CHECK(r->call.db_id.len < sizeof f->database_id.text);
    memcpy(f->database_id.text, r->call.db_id.ptr, r->call.db_id.len);
    r->flow = f;
    if (request_run_step(r, WORKQ_READ, lay_out, send_with_snapshot, &err)) {
        r->flow = f->flow;
        f->on_done(&r->call, &err);
    }
    return true;
}

/* --- Before a write --- */

struct auto_flow {
    struct wire_call asked; /* the call that waits */
    void (*on_data)(struct engine_call *call, const struct wire_reply_head *head, struct str chunk);
    void (*on_done)(struct engine_call *call, const struct err *err);
    void *flow; /* that the request had */
    struct id database_id;
    struct registry_entry database;
    struct snapshot_new wanted;
    bool drops; /* a table or a column */
    struct snapshot_plan plan;
    struct snapshot made;
    char why[ERR_MESSAGE_MAX]; /* "": it was made */
};

void snapshot_ask_first(struct wire_call *call)
{
    if (call->op == WIRE_OP_QUERY || call->op == WIRE_OP_BATCH || call->op == WIRE_OP_APPLY ||
        call->op == WIRE_OP_REDEEM || call->op == WIRE_OP_MERGE || call->op == WIRE_OP_PROPOSAL_UNDO ||
        call->op == WIRE_OP_IMPORT)
        call->snapshot = WIRE_SNAPSHOT_ASK;
}

static int64_t timeout_us(const struct api_request *r, const struct wire_call *call)
{
    return call->op == WIRE_OP_IMPORT ? LIMIT_IMPORT_TIMEOUT_MS * 1000 : r->api->opt.statement_timeout_us;
}

static void send_again(struct api_request *r)
{
    struct auto_flow *f = r->flow;
    struct err err = ERR_INIT;
    struct wire_call *call = &r->call.req;
    r->flow = f->flow;
    *call = f->asked;
    call->deadline_us = clock_mono_us() + timeout_us(r, call);
    call->snapshot = f->why[0] ? WIRE_SNAPSHOT_SKIPPED : WIRE_SNAPSHOT_MADE;
    call->snapshot_id = f->why[0] ? STR_EMPTY : id_str(&f->made.id);
    call->snapshot_label = str_of(f->why[0] ? f->why : f->made.label);
    r->call.place = ENGINE_SHARED;
    r->call.on_data = f->on_data;
    r->call.on_done = f->on_done;
    strbuf_reset(&r->body);
    if (r->gone)
        (void)err_set(&err, ERR_UNAVAILABLE, "The client left; nothing was written");
    if (err.code || request_submit(r, &err))
        f->on_done(&r->call, &err);
}

static void go_on_without(struct api_request *r, const char *why)
{
    struct auto_flow *f = r->flow;
    str_print_cut(f->why, sizeof f->why, "%s", why);
    send_again(r);
}

/* Steps cannot fail: what goes wrong is the reason why there is none. */
static enum err_code keep(struct api_call *c)
{
    struct auto_flow *f = c->flow;
    if (snapshot_put(c->db, c->disk, c->by, &f->database, &f->wanted, &f->made, c->err)) {
        str_print_cut(f->why, sizeof f->why, "%s", c->err->message);
        *c->err = (struct err)ERR_INIT;
    }
    return ERR_OK;
}

static enum err_code put_away(struct api_call *c)
{
    const struct auto_flow *f = c->flow;
    registry_copy_drop(c->disk->data_dir, id_str(&f->database_id), id_str(&f->wanted.id));
    return ERR_OK;
}

static void without_copy(struct api_request *r, const char *why)
{
    struct auto_flow *f = r->flow;
    struct err err = ERR_INIT;
    str_print_cut(f->why, sizeof f->why, "%s", why);
    if (request_run_step(r, WORKQ_READ, put_away, send_again, &err))
        send_again(r);
}

static void on_copied(struct engine_call *call, const struct err *failed)
{
    struct api_request *r = call->arg;
    struct auto_flow *f = r->flow;
    struct err err = ERR_INIT;
    r->calling = false;
    if (failed || r->head.status != 200) {
        without_copy(r, failed ? failed->message : "the database could not be copied");
        return;
    }
    f->wanted.read_at = snapshot_call_read_at(r);
    f->wanted.changed_at = supervise_last_commit_ms(r->api->opt.supervisor, id_str(&f->database_id));
    if (request_run_step(r, WORKQ_WRITE, keep, send_again, &err)) {
        r->flow = f->flow;
        f->on_done(&r->call, &err);
    }
}

static enum err_code plan(struct api_call *c)
{
    struct auto_flow *f = c->flow;
    enum err_code rc = registry_get_by_id(c->db, &f->database_id, &f->database, c->err);
    if (!rc)
        rc = snapshot_plan(c->db, c->disk, &f->database_id, f->drops, &f->plan, c->err);
    if (rc) {
        f->plan = (struct snapshot_plan){.what = SNAPSHOT_PLAN_SKIP, .why = ""};
        str_print_cut(f->why, sizeof f->why, "%s", c->err->message);
        *c->err = (struct err)ERR_INIT;
    }
    return ERR_OK;
}

static void on_planned(struct api_request *r)
{
    struct auto_flow *f = r->flow;
    struct err err = ERR_INIT;
    f->made = f->plan.use;
    if (f->plan.what == SNAPSHOT_PLAN_USE) {
        send_again(r);
    } else if (f->plan.what == SNAPSHOT_PLAN_SKIP) {
        go_on_without(r, f->why[0] ? f->why : f->plan.why);
    } else {
        f->wanted.id = id_new("snap");
        if (snapshot_call(r, &f->wanted.id, LIMIT_AUTO_SNAPSHOT_MS, on_copied, &err))
            go_on_without(r, err.message);
    }
}

bool snapshot_before_write(struct api_request *r)
{
    struct err err = ERR_INIT;
    if (!r->head.wants_snapshot || r->call.req.snapshot != WIRE_SNAPSHOT_ASK)
        return false;
    struct str lay;
    if (snapshot_lay_wanted(&r->arena, strbuf_str(&r->body), &lay))
        return lay_before_undo(r, lay);
    struct auto_flow *f = ARENA_NEW(&r->arena, struct auto_flow);
    const struct jsonr_value *label = member(r, NULL, "label"), *drops = member(r, NULL, "drops");
    struct str text = label && jsonr_kind(label) == JSONR_TEXT ? jsonr_text(label) : S("before a write");
    *f = (struct auto_flow){
        .asked = r->call.req, .on_data = r->call.on_data, .on_done = r->call.on_done, .flow = r->flow};
    CHECK(r->call.db_id.len < sizeof f->database_id.text);
    memcpy(f->database_id.text, r->call.db_id.ptr, r->call.db_id.len);
    f->wanted =
        (struct snapshot_new){.label = str_slice(text, 0, utf8_cut(text, (size_t)LIMIT_SNAPSHOT_LABEL_BYTES)),
            .kind = SNAPSHOT_AUTOMATIC};
    f->drops = drops && jsonr_kind(drops) == JSONR_BOOL && jsonr_bool(drops);
    r->flow = f;
    if (request_run_step(r, WORKQ_READ, plan, on_planned, &err)) {
        r->flow = f->flow;
        f->on_done(&r->call, &err);
    }
    return true;
}
