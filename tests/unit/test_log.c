/* Log lines: both formats, escapes that keep a line a line, one write each. */
#define _GNU_SOURCE /* memfd_create */
#include "base/clock.h"
#include "base/log.h"
#include "lib/unit.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

/* Standard error goes to a file in memory between these two. */
struct capture {
    int saved, fd;
};

static struct capture capture_begin(void)
{
    struct capture c = {dup(STDERR_FILENO), memfd_create("log", MFD_CLOEXEC)};
    assert_true(c.saved >= 0 && c.fd >= 0);
    assert_true(fcntl(c.fd, F_SETFL, O_APPEND) == 0);
    assert_true(dup2(c.fd, STDERR_FILENO) == STDERR_FILENO);
    clock_test_set(0, INT64_C(1777984200000));
    return c;
}

static void capture_end(struct capture *c, struct strbuf *out)
{
    char buf[4096];
    ssize_t n;
    clock_test_stop();
    log_setup(LOG_INFO, LOG_FORMAT_KV);
    assert_true(dup2(c->saved, STDERR_FILENO) == STDERR_FILENO);
    assert_true(lseek(c->fd, 0, SEEK_SET) == 0);
    while ((n = read(c->fd, buf, sizeof buf)) > 0)
        strbuf_add(out, buf, (size_t)n);
    (void)close(c->fd);
    (void)close(c->saved);
}

#define TS "2026-05-05T12:30:00.000Z"

void test_log__writes_key_value_lines(void **state)
{
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 10000);
    struct capture c = capture_begin();
    log_setup(LOG_INFO, LOG_FORMAT_KV);
    log_event(LOG_INFO, "engine_start", LOG_CSTR("db", "db_01"), LOG_INT("pid", -42));
    log_event(LOG_DEBUG, "unseen", LOG_INT("n", 1));
    log_event(LOG_ERROR, "odd", LOG_CSTR("empty", ""), LOG_CSTR("space", "a b"), LOG_CSTR("eq", "a=b"),
        LOG_CSTR("none", NULL));
    capture_end(&c, &out);
    expect_str(strbuf_str(&out),
        "ts=" TS " level=info event=engine_start db=db_01 pid=-42\n"
        "ts=" TS " level=error event=odd empty=\"\" space=\"a b\" eq=\"a=b\" none=\"\"\n");
}

void test_log__writes_json_lines(void **state)
{
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 10000);
    struct capture c = capture_begin();
    log_setup(LOG_DEBUG, LOG_FORMAT_JSON);
    log_event(LOG_DEBUG, "e", LOG_CSTR("s", "a\"b\\c"), LOG_INT("n", INT64_MIN));
    log_event(LOG_WARN, "w", LOG_CSTR("e", ""));
    capture_end(&c, &out);
    expect_str(strbuf_str(&out),
        "{\"ts\":\"" TS
        "\",\"level\":\"debug\",\"event\":\"e\",\"s\":\"a\\\"b\\\\c\",\"n\":-9223372036854775808}\n"
        "{\"ts\":\"" TS "\",\"level\":\"warn\",\"event\":\"w\",\"e\":\"\"}\n");
}

void test_log__escapes_what_could_forge(void **state)
{
    static const struct {
        struct str value;
        const char *want;
    } ROWS[] = {
        {{"a\nts=x", 6}, "\"a\\nts=x\""},
        {{"\x1b[31m", 5}, "\"\\u001b[31m\""},
        {{"\r\t\x7f", 3}, "\"\\u000d\\u0009\\u007f\""},
        {{"a\0b", 3}, "\"a\\u0000b\""},
        {{"\xc2\x9b"
          "1m",
             4},
            "\"\\u009b1m\""}, /* a control sequence introducer of eight bits */
        {{"\xc2\xa0", 2}, "\"\xc2\xa0\""},
        {{"\xff\xc3", 2}, "\"\\ufffd\\ufffd\""},
        {{"é€😀", 9}, "\"é€😀\""},
        {{"\" level=error \"", 15}, "\"\\\" level=error \\\"\""},
    };
    (void)state;
    for (int json = 0; json < 2; json++) {
        for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
            AUTO_STRBUF out;
            strbuf_init(&out, 10000);
            struct capture c = capture_begin();
            log_setup(LOG_INFO, json ? LOG_FORMAT_JSON : LOG_FORMAT_KV);
            log_event(LOG_INFO, "e", LOG_STR("v", ROWS[i].value));
            capture_end(&c, &out);
            char want[200] = "";
            strncat(want, json ? "\"v\":" : " v=", 10);
            strncat(want, ROWS[i].want, 100);
            strncat(want, json ? "}\n" : "\n", 10);
            if (!str_ends(strbuf_str(&out), str_of(want)))
                fail_msg("row %zu: %s", i, strbuf_cstr(&out));
        }
    }
}

