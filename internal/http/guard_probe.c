/* See guard_probe() in guard.h. */
#include "http/guard.h"
#include "base/check.h"

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct probe {
    const char *head, *what;
    enum err_code refused; /* ERR_OK: it must pass */
} PROBES[] = {
    {POST "Content-Length: 3\r\n\r\n", "an ordinary request", ERR_OK},
    {POST "Transfer-Encoding: chunked\r\n\r\n", "an ordinary chunked request", ERR_OK},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "Transfer-Encoding with Content-Length",
        ERR_INVALID},
    {POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "Content-Length with Transfer-Encoding",
        ERR_INVALID},
    {POST "Content-Length: 3\r\nContent-Length: 5\r\n\r\n", "two Content-Length", ERR_INVALID},
    {POST "Content-Length: +3\r\n\r\n", "a Content-Length with a sign", ERR_INVALID},
    {POST "Content-Length : 3\r\n\r\n", "a space before a colon", ERR_INVALID},
    {POST "Transfer-Encoding: foo\r\n\r\n", "an unknown transfer encoding", ERR_INVALID},
    {POST "X: a\r\n b\r\n\r\n", "a folded header", ERR_INVALID},
    {POST "X: a\nY: b\r\n\r\n", "a bare LF", ERR_INVALID},
    {POST "X: a\rY: b\r\n\r\n", "a bare CR", ERR_INVALID},
    {POST "Host: b\r\n\r\n", "two Host", ERR_INVALID},
};

const char *guard_probe(void)
{
    for (size_t i = 0; i < ARRAY_LEN(PROBES); i++) {
        struct guard g;
        guard_init(&g, &(struct guard_limits){.head_max = 1024, .uri_max = 512});
        enum guard_status st = guard_read(&g, PROBES[i].head, strlen(PROBES[i].head));
        if (st == GUARD_MORE || (st == GUARD_BAD ? g.code : ERR_OK) != PROBES[i].refused)
            return PROBES[i].what;
    }
    return NULL;
}
