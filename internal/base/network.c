/* See network.h. */
#include "base/network.h"
#include "base/check.h"
#include <arpa/inet.h>
#include <sys/socket.h>

enum { V4_BYTES = 4, V6_BYTES = 16, MAPPED_BYTES = 12 };

static const unsigned char MAPPED_PREFIX[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

static bool parse_address(struct str text, struct network *ret)
{
    char z[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof z || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(z, text.ptr, text.len);
    z[text.len] = '\0';
    ret->len = memchr(z, ':', text.len) ? V6_BYTES : V4_BYTES;
    return inet_pton(ret->len == V4_BYTES ? AF_INET : AF_INET6, z, ret->bytes) == 1;
}

static bool behind_is_zero(const struct network *n)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;

    if (rest && (n->bytes[whole++] & (0xff >> rest)))
        return false;
    for (unsigned i = whole; i < n->len; i++)
        if (n->bytes[i])
            return false;
    return true;
}

static void unmap(struct network *n)
{
    if (n->len != V6_BYTES || n->bits < MAPPED_BYTES * 8 ||
        memcmp(n->bytes, MAPPED_PREFIX, MAPPED_BYTES) != 0)
        return;
    memmove(n->bytes, n->bytes + MAPPED_BYTES, V4_BYTES);
    memset(n->bytes + V4_BYTES, 0, MAPPED_BYTES);
    n->len = V4_BYTES;
    n->bits = (unsigned char)(n->bits - MAPPED_BYTES * 8);
}

bool network_parse(struct str text, struct network *ret)
{
    struct str rest = text, address;
    int64_t bits;
    struct network n = {.len = 0};

    if (!str_cut(&rest, '/', &address) || !parse_address(address, &n))
        return false;
    bits = (int64_t)n.len * 8;
    if (rest.ptr &&
        (rest.len == 0 || (rest.len > 1 && rest.ptr[0] == '0') || !str_to_i64(rest, 0, bits, &bits)))
        return false;
    n.bits = (unsigned char)bits;
    if (!behind_is_zero(&n))
        return false;
    unmap(&n);
    *ret = n;
    return true;
}

bool network_within(const struct network *inner, const struct network *outer)
{
    unsigned whole = outer->bits / 8, rest = outer->bits % 8;

    if (inner->len != outer->len || inner->bits < outer->bits ||
        memcmp(inner->bytes, outer->bytes, whole) != 0)
        return false;
    return !rest || ((inner->bytes[whole] ^ outer->bytes[whole]) >> (8 - rest)) == 0;
}

void network_text(const struct network *n, char out[NETWORK_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN];
    const char *done = inet_ntop(n->len == V4_BYTES ? AF_INET : AF_INET6, n->bytes, address, sizeof address);

    CHECK(done); /* the buffer is large enough */
    if (n->bits == n->len * 8)
        str_print(out, NETWORK_TEXT_SIZE, "%s", address);
    else
        str_print(out, NETWORK_TEXT_SIZE, "%s/%u", address, n->bits);
}
