/* GET …/export: the engine's stream becomes the answer's, one chunk in flight. While the client is slow the
 * engine is not read, so its own socket fills and it waits: nobody holds more than a chunk or two.
 *
 *   engine ─► pending ─► sending ─► client
 */
#include "api/request.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

route_loop_fn persql_export;

struct export
{
    struct api_request *r;
    struct strbuf pending, sending;
    uint64_t left;  /* bytes that were announced and have not come; 0 when none were */
    bool begun;     /* the head of the answer is out */
    bool in_flight; /* `sending` is with the HTTP layer */
    bool over;      /* the engine said its last */
    struct err err; /* why it ended early; code 0: it did not */
};

static void export_free(struct export *x)
{
    strbuf_release(&x->pending);
    strbuf_release(&x->sending);
    x->r->flow = NULL;
    mem_free(x);
}

/* The engine is done and so is the client. */
static void finish_stream(struct export *x)
{
    struct api_request *r = x->r;
    struct http_request *http = r->http;
    enum err_code code = x->err.code;
    export_free(x);
    request_end(r, 200, code);
    if (code)
        http_stream_abort(http);
    else
        http_stream_end(http);
}

static void drained(void *arg);

static void pump(struct export *x)
{
    if (x->in_flight && !x->r->gone)
        return;
    if (x->pending.len && !x->r->gone && !x->err.code) {
        struct strbuf empty = x->sending;
        x->sending = x->pending;
        x->pending = empty;
        strbuf_reset(&x->pending);
        x->in_flight = true;
        if (x->r->calling)
            supervise_pause(x->r->api->opt.supervisor, &x->r->call);
        http_stream_send(x->r->http, strbuf_str(&x->sending), drained, x);
        return;
    }
    if (x->over)
        finish_stream(x);
}

static void drained(void *arg)
{
    struct export *x = arg;
    x->in_flight = false;
    if (x->r->calling)
        supervise_resume(x->r->api->opt.supervisor, &x->r->call);
    pump(x);
}

static const char *file_extension(unsigned content)
{
    static const char *const names[WIRE_CONTENT_COUNT] = {[WIRE_CONTENT_JSON] = "json",
        [WIRE_CONTENT_TEXT] = "txt",
        [WIRE_CONTENT_SQL] = "sql",
        [WIRE_CONTENT_SQLITE] = "sqlite",
        [WIRE_CONTENT_CSV] = "csv",
        [WIRE_CONTENT_NDJSON] = "ndjson"};
    return names[content];
}

static void begin(struct export *x)
{
    struct api_request *r = x->r;
    http_set_header(r->http, "Content-Disposition",
        arena_printf(
            &r->arena, "attachment; filename=\"%.*s.%s\"", STR_ARG(r->db), file_extension(r->head.content)));
    if (r->head.bytes_total == 0 && r->head.bytes_estimate > 0)
        http_set_header(r->http, "X-Export-Bytes-Estimate",
            arena_printf(&r->arena, "%llu", (unsigned long long)r->head.bytes_estimate));
    http_stream_begin(r->http, r->head.status, request_content_type(r), r->head.bytes_total);
    x->left = r->head.bytes_total;
    x->begun = true;
}

/* Nothing an engine says is believed: what it announced is what the client was told, and must come. */
static void wrong_length(struct export *x)
{
    x->err.code = err_set(&x->err, ERR_INTERNAL, "the export is not as long as was announced");
}

static void on_data(struct engine_call *call, const struct wire_reply_head *head, struct str chunk)
{
    struct api_request *r = call->arg;
    struct export *x = r->flow;
    if (head) {
        r->head = *head;
        if (head->status == 200)
            begin(x);
    }
    if (!x->begun) {
        strbuf_add_str(&r->body, chunk); /* an error: small, and with a status of its own */
        return;
    }
    if (r->head.bytes_total > 0 && chunk.len > x->left) {
        wrong_length(x);
        return;
    }
    x->left -= r->head.bytes_total > 0 ? chunk.len : 0;
    strbuf_add_str(&x->pending, chunk);
    pump(x);
}

/* All that was announced is with the HTTP layer. */
static bool is_whole(const struct export *x)
{
    return x->r->head.bytes_total > 0 && x->left == 0 && x->pending.len == 0 && !x->err.code;
}

static void on_done(struct engine_call *call, const struct err *err)
{
    struct api_request *r = call->arg;
    struct export *x = r->flow;
    r->calling = false;
    if (!x->begun) {
        export_free(x);
        if (err)
            request_fail(r, err);
        else
            request_reply_gathered(r);
        return;
    }
    x->over = true;
    if (err && !(r->gone && is_whole(x))) /* the client may leave as soon as it has the last byte */
        x->err = *err;
    else if (strbuf_failed(&x->pending))
        x->err.code = ERR_INTERNAL;
    else if (x->left > 0)
        wrong_length(x);
    pump(x);
}

void persql_export(struct api_request *r)
{
    struct err err = ERR_INIT;
    struct export *x = MEM_NEW(struct export);
    x->r = r;
    strbuf_init(&x->pending, (size_t)16 * WIRE_CHUNK_MAX);
    strbuf_init(&x->sending, (size_t)16 * WIRE_CHUNK_MAX);
    strbuf_reset(&r->body);
    enum err_code rc = request_fill_call(r, LIMIT_EXPORT_TIMEOUT_MS * 1000, &err);
    if (!rc) {
        r->flow = x;
        r->call.place = ENGINE_STREAM;
        r->call.on_data = on_data;
        r->call.on_done = on_done;
        rc = request_submit(r, &err);
    }
    if (rc) {
        export_free(x);
        request_fail(r, &err);
    }
}
