/* See destination.h; the networks are those of reserved.def. */
#include "http/destination.h"
#include "base/check.h"
#include <netinet/in.h>
#include <sys/socket.h>

enum { V4_BYTES = 4, V6_BYTES = 16, BITS = 8 };

#define PUBLIC  DESTINATION_PUBLIC
#define PRIVATE DESTINATION_PRIVATE
#define NEVER   DESTINATION_NEVER

static const struct {
    const char *network;
    enum destination is;
} RESERVED[] = {
#define RESERVED(network, class, what) {network, class},
#include "http/reserved.def"
#undef RESERVED
};

static struct network parse(const char *text)
{
    struct network n;
    CHECK(network_parse(str_of(text), &n));
    return n;
}

/* 64:ff9b::/96 stands for the IPv4 address in its last four bytes. */
static struct network translated(const struct network *address)
{
    struct network nat64 = parse("64:ff9b::/96"), v4 = {.len = V4_BYTES, .bits = V4_BYTES * BITS};

    if (!network_within(address, &nat64))
        return *address;
    memcpy(v4.bytes, address->bytes + V6_BYTES - V4_BYTES, V4_BYTES);
    return v4;
}

enum destination destination_of(const struct network *address)
{
    struct network plain = translated(address);
    enum destination is = DESTINATION_PUBLIC;

    CHECK(plain.bits == plain.len * BITS);
    for (size_t i = 0; i < ARRAY_LEN(RESERVED); i++) {
        struct network n = parse(RESERVED[i].network);
        if (network_within(&plain, &n))
            is = RESERVED[i].is;
    }
    return is;
}

enum destination destination_of_socket(const struct sockaddr *sa)
{
    static const unsigned char MAPPED[V6_BYTES - V4_BYTES] = {[10] = 0xff, [11] = 0xff};
    struct network n = {.len = V4_BYTES};

    if (sa->sa_family == AF_INET) {
        memcpy(n.bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, V4_BYTES);
    } else if (sa->sa_family == AF_INET6) {
        const unsigned char *bytes = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr;
        n.len = memcmp(bytes, MAPPED, sizeof MAPPED) == 0 ? V4_BYTES : V6_BYTES;
        memcpy(n.bytes, bytes + V6_BYTES - n.len, n.len);
    } else {
        return DESTINATION_NEVER;
    }
    n.bits = (unsigned char)(n.len * BITS);
    return destination_of(&n);
}
