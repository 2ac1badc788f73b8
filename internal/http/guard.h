/* The request guard: reads the raw bytes of a request's head before evhttp does and refuses what that parser
 * lets through (two Content-Length, bare LF, folded lines, a space before the colon, control bytes …), so
 * that no proxy in front and no parser behind can disagree with us about where a request ends. Pure: no
 * sockets, no libevent, no allocation.
 *
 * The caller keeps the head contiguous from its first byte and calls guard_read() with all of it whenever
 * more has arrived; each byte is looked at once, and the verdict does not depend on how the bytes were split.
 * What follows head_len is the body: content_length bytes, or chunks (http/chunked.h). Any thread. */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H

#include "base/err.h"
#include "base/str.h"
#include "http/http.h"

#define GUARD_HEADERS_MAX 100 /* header lines; each costs evhttp three allocations */
#define GUARD_HIDDEN_MAX  5

struct guard_limits {
    size_t head_max; /* request line, headers and the empty line */
    size_t uri_max;
};

enum guard_status { GUARD_MORE, GUARD_DONE, GUARD_BAD };

/* Part of the head, counted from its first byte. */
struct guard_span {
    size_t at, len;
};

struct guard {
    struct guard_limits limits;

    /* While reading. */
    size_t pos, line, stop; /* next byte, start of its line, how far may be read before a limit is passed */
    unsigned lines;
    uint32_t seen; /* one bit for each header that may come once */
    bool chunked_last, transfer_encoding, encoded, foreign_charset;
    struct guard_span authority; /* of an absolute-form target */

    /* After GUARD_DONE. */
    enum http_method method;
    struct guard_span target; /* origin-form: one leading slash, path and query; or "*" */
    struct guard_span host;
    size_t head_len;
    uint64_t content_length;
    bool has_length, chunked; /* never both */
    bool http_1_0, close;     /* `close`: the client will not reuse the connection */
    bool expect_continue;
    /* Bytes that evhttp must not see, in order: it would act on them, and we already do. */
    struct guard_span hidden[GUARD_HIDDEN_MAX];
    unsigned hidden_count;

    /* After GUARD_BAD. */
    enum err_code code;
    const char *reason;   /* one sentence, static */
    size_t limit, actual; /* bytes; 0: it was not that, or is not known */
};

void guard_init(struct guard *g, const struct guard_limits *limits);
enum guard_status guard_read(struct guard *g, const char *head, size_t len);

/* Reads the requests by which others were fooled and says of the first one that is let through what it is;
 * NULL: none is. For the start of a server: what was proved at build time holds of what runs. */
const char *guard_probe(void);

#endif
