/* Errors: the table, cutting, self-reference. */
#include "lib/unit.h"
#include <errno.h>

void test_err__every_code_has_status_and_slug(void **state)
{
    (void)state;
    assert_int_equal(err_status(ERR_OK), 200);
    assert_string_equal(err_slug(ERR_OK), "ok");
    for (enum err_code code = ERR_OK + 1; code < ERR_COUNT; code++) {
        assert_true(err_status(code) >= 400 && err_status(code) <= 599);
        assert_true(strlen(err_slug(code)) > 0);
        for (enum err_code other = ERR_OK; other < code; other++)
            assert_string_not_equal(err_slug(code), err_slug(other));
    }
    assert_int_equal(err_status(ERR_FULL), 507);
    assert_string_equal(err_slug(ERR_QUERY_TIMEOUT), "query_timeout");
}

void test_err__sets_code_and_text(void **state)
{
    struct err err = {.code = ERR_BUSY, .retry_after_s = 5, .pointer = "/old"};
    (void)state;
    assert_int_equal(err_set(&err, ERR_CONFLICT, "branch %s exists", "dev"), ERR_CONFLICT);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(err.retry_after_s, 0);
    expect_str(str_of(err.message), "branch dev exists");
    expect_str(str_of(err.pointer), "");
    assert_int_equal(err_set(NULL, ERR_CONFLICT, "%s", "nobody listens"), ERR_CONFLICT);
    assert_int_equal(err_retry(&err, ERR_BUSY, 3, "%d are", 2), ERR_BUSY);
    expect_str(str_of(err.message), "2 are");
    assert_int_equal(err.retry_after_s, 3);
    assert_int_equal(err_retry(NULL, ERR_BUSY, 3, "nobody is told"), ERR_BUSY);
}

void test_err__puts_the_field_in_front(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(err_field(&err, "/limit", "must be %d to %d", 1, 100), ERR_INVALID);
    expect_str(str_of(err.message), "/limit: must be 1 to 100");
    expect_str(str_of(err.pointer), "/limit");
    assert_int_equal(err_field(&err, "", "the body is wrong"), ERR_INVALID);
    expect_str(str_of(err.message), "the body is wrong");
}

void test_err__puts_a_place_around_a_place(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    (void)err_field(&err, "/params/2", "must be a number");
    assert_int_equal(err_within(&err, err.code, "/statements/7"), ERR_INVALID);
    expect_str(str_of(err.message), "/statements/7/params/2: must be a number");
    expect_str(str_of(err.pointer), "/statements/7/params/2");
    (void)err_field(&err, "", "must be an object");
    (void)err_within(&err, err.code, "/statements/7");
    expect_str(str_of(err.message), "/statements/7: must be an object");
    expect_str(str_of(err.pointer), "/statements/7");
    assert_int_equal(err_within(NULL, ERR_IO, "/a"), ERR_IO);
}

void test_err__may_quote_itself(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    (void)err_field(&err, "/a", "inner");
    (void)err_set(&err, ERR_IO, "outer: %s", err.message);
    expect_str(str_of(err.message), "outer: /a: inner");
    (void)err_field(&err, "/b", "first");
    (void)err_field(&err, err.pointer, "then %s", err.message);
    expect_str(str_of(err.message), "/b: then /b: first");
}

void test_err__cuts_between_characters(void **state)
{
    (void)state;
    for (int before = ERR_MESSAGE_MAX - 6; before <= ERR_MESSAGE_MAX + 2; before++) {
        struct err err = ERR_INIT;
        (void)err_set(&err, ERR_IO, "%0*d😀", before, 0);
        size_t len = strlen(err.message);
        int whole = before + 4 <= ERR_MESSAGE_MAX - 1 ? before + 4 : before;
        assert_int_equal(len, whole < ERR_MESSAGE_MAX ? whole : ERR_MESSAGE_MAX - 1);
    }
    char pointer[300];
    struct err err = ERR_INIT;
    memset(pointer, 'p', sizeof pointer);
    pointer[sizeof pointer - 1] = '\0';
    (void)err_field(&err, pointer, "text");
    assert_int_equal(strlen(err.pointer), ERR_POINTER_MAX - 1);
    assert_true(str_ends(str_of(err.message), S("p: text")));
}

void test_err__appends_errno(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    errno = ENOSPC;
    assert_int_equal(err_errno(&err, ERR_FULL, "writing the log"), ERR_FULL);
    expect_str(str_of(err.message), "writing the log: No space left on device");
    errno = 99999;
    (void)err_errno(&err, ERR_IO, "x");
    expect_str(str_of(err.message), "x: unknown error");
}

static void set_ok(void *arg)
{
    (void)err_set(arg, ERR_OK, "not an error");
}

static void status_of_nothing(void *arg)
{
    (void)arg;
    (void)err_status(ERR_COUNT);
}

void test_err__asserts_its_codes(void **state)
{
    struct err err;
    (void)state;
    expect_panic(set_ok, &err, "code > ERR_OK");
    expect_panic(status_of_nothing, NULL, "code < ERR_COUNT");
}
