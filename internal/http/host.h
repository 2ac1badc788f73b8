/* What the header Host says about where a request was sent, judged without a name that anybody configured.
 * Any thread. */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include "http/peer.h"
#include <stdint.h>

struct host_place {
    struct peer local;  /* the address the connection came in on; key_len 0: unknown */
    const char *listen; /* the one the server was told to listen on, an address or a name */
    uint16_t port;      /* it listens on */
    bool https;
};

/* Loopback at any port, for a container is reached at another than it listens on; else the address that the
 * connection came in on, or the one to listen on, at the server's port. A name of somebody else's is never
 * one: whoever writes the header chooses it. */
bool host_is_own(struct str host, const struct host_place *at);

#endif
