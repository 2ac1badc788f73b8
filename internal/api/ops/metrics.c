/* /metrics and /openapi.json. */
#include "api/request.h"

static void counter(struct strbuf *out, const char *name, const char *help, uint64_t value)
{
    metrics_head(out, name, METRICS_COUNTER, help);
    metrics_u64(out, name, NULL, value);
}

static void seconds(struct strbuf *out, const char *name, const char *help, uint64_t us)
{
    metrics_head(out, name, METRICS_COUNTER, help);
    metrics_seconds(out, name, NULL, us);
}

static void gauge(struct strbuf *out, const char *name, const char *help, uint64_t value)
{
    metrics_head(out, name, METRICS_GAUGE, help);
    metrics_u64(out, name, NULL, value);
}

static void write_http(const struct api *api, struct strbuf *out)
{
    struct http_stats s;
    http_server_stats(api->server, &s);
    gauge(out, "holdfast_connections", "Open client connections.", s.open);
    counter(out, "holdfast_connections_accepted_total", "Connections accepted.", s.accepted);
    metrics_head(
        out, "holdfast_connections_refused_total", METRICS_COUNTER, "Connections refused, by limit.");
    metrics_u64(
        out, "holdfast_connections_refused_total", METRICS_LABELS({"reason", S("server")}), s.refused_full);
    metrics_u64(
        out, "holdfast_connections_refused_total", METRICS_LABELS({"reason", S("address")}), s.refused_ip);
    counter(out, "holdfast_guard_refusals_total", "Requests that were not strict HTTP.", s.guard_refusals);
    counter(out, "holdfast_http_timeouts_total", "Connections closed by a deadline.", s.timeouts);
    counter(out, "holdfast_http_in_bytes_total", "Bytes read from clients.", s.bytes_in);
    counter(out, "holdfast_http_out_bytes_total", "Bytes written to clients.", s.bytes_out);
}

static void write_engine_life(const struct supervise_stats *s, struct strbuf *out)
{
    metrics_head(out, "holdfast_engines", METRICS_GAUGE, "Engine processes, by kind.");
    metrics_u64(out, "holdfast_engines", METRICS_LABELS({"kind", S("writer")}), s->engines - s->readers);
    metrics_u64(out, "holdfast_engines", METRICS_LABELS({"kind", S("reader")}), s->readers);
    counter(out, "holdfast_engine_starts_total", "Engines started.", s->starts);
    seconds(out, "holdfast_engine_start_seconds_total", "Time from asking for an engine to its first word.",
        s->start_us);
    counter(out, "holdfast_engine_crashes_total", "Engines that died unasked.", s->crashes);
    metrics_head(out, "holdfast_engine_kills_total", METRICS_COUNTER, "Engines killed, by reason.");
    metrics_u64(
        out, "holdfast_engine_kills_total", METRICS_LABELS({"reason", S("deadline")}), s->kills_deadline);
    metrics_u64(
        out, "holdfast_engine_kills_total", METRICS_LABELS({"reason", S("stalled")}), s->kills_stalled);
    metrics_u64(
        out, "holdfast_engine_kills_total", METRICS_LABELS({"reason", S("protocol")}), s->kills_protocol);
    metrics_u64(out, "holdfast_engine_kills_total", METRICS_LABELS({"reason", S("stuck")}), s->kills_stuck);
    counter(
        out, "holdfast_engine_idle_exits_total", "Engines that left because nobody called.", s->idle_exits);
    gauge(out, "holdfast_breakers_open", "Databases refused after repeated crashes.", s->breakers_open);
}

