/* See peer.h. */
#include "http/peer.h"
#include "base/list.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { IPV6_SITE_BYTES = 8, MAPPED_PREFIX_BYTES = 12 };

struct peer_entry {
    struct peer_entry *next;
    struct peer peer;
};

struct peer_set {
    struct peer_entry *first;
};

static void set_ipv4(struct peer *p, const void *bytes)
{
    memcpy(p->key, bytes, 4);
    p->key_len = 4;
    p->loopback = p->key[0] == 127;
    (void)inet_ntop(AF_INET, bytes, p->text, sizeof p->text); /* cannot fail: the buffer is large enough */
}

static void set_ipv6(struct peer *p, const struct in6_addr *a)
{
    if (IN6_IS_ADDR_V4MAPPED(a)) {
        set_ipv4(p, a->s6_addr + MAPPED_PREFIX_BYTES);
        return;
    }
    memcpy(p->key, a->s6_addr, IPV6_SITE_BYTES);
    p->key_len = IPV6_SITE_BYTES;
    p->loopback = IN6_IS_ADDR_LOOPBACK(a);
    (void)inet_ntop(AF_INET6, a, p->text, sizeof p->text);
}

static bool set_address(struct peer *ret, const struct sockaddr_storage *ss)
{
    if (ss->ss_family == AF_INET)
        set_ipv4(ret, &((const struct sockaddr_in *)(const void *)ss)->sin_addr);
    else if (ss->ss_family == AF_INET6)
        set_ipv6(ret, &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr);
    return ret->key_len > 0;
}

bool peer_of_socket(int fd, struct peer *ret)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    *ret = (struct peer){.key_len = 0};
    return getpeername(fd, (struct sockaddr *)&ss, &len) == 0 && set_address(ret, &ss);
}

bool peer_local(int fd, struct peer *ret)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    *ret = (struct peer){.key_len = 0};
    return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && set_address(ret, &ss);
}

bool peer_parse(struct str text, struct peer *ret)
{
    char z[PEER_TEXT_MAX];
    struct in6_addr six;
    struct in_addr four;
    *ret = (struct peer){.key_len = 0};
    if (text.len == 0 || text.len >= sizeof z)
        return false;
    memcpy(z, text.ptr, text.len);
    z[text.len] = '\0';
    if (inet_pton(AF_INET, z, &four) == 1)
        set_ipv4(ret, &four);
    else if (inet_pton(AF_INET6, z, &six) == 1)
        set_ipv6(ret, &six);
    return ret->key_len > 0;
}

enum err_code peer_set_new(const char *list, struct peer_set **ret, struct err *err)
{
    struct str rest = str_of(list), part;
    struct peer_set *set = MEM_NEW(struct peer_set);
    while (rest.len > 0 && str_cut(&rest, ',', &part)) {
        struct peer_entry *e = MEM_NEW(struct peer_entry);
        e->next = set->first;
        set->first = e;
        if (!peer_parse(str_trim(part), &e->peer)) {
            peer_set_free(set);
            return err_set(err, ERR_INVALID, "trusted proxies: \"" STR_FMT "\" is not a numeric address",
                STR_ARG(str_slice(part, 0, 64)));
        }
    }
    *ret = set;
    return ERR_OK;
}

void peer_set_free(struct peer_set *set)
{
    if (!set)
        return;
    for (struct peer_entry *e = set->first, *next; e; e = next) {
        next = e->next;
        mem_free(e);
    }
    mem_free(set);
}

bool peer_set_has(const struct peer_set *set, struct str text)
{
    struct peer p;
    if (!set->first || !peer_parse(text, &p))
        return false;
    for (const struct peer_entry *e = set->first; e; e = e->next) {
        if (str_eq(str_of(e->peer.text), str_of(p.text)))
            return true;
    }
    return false;
}

struct str peer_forwarded(const struct peer_set *set, struct str forwarded)
{
    struct peer ignored;
    while (forwarded.len > 0) {
        size_t at = forwarded.len;
        while (at > 0 && forwarded.ptr[at - 1] != ',')
            at--;
        struct str last = str_trim(str_slice(forwarded, at, forwarded.len));
        if (!peer_parse(last, &ignored))
            break; /* what stands before it was not written by a proxy of ours */
        if (!peer_set_has(set, last))
            return last;
        forwarded = str_slice(forwarded, 0, at > 0 ? at - 1 : 0);
    }
    return (struct str){NULL, 0};
}
