/* Every request that the server makes itself goes out here: one thread, libcurl's multi interface, and the
 * rules that keep a stranger who chose an address from using the server as his hand.
 *
 *   - https alone, with certificates verified; plain http for an origin (scheme, host, port) that the
 * operator listed;
 *   - only public addresses (http/destination.h), judged when the socket is opened, so by the address that is
 *     connected to; for a listed origin private ones too;
 *   - no redirects, no proxy from the environment, no cookies, no compression, no credentials;
 *   - bytes, time and parallel transfers are bounded.
 *
 * Errors never hold more of an address than its host. */
#ifndef HTTP_COURIER_H
#define HTTP_COURIER_H

#include "base/err.h"
#include "base/strbuf.h"
#include "work/metrics.h"

struct courier;

struct courier_options {
    const struct str *origins; /* URLs whose origins the operator listed himself; copied */
    size_t origin_count;
    const char *ca_file; /* PEM: trusted besides the system's certificates; NULL none */
};

/* Starts the thread. ERR_INVALID: an origin that is no URL. ERR_UNAVAILABLE: libcurl cannot be loaded. */
MUST_CHECK enum err_code courier_new(
    const struct courier_options *opt, struct courier **ret, struct err *err);
/* What runs and what waits ends with ERR_UNAVAILABLE, at once; nothing is taken any more. Any thread. */
void courier_close(struct courier *c); /* NULL is fine */
/* Closes; the calls in it have returned. NULL is fine. */
void courier_free(struct courier *c);

struct courier_request {
    struct str url;
    const char *accept; /* the header's value */
    int64_t timeout_ms; /* 0: LIMIT_COURIER_TOTAL_MS */
};

struct courier_reply {
    struct strbuf *body; /* the caller's, empty: its limit is the most that is read */
    int status;          /* any: 302 and 500 too */
    int64_t max_age_s;   /* for how long it may be kept; 0: not at all, -1: the sender does not say */
};

/* GET. Blocks for as long as the request may take, and as long again if it has to wait for others: worker
 * threads alone.
 *
 * ERR_INVALID no such URL; ERR_FORBIDDEN the rules above; ERR_TOO_LARGE; ERR_BUSY too many wait;
 * ERR_UNAVAILABLE no answer, for a reason that the message names. */
MUST_CHECK enum err_code courier_get(
    struct courier *c, const struct courier_request *req, struct courier_reply *ret, struct err *err);

enum courier_outcome {
#define COURIER_OUTCOME(name, label) COURIER_##name,
#include "http/courier_outcomes.def"
#undef COURIER_OUTCOME
    COURIER_OUTCOME_COUNT
};

struct courier_stats {
    uint64_t ended[COURIER_OUTCOME_COUNT];
    unsigned running, waiting;
    struct metrics_hist took;
};

void courier_stats(struct courier *c, struct courier_stats *ret); /* any thread; NULL: all zero */
const char *courier_outcome_name(enum courier_outcome outcome);   /* "timeout" */

#endif
