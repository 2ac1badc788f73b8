/* Prometheus text format, version 0.0.4. */
#include "work/metrics.h"
#include "base/check.h"
#include <inttypes.h>

static const int64_t BOUNDS_US[METRICS_BUCKETS] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000,
    100000, 250000, 500000, 1000000, 2500000, 10000000, 30000000};

void metrics_observe(struct metrics_hist *h, int64_t us)
{
    int i = 0;
    if (us < 0)
        us = 0;
    while (i < METRICS_BUCKETS && us > BOUNDS_US[i])
        i++;
    h->bucket[i]++;
    h->sum_us += (uint64_t)us;
}

uint64_t metrics_count(const struct metrics_hist *h)
{
    uint64_t count = 0;
    for (int i = 0; i <= METRICS_BUCKETS; i++)
        count += h->bucket[i];
    return count;
}

int64_t metrics_quantile_us(const struct metrics_hist *h, double q)
{
    uint64_t count = metrics_count(h), seen = 0;
    CHECK(q >= 0 && q <= 1);
    if (count == 0)
        return 0;
    for (int i = 0; i < METRICS_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > 0 && (double)seen >= q * (double)count)
            return BOUNDS_US[i];
    }
    return INT64_MAX;
}

void metrics_head(struct strbuf *out, const char *name, enum metrics_type type, const char *help)
{
    static const char *const TYPES[] = {"counter", "gauge", "histogram"};
    strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, TYPES[type]);
}

static void add_escaped(struct strbuf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\n')
            strbuf_add_cstr(out, "\\n");
        else if (c == '\\' || c == '"')
            strbuf_addf(out, "\\%c", c);
        else
            strbuf_add_char(out, c);
    }
}

/* Name, suffix and labels; `le` is one label more, or NULL. */
static void add_series(struct strbuf *out, const char *name, const char *suffix,
    const struct metrics_label *labels, const char *le)
{
    char sep = '{';
    strbuf_addf(out, "%s%s", name, suffix);
    for (; labels && labels->key; labels++, sep = ',') {
        strbuf_addf(out, "%c%s=\"", sep, labels->key);
        add_escaped(out, labels->value);
        strbuf_add_char(out, '"');
    }
    if (le) {
        strbuf_addf(out, "%cle=\"%s\"", sep, le);
        sep = ',';
    }
    strbuf_add_cstr(out, sep == ',' ? "} " : " ");
}

static void add_seconds(struct strbuf *out, uint64_t us)
{
    strbuf_addf(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

void metrics_u64(struct strbuf *out, const char *name, const struct metrics_label *labels, uint64_t value)
{
    add_series(out, name, "", labels, NULL);
    strbuf_addf(out, "%" PRIu64 "\n", value);
}

void metrics_seconds(struct strbuf *out, const char *name, const struct metrics_label *labels, uint64_t us)
{
    add_series(out, name, "", labels, NULL);
    add_seconds(out, us);
    strbuf_add_char(out, '\n');
}

void metrics_hist(
    struct strbuf *out, const char *name, const struct metrics_label *labels, const struct metrics_hist *h)
{
    uint64_t seen = 0;
    for (int i = 0; i <= METRICS_BUCKETS; i++) {
        AUTO_STRBUF le;
        strbuf_init(&le, 32);
        if (i < METRICS_BUCKETS)
            add_seconds(&le, (uint64_t)BOUNDS_US[i]);
        else
            strbuf_add_cstr(&le, "+Inf");
        seen += h->bucket[i];
        add_series(out, name, "_bucket", labels, strbuf_cstr(&le));
        strbuf_addf(out, "%" PRIu64 "\n", seen);
    }
    add_series(out, name, "_sum", labels, NULL);
    add_seconds(out, h->sum_us);
    strbuf_add_char(out, '\n');
    add_series(out, name, "_count", labels, NULL);
    strbuf_addf(out, "%" PRIu64 "\n", seen);
}
