/* Secrets in memory. */
#include "crypto/secret.h"
#include "base/check.h"
#include "base/mem.h"

bool secret_set(struct secret *s, struct str bytes)
{
    secret_release(s);
    if (bytes.len > SECRET_MAX)
        return false;
    if (bytes.len)
        memcpy(s->bytes, bytes.ptr, bytes.len);
    s->len = bytes.len;
    return true;
}

struct str secret_reveal(const struct secret *s)
{
    CHECK(s->len <= SECRET_MAX && s->bytes[s->len] == '\0');
    return str_make(s->bytes, s->len);
}

void secret_release(struct secret *s)
{
    mem_wipe(s, sizeof *s);
}
