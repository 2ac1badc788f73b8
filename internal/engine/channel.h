/* The engine's end of the socket: whole frames in, frames out. Blocks only in channel_wait, channel_receive
 * and channel_flush. */
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
/* How long channel_receive waits on this socket: an option of it, which the sandbox does not let change. */
void channel_set_patience(int fd, int patience_ms);
/* Waits for bytes and reads what is there, both in one system call. *ret_came: false when nothing came in
 * time. Errors as of channel_fill. */
MUST_CHECK enum err_code channel_receive(struct channel *ch, bool *ret_came, struct err *err);
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
