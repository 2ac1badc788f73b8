/* Counters and latency histograms with a writer for Prometheus' text format. Plain memory: owned by one
 * thread, the loop. */
#ifndef WORK_METRICS_H
#define WORK_METRICS_H

#include "base/strbuf.h"

#define METRICS_BUCKETS 16

/* Latencies in fixed buckets from 100 µs to 30 s, so that histograms of all routes can be added up. */
struct metrics_hist {
    uint64_t bucket[METRICS_BUCKETS + 1]; /* not cumulative; the last one is +Inf */
    uint64_t sum_us;
};

void metrics_observe(struct metrics_hist *h, int64_t us);
uint64_t metrics_count(const struct metrics_hist *h);
/* Upper bound of the bucket that holds the quantile `q` (0..1), in µs; 0 without a value, INT64_MAX past the
 * last bucket. */
int64_t metrics_quantile_us(const struct metrics_hist *h, double q);

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_label {
    const char *key;
    struct str value; /* escaped when written; never a raw path or an id of a tenant: the number of series
                         must stay small */
};

/* The two comment lines of a metric; once, before its samples. */
void metrics_head(struct strbuf *out, const char *name, enum metrics_type type, const char *help);
/* One sample. `labels` ends with a NULL key; NULL for none. */
void metrics_u64(struct strbuf *out, const char *name, const struct metrics_label *labels, uint64_t value);
void metrics_seconds(struct strbuf *out, const char *name, const struct metrics_label *labels, uint64_t us);
/* The samples of a histogram in seconds: <name>_bucket, _sum and _count. */
void metrics_hist(
    struct strbuf *out, const char *name, const struct metrics_label *labels, const struct metrics_hist *h);

#define METRICS_LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {NULL, STR_EMPTY}})

#endif
