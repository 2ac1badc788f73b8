/* Text encodings. Decoders accept exactly what the encoders write (one spelling each), never write past `cap`
 * and clear nothing on failure. Any thread. */
#ifndef BASE_ENC_H
#define BASE_ENC_H

#include "base/attr.h"
#include "base/str.h"
#include "base/strbuf.h"

void enc_hex(struct strbuf *out, struct str bytes); /* lower case */
MUST_CHECK bool dec_hex(struct str text, unsigned char *out, size_t cap, size_t *ret_len);
void enc_base64(struct strbuf *out, struct str bytes);           /* standard alphabet, padded */
MUST_CHECK bool dec_base64(struct str text, struct strbuf *out); /* padded, no white space */
void enc_base64url(struct strbuf *out, struct str bytes);        /* RFC 4648's URL alphabet, unpadded */
MUST_CHECK bool dec_base64url(struct str text, struct strbuf *out);
void enc_base62(struct strbuf *out, const unsigned char *bytes, size_t len,
    size_t width);                    /* big-endian number, zero-padded */
uint32_t enc_crc32(struct str bytes); /* IEEE, as in zlib */

bool utf8_valid(struct str s);   /* no surrogates, no overlongs, up to U+10FFFF */
size_t utf8_first(struct str s); /* length of the first character, 0 when it is malformed or missing */
size_t utf8_cut(struct str s, size_t max); /* longest prefix <= max that ends between characters */

/* Percent-decoding of one path segment or query value into `out`; '+' stays '+' unless `form`. false on a bad
 * escape, on a NUL, encoded or not, and on invalid UTF-8. */
MUST_CHECK bool dec_percent(struct str s, bool form, struct strbuf *out);

#endif
