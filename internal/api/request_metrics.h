/* What the front counts about requests: by route template and status class, with a latency histogram each.
 * Loop thread only. */
#ifndef API_REQUEST_METRICS_H
#define API_REQUEST_METRICS_H

#include "api/route.h"
#include "work/metrics.h"

struct route_metrics {
    uint64_t by_class[6]; /* [2]: answered 2xx, and so on */
    struct metrics_hist latency;
    uint64_t rows_read, rows_written;
};

/* Requests that found no route are counted in the row after the last. */
#define ROUTE_NONE ROUTE_COUNT

struct request_metrics {
    struct route_metrics route[ROUTE_COUNT + 1];
    uint64_t cache_hits, cache_misses, auth_failures, replays;
    uint64_t jobs, statements; /* of requests, on workers */
};

void request_metrics_count(struct request_metrics *m, unsigned route, int status, int64_t took_us);
void request_metrics_write(const struct request_metrics *m, struct strbuf *out); /* Prometheus text */

#endif
