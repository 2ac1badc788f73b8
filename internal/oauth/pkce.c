/* PKCE (RFC 7636), S256 alone. */
#include "base/enc.h"
#include "crypto/digest.h"
#include "oauth/oauth.h"

enum { CHALLENGE_LEN = 43, VERIFIER_MIN = 43, VERIFIER_MAX = 128 };

static bool all_of(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr(more, c)))
            return false;
    }
    return true;
}

bool pkce_challenge_valid(struct str challenge)
{
    return challenge.len == CHALLENGE_LEN && all_of(challenge, "-_");
}

bool pkce_verifier_valid(struct str verifier)
{
    return verifier.len >= VERIFIER_MIN && verifier.len <= VERIFIER_MAX && all_of(verifier, "-._~");
}

bool pkce_matches(struct str challenge, struct str verifier)
{
    AUTO_STRBUF text;
    struct digest d = digest_sha256(verifier);

    strbuf_init(&text, CHALLENGE_LEN + 1); /* with the padding that is cut off */
    enc_base64url(&text, digest_str(&d));
    return !strbuf_failed(&text) && secret_eq(strbuf_str(&text), challenge);
}