static void write_engine_work(const struct supervise_stats *s, struct strbuf *out)
{
    gauge(out, "holdfast_calls_waiting", "Calls that wait for an engine.", s->waiting);
    counter(out, "holdfast_calls_bounced_total", "Long reads moved to a reader engine.", s->bounces);
    counter(out, "holdfast_calls_retried_total", "Calls sent to a second engine after the first died.",
        s->retries);
    counter(out, "holdfast_commits_total", "Commits of tenant databases.", s->commits);
    counter(out, "holdfast_writes_total",
        "Writes in those commits; writes per commit is the group commit at work.", s->writes);
    counter(out, "holdfast_fsyncs_total", "fsync calls of engines.", s->fsyncs);
    seconds(out, "holdfast_fsync_seconds_total", "Time in those.", s->fsync_us);
    gauge(out, "holdfast_wal_bytes", "Bytes in the write-ahead logs of running engines.", s->wal_bytes);
    seconds(out, "holdfast_engine_busy_seconds_total", "Time engines spent on calls.", s->busy_us);
    counter(out, "holdfast_rollback_redos_total",
        "Neighbours' writes done again after a statement ended the transaction.", s->rollback_redos);
    counter(out, "holdfast_guard_violations_total", "Statements refused by the SQL guard.", s->violations);
}

static void write_front(const struct api *api, struct strbuf *out)
{
    const struct request_metrics *m = &api->metrics;
    gauge(out, "holdfast_upload_spool_bytes",
        "Disk that uploads hold: those coming in and those waiting to be loaded.", api->spooled);
    gauge(out, "holdfast_requests_open", "Requests not yet answered.", api->open_count);
    gauge(out, "holdfast_worker_queue", "Jobs that wait for a worker thread.", workq_depth(api->opt.workq));
    counter(out, "holdfast_worker_jobs_total",
        "Times that requests went to a worker thread to be looked up or answered.", m->jobs);
    counter(out, "holdfast_control_statements_total",
        "Statements that they ran there on the control database.", m->statements);
    metrics_head(out, "holdfast_identity_cache_total", METRICS_COUNTER,
        "Requests admitted from the cache, and looked up.");
    metrics_u64(out, "holdfast_identity_cache_total", METRICS_LABELS({"result", S("hit")}), m->cache_hits);
    metrics_u64(out, "holdfast_identity_cache_total", METRICS_LABELS({"result", S("miss")}), m->cache_misses);
    counter(out, "holdfast_auth_failures_total", "Requests without a valid token.", m->auth_failures);
    counter(out, "holdfast_replays_total", "Answers replayed for an idempotency or plan key.", m->replays);
    gauge(
        out, "holdfast_disk_low", "1 while writes are refused for lack of disk space.", api->health.disk_low);
}

static void write_outgoing(struct courier *courier, struct strbuf *out)
{
    struct courier_stats s;
    courier_stats(courier, &s);
    metrics_head(out, "holdfast_outgoing_requests_total", METRICS_COUNTER,
        "Requests that the server made itself, by how they ended.");
    for (unsigned i = 0; i < COURIER_OUTCOME_COUNT; i++)
        metrics_u64(out, "holdfast_outgoing_requests_total",
            METRICS_LABELS({"outcome", str_of(courier_outcome_name((enum courier_outcome)i))}), s.ended[i]);
    gauge(out, "holdfast_outgoing_requests_open", "Those that run or wait.", s.running + s.waiting);
    metrics_head(out, "holdfast_outgoing_seconds", METRICS_HISTOGRAM, "How long they took.");
    metrics_hist(out, "holdfast_outgoing_seconds", NULL, &s.took);
}

route_loop_fn ops_metrics, ops_openapi;

void ops_metrics(struct api_request *r)
{
    struct supervise_stats s;
    supervise_stats(r->api->opt.supervisor, &s);
    strbuf_reset(&r->body);
    request_metrics_write(&r->api->metrics, &r->body);
    write_front(r->api, &r->body);
    write_http(r->api, &r->body);
    write_outgoing(r->api->opt.courier, &r->body);
    write_engine_life(&s, &r->body);
    write_engine_work(&s, &r->body);
    request_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", strbuf_str(&r->body));
}

void ops_openapi(struct api_request *r)
{
    request_reply(r, 200, "application/json", strbuf_str(&r->api->openapi));
}
