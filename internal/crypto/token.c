/* Making, checking and masking tokens. */
#include "crypto/token.h"
#include "base/check.h"
#include "base/enc.h"
#include "base/mem.h"
#include "base/rand.h"

enum { RANDOM_BYTES = 32, RANDOM_CHARS = 43, SUM_CHARS = 6, MASK_SHOWN = 4 };

static const struct str PREFIXES[] = {
#define TOKEN_KIND(name, prefix) {prefix, sizeof(prefix) - 1},
#include "crypto/token_kinds.def"
#undef TOKEN_KIND
};

static void add_sum(struct strbuf *out, struct str before)
{
    uint32_t sum = enc_crc32(before);
    const unsigned char bytes[] = {(unsigned char)(sum >> 24), (unsigned char)(sum >> 16),
        (unsigned char)(sum >> 8), (unsigned char)sum};
    enc_base62(out, bytes, sizeof bytes, SUM_CHARS);
}

void token_generate(enum token_kind kind, struct secret *ret_token)
{
    unsigned char random[RANDOM_BYTES];
    struct strbuf text;
    CHECK(kind < TOKEN_KIND_COUNT);
    strbuf_init(&text, SECRET_MAX);
    CHECK(strbuf_reserve(&text, SECRET_MAX)); /* at once, so that growing leaves no copies behind */
    strbuf_add_str(&text, PREFIXES[kind]);
    rand_bytes(random, sizeof random);
    enc_base62(&text, random, sizeof random, RANDOM_CHARS);
    add_sum(&text, strbuf_str(&text));
    CHECK(secret_set(ret_token, strbuf_str(&text)));
    mem_wipe(random, sizeof random);
    mem_wipe(text.buf, text.cap);
    strbuf_release(&text);
}

static bool is_base62(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            return false;
    }
    return true;
}

static bool sum_fits(struct str text)
{
    AUTO_STRBUF sum;
    strbuf_init(&sum, SUM_CHARS);
    add_sum(&sum, str_slice(text, 0, text.len - SUM_CHARS));
    return str_ends(text, strbuf_str(&sum));
}

bool token_well_formed(struct str text, enum token_kind *ret_kind)
{
    for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++) {
        if (!str_starts(text, PREFIXES[i]))
            continue;
        struct str body = str_slice(text, PREFIXES[i].len, text.len);
        if (body.len != RANDOM_CHARS + SUM_CHARS || !is_base62(body) || !sum_fits(text))
            return false;
        *ret_kind = (enum token_kind)i;
        return true;
    }
    return false;
}

struct digest token_hash(struct str text)
{
    return digest_sha256(text);
}

void token_mask(struct str text, char ret_mask[TOKEN_MASK_MAX])
{
    static const char DOTS[] = "…";
    enum token_kind kind;
    CHECK(token_well_formed(text, &kind));
    size_t head = PREFIXES[kind].len + MASK_SHOWN;
    CHECK(head + sizeof DOTS + MASK_SHOWN <= TOKEN_MASK_MAX);
    memcpy(ret_mask, text.ptr, head);
    memcpy(ret_mask + head, DOTS, sizeof DOTS - 1);
    memcpy(ret_mask + head + sizeof DOTS - 1, text.ptr + text.len - MASK_SHOWN, MASK_SHOWN);
    ret_mask[head + sizeof DOTS - 1 + MASK_SHOWN] = '\0';
}
