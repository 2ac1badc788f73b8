/* Caps against the system's limit of open files. */
#include "work/descriptors.h"
#include "lib/unit.h"
#include <sys/resource.h>

void test_descriptors__caps_are_lowered_until_they_fit(void **state)
{
    static const struct {
        uint64_t allowed;
        unsigned connections, engines, want_connections, want_engines;
    } rows[] = {
        {1000000, 12000, 2000, 12000, 2000},
        {16512, 12000, 2000, 12000, 2000}, /* exactly as many as that needs */
        {16511, 12000, 2000, 11999, 1999},
        {4096, 12000, 2000, 2688, 448},
        {1024, 12000, 2000, 384, 64},
        {600, 60, 10, 60, 10}, /* small caps need little */
        {1024, 4000000000, 1, 511, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct descriptor_caps caps = {rows[i].connections, rows[i].engines};
        struct err err = ERR_INIT;
        assert_int_equal(descriptors_fit(rows[i].allowed, &caps, &err), ERR_OK);
        assert_int_equal(caps.connections, rows[i].want_connections);
        assert_int_equal(caps.engines, rows[i].want_engines);
        assert_true(descriptors_needed(&caps) <= rows[i].allowed + 2); /* a cap is never 0 */
    }
}

void test_descriptors__too_few_are_refused_with_the_number_that_is_needed(void **state)
{
    struct descriptor_caps caps = {12000, 2000};
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(descriptors_fit(1023, &caps, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "allows 1023 open files, and the server needs 16512"));
    assert_non_null(strstr(err.message, "--max-connections"));
    assert_int_equal(caps.connections, 12000);
}

void test_descriptors__the_soft_limit_rises_as_far_as_needed_and_no_further(void **state)
{
    struct rlimit before, few, after;
    struct descriptor_caps caps = {100, 10};
    struct err err = ERR_INIT;
    uint64_t allowed = 0;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    enum err_code rc = descriptors_raise(&caps, &allowed, &err);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, ERR_OK);
    assert_int_equal(allowed, 632);
    assert_int_equal(after.rlim_cur, 632);
    assert_int_equal(after.rlim_max, before.rlim_max);
    assert_int_equal(caps.connections, 100);
}
