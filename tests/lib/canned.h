/* A server on loopback that answers every request with the same bytes, whatever they are, and counts: for
 * what asks others. Port 0, one thread. Everything may be called at any time. */
#ifndef TESTS_LIB_CANNED_H
#define TESTS_LIB_CANNED_H

#include "base/strbuf.h"
#include <pthread.h>

#define CANNED_HELD_MAX 256

struct canned {
    int fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Below: under the lock. */
    struct strbuf reply;
    struct strbuf head; /* of the last request */
    bool hold;          /* the connection is kept open behind the reply; else it is closed */
    unsigned accepted, answered;
    int held[CANNED_HELD_MAX];
    unsigned held_count;
};

void canned_start(struct canned *c);
void canned_stop(struct canned *c);
/* From the next request on. */
void canned_answer(struct canned *c, struct str reply, bool hold);
/* Sends `more` to whoever is held and closes those connections. */
void canned_let_go(struct canned *c, struct str more);
void canned_wait_held(struct canned *c, unsigned count);
unsigned canned_accepted(struct canned *c);
void canned_head(struct canned *c, struct strbuf *out); /* a copy of the last request's */

#endif
