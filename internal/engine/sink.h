/* Bytes on their way out: collected in one buffer, passed on when it is full. Engine's thread. */
#ifndef ENGINE_SINK_H
#define ENGINE_SINK_H

#include "base/err.h"
#include "base/strbuf.h"

struct sink {
    struct strbuf buf; /* append here; the limit bounds one row */
    uint64_t total;    /* bytes passed on */
    enum err_code (*pass)(void *arg, struct str bytes, struct err *err);
    void *arg;
};

void sink_init(
    struct sink *s, enum err_code (*pass)(void *arg, struct str bytes, struct err *err), void *arg);
void sink_release(struct sink *s);
/* The next sink_row_end() passes on the first bytes of all: what stands in front of them must be known by
 * now. */
bool sink_begins(const struct sink *s);
/* Between rows: passes the buffer on once it is worth it. ERR_TOO_LARGE when a row did not fit. */
MUST_CHECK enum err_code sink_row_end(struct sink *s, struct err *err);
/* Passes on what is left. */
MUST_CHECK enum err_code sink_end(struct sink *s, struct err *err);

#define AUTO_SINK CLEANUP(sink_release) struct sink

#endif
