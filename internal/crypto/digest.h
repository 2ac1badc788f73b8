/* SHA-256 and HMAC-SHA256 by OpenSSL. Cannot fail but by a broken installation, which aborts. Any thread; one
 * struct digest_stream belongs to one thread at a time. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/attr.h"
#include "base/str.h"
#include "base/strbuf.h"

#define DIGEST_BYTES 32

struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

struct digest digest_sha256(struct str data);
struct digest digest_hmac(struct str key, struct str data);
bool digest_eq(const struct digest *a, const struct digest *b); /* in constant time */
static inline struct str digest_str(const struct digest *d) /* the 32 bytes, for binding and as a map key */
{
    return str_make(d->bytes, sizeof d->bytes);
}
void digest_hex(struct strbuf *out, const struct digest *d); /* 64 lower-case characters */

/* SHA-256 of data that comes in parts: init, add as often as needed, end once. Release is harmless after end
 * and again. */
struct digest_stream {
    void *ctx;
};
void digest_stream_init(struct digest_stream *s);
void digest_stream_add(struct digest_stream *s, struct str data);
struct digest digest_stream_end(struct digest_stream *s);
void digest_stream_release(struct digest_stream *s);

/* Compares secrets of any length; the time depends on the lengths alone. */
bool secret_eq(struct str a, struct str b);

const char *digest_library_version(void); /* "OpenSSL 3.0.22 …" */

#endif
