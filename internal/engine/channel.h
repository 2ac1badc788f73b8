/* The engine's end of the socket: whole frames in, frames out. Blocks only in channel_wait and channel_flush.
 */
#ifndef ENGINE_CHANNEL_H
#define ENGINE_CHANNEL_H

#include "wire/wire.h"

struct channel {
    int fd;
    size_t consumed; /* bytes at the start of `in` that belong to frames already handed out */
    struct strbuf in, out;
    bool closed; /* end of file, or the front is gone */
};

void channel_init(struct channel *ch, int fd);
void channel_release(struct channel *ch);

/* Waits for bytes, at most `timeout_ms` (< 0: for ever). false: nothing came in time. */
bool channel_wait(struct channel *ch, int timeout_ms);
/* Reads what waits without blocking. ERR_INVALID when the front speaks nonsense. */
MUST_CHECK enum err_code channel_fill(struct channel *ch, struct err *err);
/* The next whole frame; *ret_body points into the buffer and stays valid until channel_compact. false: none
 * is whole. */
MUST_CHECK enum err_code channel_next(
    struct channel *ch, bool *ret_found, struct wire_header *ret, struct str *ret_body, struct err *err);
/* Is a whole frame waiting in the buffer? */
bool channel_pending(const struct channel *ch);
void channel_compact(struct channel *ch);

/* Writes all of `out`, blocking; gives up when the front takes nothing for 30 s (then `closed`). */
void channel_flush(struct channel *ch);

#endif
