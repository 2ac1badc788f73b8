/* Histograms count into the right bucket and are written as Prometheus reads them. */
#include "work/metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

void test_metrics__a_value_falls_into_the_first_bucket_that_holds_it(void **state)
{
    struct metrics_hist h = {0};
    (void)state;
    metrics_observe(&h, -5);
    metrics_observe(&h, 100);
    metrics_observe(&h, 101);
    metrics_observe(&h, 30000000);
    metrics_observe(&h, 30000001);
    assert_int_equal(h.bucket[0], 2);
    assert_int_equal(h.bucket[1], 1);
    assert_int_equal(h.bucket[METRICS_BUCKETS - 1], 1);
    assert_int_equal(h.bucket[METRICS_BUCKETS], 1);
    assert_int_equal(metrics_count(&h), 5);
    assert_int_equal(h.sum_us, 60000202);
}

void test_metrics__quantiles_are_bucket_bounds(void **state)
{
    struct metrics_hist h = {0};
    (void)state;
    assert_int_equal(metrics_quantile_us(&h, 0.5), 0);
    for (int i = 0; i < 99; i++)
        metrics_observe(&h, 900);
    metrics_observe(&h, 40000000);
    assert_int_equal(metrics_quantile_us(&h, 0), 1000);
    assert_int_equal(metrics_quantile_us(&h, 0.99), 1000);
    assert_int_equal(metrics_quantile_us(&h, 1), INT64_MAX);
}

void test_metrics__samples_are_written_with_escaped_labels(void **state)
{
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 4096);
    metrics_head(&out, "hf_requests_total", METRICS_COUNTER, "Requests.");
    metrics_u64(&out, "hf_requests_total", NULL, 7);
    metrics_u64(&out, "hf_requests_total", METRICS_LABELS({"route", S("a\"b\\c\nd")}, {"code", S("200")}),
        UINT64_MAX);
    metrics_seconds(&out, "hf_busy_seconds", NULL, 1000002);
    assert_string_equal(strbuf_cstr(&out),
        "# HELP hf_requests_total Requests.\n# TYPE hf_requests_total counter\n"
        "hf_requests_total 7\n"
        "hf_requests_total{route=\"a\\\"b\\\\c\\nd\",code=\"200\"} 18446744073709551615\n"
        "hf_busy_seconds 1.000002\n");
}

void test_metrics__a_histogram_is_cumulative(void **state)
{
    struct metrics_hist h = {0};
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 8192);
    metrics_observe(&h, 50);
    metrics_observe(&h, 200);
    metrics_hist(&out, "hf_s", METRICS_LABELS({"r", S("x")}), &h);
    const char *text = strbuf_cstr(&out);
    assert_non_null(strstr(text, "hf_s_bucket{r=\"x\",le=\"0.000100\"} 1\n"));
    assert_non_null(strstr(text, "hf_s_bucket{r=\"x\",le=\"0.000250\"} 2\n"));
    assert_non_null(strstr(text, "hf_s_bucket{r=\"x\",le=\"+Inf\"} 2\n"));
    assert_non_null(strstr(text, "hf_s_sum{r=\"x\"} 0.000250\nhf_s_count{r=\"x\"} 2\n"));
    strbuf_reset(&out);
    metrics_hist(&out, "hf_s", NULL, &h);
    assert_non_null(
        strstr(strbuf_cstr(&out), "hf_s_bucket{le=\"+Inf\"} 2\nhf_s_sum 0.000250\nhf_s_count 2\n"));
}