void test_log__bounds_a_line(void **state)
{
    char big[5000];
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 100000);
    memset(big, '\x01', sizeof big);
    struct capture c = capture_begin();
    log_setup(LOG_INFO, LOG_FORMAT_KV);
    log_event(
        LOG_INFO, "e", LOG_STR("a", str_make(big, sizeof big)), LOG_STR("b", str_make(big, sizeof big)));
    memset(big, 'x', sizeof big);
    log_event(
        LOG_INFO, "e", LOG_STR("a", str_make(big, sizeof big)), LOG_STR("b", str_make(big, sizeof big)));
    capture_end(&c, &out);
    struct str rest = strbuf_str(&out), line;
    for (int i = 0; i < 2; i++) {
        assert_true(str_cut(&rest, '\n', &line));
        assert_true(line.len < 16384);
        assert_true(str_ends(
            line, S("\" cut=true"))); /* a value is cut, the fields behind it are left out, and it shows */
    }
    expect_str(rest, "");
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_event(LOG_INFO, "thread", LOG_CSTR("name", arg), LOG_INT("i", i));
    return NULL;
}

void test_log__keeps_lines_of_threads_apart(void **state)
{
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 1 << 20);
    struct capture c = capture_begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    capture_end(&c, &out);
    struct str rest = strbuf_str(&out), line;
    size_t lines = 0;
    while (str_cut(&rest, '\n', &line) && line.len) {
        assert_true(str_starts(line, S("ts=" TS " level=info event=thread name=")));
        lines++;
    }
    assert_int_equal(lines, 2000);
}

static void count_ask(void *count)
{
    (*(int *)count)++;
}

static void expect_written(const struct capture *c, off_t size)
{
    assert_int_equal(lseek(c->fd, 0, SEEK_END), size);
}

void test_log__gathers_lines_until_it_is_told(void **state)
{
    enum { LINE = sizeof("ts=" TS " level=info event=e n=1\n") - 1 };
    AUTO_STRBUF out;
    int asked = 0;
    (void)state;
    strbuf_init(&out, 100000);
    struct capture c = capture_begin();
    log_gather(count_ask, &asked);
    log_event(LOG_INFO, "e", LOG_INT("n", 1));
    log_event(LOG_INFO, "e", LOG_INT("n", 2));
    assert_int_equal(asked, 1);
    expect_written(&c, 0);
    log_flush();
    expect_written(&c, 2 * (off_t)LINE);
    log_event(LOG_INFO, "e", LOG_INT("n", 3));
    assert_int_equal(asked, 2);
    log_event(LOG_WARN, "e", LOG_INT("n", 4)); /* takes the one before with it */
    expect_written(&c, 4 * (off_t)LINE);
    log_event(LOG_INFO, "e", LOG_INT("n", 5));
    log_gather(NULL, NULL);
    expect_written(&c, 5 * (off_t)LINE);
    log_event(LOG_INFO, "e", LOG_INT("n", 6));
    expect_written(&c, 6 * (off_t)LINE);
    capture_end(&c, &out);
    for (int n = 1; n <= 6; n++) {
        char line[64];
        str_print(line, sizeof line, "event=e n=%d\n", n);
        struct str all = strbuf_str(&out), one = str_slice(all, (size_t)(n - 1) * LINE, (size_t)n * LINE);
        assert_true(str_ends(one, str_of(line)));
    }
}

void test_log__writes_what_would_gather_too_much(void **state)
{
    AUTO_STRBUF out;
    int asked = 0;
    (void)state;
    strbuf_init(&out, 1 << 20);
    struct capture c = capture_begin();
    log_gather(count_ask, &asked);
    for (int i = 0; i < 2000; i++)
        log_event(LOG_INFO, "e", LOG_INT("n", 1));
    assert_true(lseek(c.fd, 0, SEEK_END) > 0);
    log_gather(NULL, NULL);
    capture_end(&c, &out);
    assert_int_equal(out.len, 2000 * (sizeof("ts=" TS " level=info event=e n=1\n") - 1));
}
