/* An HTTP server for tests: internal/http on a loop in a thread of its own, port 0, with a handler whose
 * answer is chosen by the path. Everything but httpd_start and httpd_stop may be called from the test's
 * thread at any time.
 *
 *   /echo           200, the body; X-Method, X-Path, X-Query and X-Peer in headers
 *   /error          an error with pointer and Retry-After
 *   /hold           kept until httpd_release(); counts when the client is gone
 *   /later          200 "later", answered from the loop after the handler returned
 *   /big?n          200 with n bytes in one reply        /take?n     the same, the buffer handed over
 *   /stream?n       n bytes in chunks, length announced  /chunked?n  the same without
 *                   either: aborted when the client is gone, if asked to by a header X-Watch
 *   /cut?n          as /stream, aborted after half of it; /cutchunked?n
 *   /small          accepts a body of 10 bytes
 *   /up             takes its body in pieces, at most HTTPD_UP_MAX: "bytes hash", the hash by httpd_hash()
 *   /upslow         the same, and waits for httpd_release() before each piece but the first
 *   /upno           403 without looking at the body
 *   anything else: 404 */
#ifndef TESTS_LIB_HTTPD_H
#define TESTS_LIB_HTTPD_H

#include "http/http.h"
#include <pthread.h>

#define HTTPD_SMALL_BODY 10
#define HTTPD_BODY_MAX   ((size_t)8 << 20)
#define HTTPD_UP_MAX     ((size_t)64 << 20)

struct httpd {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    uint16_t port;
    struct http_request *held[64]; /* the loop's */
    unsigned held_count;
    /* What httpd_count() shows. */
    struct httpd_upload *slow; /* waits for its next piece */
    unsigned long held_now, gone, produced, pieces, failed, widest;
};

enum httpd_counter {
    HTTPD_HELD,
    HTTPD_GONE,
    HTTPD_PRODUCED,
    HTTPD_OPEN,
    HTTPD_REQUESTS,
    HTTPD_ACCEPTED,
    HTTPD_PIECES,
    HTTPD_FAILED,
    HTTPD_WIDEST
};

/* Host, port, body limits and the handler are filled in. */
void httpd_start(struct httpd *h, struct http_options opt);
void httpd_stop(struct httpd *h); /* releases what is held */
void httpd_release(struct httpd *h);
void httpd_drain(struct httpd *h);
void httpd_stop_listening(struct httpd *h);
enum err_code httpd_reload_tls(struct httpd *h, struct err *err);
unsigned long httpd_count(struct httpd *h, enum httpd_counter which);
struct http_stats httpd_stats(struct httpd *h);
/* Waits until the counter has this value, ten seconds at most. */
bool httpd_wait(struct httpd *h, enum httpd_counter which, unsigned long value);
bool httpd_wait_more(struct httpd *h, enum httpd_counter which, unsigned long than);

/* Byte number `at` of what /big, /take and the streams send. */
static inline char httpd_byte(size_t at)
{
    return (char)('a' + at % 26);
}

static inline uint64_t httpd_hash(uint64_t hash, struct str bytes) /* begins with 0 */
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = hash * 31 + (unsigned char)bytes.ptr[i] + 1;
    return hash;
}

#endif
