/* Internet addresses and networks in CIDR form: "192.0.2.7", "10.0.0.0/8", "2001:db8::/32". An address is the
 * network of itself alone. IPv4 inside IPv6 ("::ffff:192.0.2.7") counts as IPv4; otherwise the families are
 * strangers: "::/0" holds no IPv4 address. Any thread. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/attr.h"
#include "base/str.h"

#define NETWORK_TEXT_SIZE 50 /* the longest IPv6 address, "/128", a terminator */

struct network {
    unsigned char bytes[16]; /* big-endian; behind the prefix all zero */
    unsigned char len;       /* 4 or 16 */
    unsigned char bits;      /* of the prefix */
};

/* False for anything but a numeric address, with or without a prefix, and where bits behind the prefix are
 * set ("10.0.0.1/8": nobody knows which of the two was meant). */
MUST_CHECK bool network_parse(struct str text, struct network *ret);

/* Is every address of `inner` one of `outer`? */
bool network_within(const struct network *inner, const struct network *outer);

/* The one spelling of it; an address alone is written without "/32" or "/128". */
void network_text(const struct network *n, char out[NETWORK_TEXT_SIZE]);

#endif
