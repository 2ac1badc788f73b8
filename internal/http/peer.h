/* Client addresses: their text, what they count as, and the set of proxies that are believed. Any thread. */
#ifndef HTTP_PEER_H
#define HTTP_PEER_H

#include "base/err.h"
#include "base/str.h"

#define PEER_TEXT_MAX 46

struct peer {
    char text[PEER_TEXT_MAX]; /* numeric, without the port; IPv4 in IPv6 is shown as IPv4 */
    unsigned char
        key[16]; /* what is counted as one client: an IPv4 address, or the first 64 bits of an IPv6 one */
    size_t key_len;
    bool loopback;
};

bool peer_of_socket(int fd, struct peer *ret); /* false: not connected any more */
bool peer_local(int fd, struct peer *ret);     /* this end of the socket; false: not connected any more */
bool peer_parse(struct str text, struct peer *ret);
static inline struct str peer_key(const struct peer *p)
{
    return str_make(p->key, p->key_len);
}

struct peer_set;

/* Comma-separated numeric addresses; NULL or "" is the empty set. */
MUST_CHECK enum err_code peer_set_new(const char *list, struct peer_set **ret, struct err *err);
void peer_set_free(struct peer_set *set);
bool peer_set_has(const struct peer_set *set, struct str text);

/* The client behind trusted proxies: the last address in `forwarded` (the values of X-Forwarded-For, joined
 * by commas) that is not one of them. ptr NULL when there is none or the list is malformed. */
struct str peer_forwarded(const struct peer_set *set, struct str forwarded);

#endif
