/* The token check on any bytes, and on texts with a right checksum made from them. */
#include "base/check.h"
#include "base/enc.h"
#include "crypto/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RANDOM = 43, SUM = 6, TOKEN = 59 };

static const char *const PREFIXES[] = {
#define TOKEN_KIND(name, prefix) prefix,
#include "crypto/token_kinds.def"
#undef TOKEN_KIND
};

static void check_accepted(struct str text, enum token_kind kind)
{
    char mask[TOKEN_MASK_MAX];
    CHECK(kind < TOKEN_KIND_COUNT);
    size_t prefix = strlen(PREFIXES[kind]);
    CHECK(text.len == prefix + RANDOM + SUM && str_starts(text, str_of(PREFIXES[kind])));
    token_mask(text, mask);
    CHECK(strlen(mask) == prefix + 4 + strlen("…") + 4);
    CHECK(str_starts(text, str_slice(str_of(mask), 0, prefix + 4)));
}

/* A token whose random part spells the input; then the same with one character changed. */
static void check_made(const uint8_t *data, size_t size)
{
    static const char ALPHABET[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    AUTO_STRBUF text;
    enum token_kind kind = TOKEN_KIND_COUNT;
    strbuf_init(&text, TOKEN);
    strbuf_add_cstr(&text, size % 2 ? "psql_live_" : "psql_test_");
    for (size_t i = 0; i < RANDOM; i++)
        strbuf_add_char(&text, ALPHABET[(i < size ? data[i] : i) % 62]);
    uint32_t sum = enc_crc32(strbuf_str(&text));
    const unsigned char bytes[] = {(unsigned char)(sum >> 24), (unsigned char)(sum >> 16),
        (unsigned char)(sum >> 8), (unsigned char)sum};
    enc_base62(&text, bytes, sizeof bytes, 6);
    CHECK(token_well_formed(strbuf_str(&text), &kind));
    check_accepted(strbuf_str(&text), kind);
    char *at = text.buf + (size ? data[0] : 0) % TOKEN;
    *at = *at == 'x' ? 'y' : 'x';
    CHECK(!token_well_formed(strbuf_str(&text), &kind));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum token_kind kind = TOKEN_KIND_COUNT;
    if (token_well_formed(str_make(data, size), &kind))
        check_accepted(str_make(data, size), kind);
    else
        CHECK(kind == TOKEN_KIND_COUNT);
    check_made(data, size);
    return 0;
}
