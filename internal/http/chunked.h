/* Chunked request bodies (RFC 9112, 7.1), read more strictly than the standard asks, so that no proxy in
 * front can disagree with us about where a request ends: a size is 1 to 15 hexadecimal digits and nothing
 * else, lines end with CR LF, chunk extensions and trailers are refused. Pure: no sockets, no allocation. The
 * bytes may be split anywhere; the verdict does not depend on it. Any thread. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "base/str.h"

enum chunked_status { CHUNKED_MORE, CHUNKED_DATA, CHUNKED_DONE, CHUNKED_BAD };

struct chunked {
    int state;
    unsigned digits;    /* of the size being read */
    uint64_t left;      /* of the chunk */
    const char *reason; /* after CHUNKED_BAD: one sentence, static */
};

void chunked_init(struct chunked *k);

/* Takes bytes from the front of *in. DATA: *ret_data is a view of the next bytes of the body, never empty;
 * call again. MORE: *in is used up. DONE: the body is over, *in begins with what follows it. */
enum chunked_status chunked_read(struct chunked *k, struct str *in, struct str *ret_data);

#endif
