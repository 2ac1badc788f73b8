/* Randomness straight from the kernel: no descriptor, no user-space pool that a fork would copy. */
#include "base/rand.h"
#include "base/check.h"
#include <errno.h>
#include <sys/random.h>

void rand_bytes(void *out, size_t len)
{
    unsigned char *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        CHECK(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof v);
    return v;
}

uint32_t rand_below(uint32_t n)
{
    CHECK(n > 0);
    uint32_t biased = (uint32_t)-n % n; /* 2^32 mod n: values below it would be drawn once too often */
    uint32_t v;
    do
        rand_bytes(&v, sizeof v);
    while (v < biased);
    return v % n;
}
