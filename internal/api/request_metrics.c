#include "api/request_metrics.h"

#include "base/check.h"

void request_metrics_count(struct request_metrics *m, unsigned route, int status, int64_t took_us)
{
    CHECK(route <= ROUTE_NONE);
    struct route_metrics *r = &m->route[route];
    r->by_class[status >= 100 && status < 600 ? status / 100 : 5]++;
    metrics_observe(&r->latency, took_us);
}

static struct str route_label(unsigned i)
{
    return str_of(i < ROUTE_COUNT ? api_routes[i].path : "none");
}

static struct str method_label(unsigned i)
{
    return str_of(i < ROUTE_COUNT ? http_method_name(api_routes[i].method) : "any");
}

static void write_answered(const struct request_metrics *m, struct strbuf *out)
{
    static const char *const classes[6] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *name = "holdfast_requests_total";
    metrics_head(out, name, METRICS_COUNTER, "Answered requests by route template and status class.");
    for (unsigned i = 0; i <= ROUTE_NONE; i++)
        for (unsigned c = 1; c < 6; c++)
            if (m->route[i].by_class[c])
                metrics_u64(out, name,
                    METRICS_LABELS({"method", method_label(i)}, {"route", route_label(i)},
                        {"status", str_of(classes[c])}),
                    m->route[i].by_class[c]);
}

static void write_rows(const struct request_metrics *m, struct strbuf *out)
{
    metrics_head(
        out, "holdfast_rows_read_total", METRICS_COUNTER, "Rows that engines visited, by route template.");
    for (unsigned i = 0; i < ROUTE_COUNT; i++)
        if (m->route[i].rows_read)
            metrics_u64(out, "holdfast_rows_read_total", METRICS_LABELS({"route", route_label(i)}),
                m->route[i].rows_read);
    metrics_head(
        out, "holdfast_rows_written_total", METRICS_COUNTER, "Rows that engines wrote, by route template.");
    for (unsigned i = 0; i < ROUTE_COUNT; i++)
        if (m->route[i].rows_written)
            metrics_u64(out, "holdfast_rows_written_total", METRICS_LABELS({"route", route_label(i)}),
                m->route[i].rows_written);
}

void request_metrics_write(const struct request_metrics *m, struct strbuf *out)
{
    const char *name = "holdfast_request_seconds";
    write_answered(m, out);
    metrics_head(
        out, name, METRICS_HISTOGRAM, "Time from the complete request to its answer, by route template.");
    for (unsigned i = 0; i <= ROUTE_NONE; i++)
        if (metrics_count(&m->route[i].latency))
            metrics_hist(out, name, METRICS_LABELS({"method", method_label(i)}, {"route", route_label(i)}),
                &m->route[i].latency);
    write_rows(m, out);
}
