/* The request guard on any bytes: the first says where the rest is split. The verdict must not depend on
 * that, and a head that is let through must hold what evhttp and the routes rely on. */
#include "base/check.h"
#include "base/mem.h"
#include "http/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct guard_limits LIMITS = {.head_max = 2048, .uri_max = 512};

/* From a copy of exact size, so that a sanitizer sees a read past the end. */
static enum guard_status read_copy(struct guard *g, const uint8_t *data, size_t len)
{
    char *copy = mem_array(len ? len : 1, 1);
    memcpy(copy, data, len);
    enum guard_status st = guard_read(g, copy, len);
    mem_free(copy);
    return st;
}

static void check_bytes(struct str head)
{
    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.ptr[i];
        CHECK(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
        CHECK(c != 0x7f);
        CHECK(c != '\n' || (i > 0 && head.ptr[i - 1] == '\r'));
        CHECK(c != '\r' || (i + 1 < head.len && head.ptr[i + 1] == '\n'));
    }
    CHECK(str_ends(head, S("\r\n\r\n")));
}

static void check_spans(const struct guard *g, struct str head)
{
    size_t at = 0;
    for (unsigned i = 0; i < g->hidden_count; i++) {
        CHECK(g->hidden[i].at >= at && g->hidden[i].len > 0);
        at = g->hidden[i].at + g->hidden[i].len;
        CHECK(at <= head.len);
    }
    struct str target = str_slice(head, g->target.at, g->target.at + g->target.len);
    CHECK(target.len == g->target.len && target.len <= LIMITS.uri_max);
    CHECK(str_eq(target, S("*")) || (str_starts(target, S("/")) && !str_starts(target, S("//"))));
    CHECK(g->http_1_0 || g->host.len > 0);
    CHECK(!g->http_1_0 || g->close);
    CHECK(!g->chunked || !(g->has_length || g->http_1_0 || g->content_length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t split = data[0] < size - 1 ? data[0] : size - 1;
    data++, size--;
    struct guard whole, parts;
    guard_init(&whole, &LIMITS);
    guard_init(&parts, &LIMITS);
    enum guard_status st = read_copy(&whole, data, size), st2 = read_copy(&parts, data, split);
    if (st2 == GUARD_MORE)
        st2 = read_copy(&parts, data, size);
    CHECK(st == st2);
    CHECK(whole.code == parts.code && whole.reason == parts.reason && whole.head_len == parts.head_len);
    if (st == GUARD_DONE) {
        CHECK(whole.head_len <= size && whole.head_len <= LIMITS.head_max + 1);
        check_bytes(str_make(data, whole.head_len));
        check_spans(&whole, str_make(data, whole.head_len));
    }
    CHECK(st != GUARD_BAD || (err_status(whole.code) >= 400 && whole.reason));
    CHECK(st != GUARD_MORE || size < LIMITS.head_max + 1);
    return 0;
}
