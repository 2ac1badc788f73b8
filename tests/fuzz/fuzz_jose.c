/* A JWT's head and parts, on any bytes: nothing but what our own key signed is accepted, whatever the reader
 * makes of the rest. The input is a whole token, and then the head of one that is otherwise ours. */
#include "base/check.h"
#include "base/enc.h"
#include "crypto/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jose_key *key(void)
{
    static struct jose_key *made;
    if (!made)
        made = jose_key_generate(JOSE_ES256);
    return made;
}

static enum err_code verify(struct str token)
{
    AUTO_ARENA a;
    struct err err = ERR_INIT;
    const struct jsonr_value *claims;
    arena_init(&a, 1 << 20);
    enum err_code rc = jose_verify(key(), &a, token, "JWT", &claims, &err);
    CHECK(rc == ERR_OK || (rc == ERR_UNAUTHORIZED && err.message[0] && utf8_valid(str_of(err.message))));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_STRBUF good, forged;
    CHECK(verify(str_make(data, size)) == ERR_UNAUTHORIZED);
    strbuf_init(&good, 4096);
    strbuf_init(&forged, 64 << 10);
    CHECK(jose_sign(key(), "JWT", S("{\"sub\":\"usr_1\"}"), &good, NULL) == ERR_OK);
    CHECK(verify(strbuf_str(&good)) == ERR_OK);
    const char *rest = strchr(strbuf_cstr(&good), '.');
    enc_base64url(&forged, str_make(data, size));
    strbuf_add_cstr(&forged, rest);
    if (!strbuf_failed(&forged) && !str_eq(strbuf_str(&forged), strbuf_str(&good)))
        CHECK(verify(strbuf_str(&forged)) == ERR_UNAUTHORIZED); /* the signature covers the head */
    return 0;
}
