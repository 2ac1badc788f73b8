/* Encodings against known vectors; decoders accept one spelling each. */
#include "base/enc.h"
#include "lib/unit.h"

void test_enc__hex(void **state)
{
    static const char *const BAD[] = {"0", "0g", "0G", "AB", "aB", " 0", "0x00"};
    unsigned char out[4] = {9, 9, 9, 9};
    size_t len = 99;
    AUTO_STRBUF sb;
    (void)state;
    strbuf_init(&sb, 100);
    enc_hex(&sb, str_make("\x00\x7f\x80\xff", 4));
    expect_str(strbuf_str(&sb), "007f80ff");
    assert_true(dec_hex(strbuf_str(&sb), out, sizeof out, &len));
    assert_int_equal(len, 4);
    assert_memory_equal(out, "\x00\x7f\x80\xff", 4);
    assert_true(dec_hex(S(""), out, 0, &len));
    assert_int_equal(len, 0);
    assert_false(dec_hex(S("0011"), out, 1, &len)); /* past the room */
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        expect_row(!dec_hex(str_of(BAD[i]), out, sizeof out, &len), BAD[i]);
}

void test_enc__base64_known_answers(void **state)
{
    static const struct {
        const char *bytes, *text;
    } ROWS[] = {/* RFC 4648, section 10 */
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "+/+/"}, {"\xff\xff\xff\xff", "/////w=="}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF text, back;
        strbuf_init(&text, 100);
        strbuf_init(&back, 100);
        enc_base64(&text, str_of(ROWS[i].bytes));
        expect_str(strbuf_str(&text), ROWS[i].text);
        assert_true(dec_base64(strbuf_str(&text), &back));
        expect_str(strbuf_str(&back), ROWS[i].bytes);
    }
}

void test_enc__base64_has_one_spelling(void **state)
{
    static const char *const BAD[] = {"Zg", "Zg=", "Zg===", "Z===", "====", "=",
        "Zh==", "Zi==", "Zk==", "Zo==", "Zm+=", "Zm9=", "Zm8", "Zm9v\n", "Zm9v ", " Zm9", "Zm-_",
        "Zg==Zg==", "Zm=v", "Zm9v=", "Z=9v", "Zm9\xff", "Zm9*"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        AUTO_STRBUF out;
        strbuf_init(&out, 100);
        strbuf_add_cstr(&out, "before");
        expect_row(!dec_base64(str_of(BAD[i]), &out), BAD[i]);
        expect_str(strbuf_str(&out), "before");
    }
    AUTO_STRBUF out;
    strbuf_init(&out, 100);
    assert_false(dec_base64(str_make("Zm9\0", 4), &out));
}

void test_enc__base64_respects_the_limit(void **state)
{
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 2);
    assert_false(dec_base64(S("Zm9v"), &out));
    assert_true(strbuf_failed(&out));
    strbuf_release(&out);
    assert_true(dec_base64(S("Zm8="), &out));
    strbuf_release(&out);
    enc_base64(&out, S("f"));
    assert_true(strbuf_failed(&out) && out.len == 0);
}

void test_enc__base64_takes_every_byte(void **state)
{
    unsigned char bytes[256];
    AUTO_STRBUF text, back;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    strbuf_init(&text, 1000);
    strbuf_init(&back, 1000);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        strbuf_reset(&text);
        strbuf_reset(&back);
        enc_base64(&text, str_make(bytes, n));
        assert_true(dec_base64(strbuf_str(&text), &back));
        assert_true(str_eq(strbuf_str(&back), str_make(bytes, n)));
    }
}

static void base62_too_narrow(void *arg)
{
    enc_base62(arg, (const unsigned char *)"\x3e", 1, 1);
}

void test_enc__base62(void **state)
{
    static const struct {
        const char *bytes;
        size_t len, width;
        const char *text;
    } ROWS[] = {
        {"\x00", 1, 3, "000"},
        {"\x3d", 1, 1, "z"},
        {"\x3e", 1, 2, "10"},
        {"\x09", 1, 2, "09"},
        {"\x0a", 1, 2, "0A"},
        {"\x24", 1, 2, "0a"},
        {"\xff\xff\xff\xff", 4, 6, "4gfFC3"},
        {"", 0, 2, "00"},
    };
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        strbuf_reset(&out);
        enc_base62(&out, (const unsigned char *)ROWS[i].bytes, ROWS[i].len, ROWS[i].width);
        expect_str(strbuf_str(&out), ROWS[i].text);
    }
    unsigned char most[32];
    memset(most, 0xff, sizeof most);
    strbuf_reset(&out);
    enc_base62(&out, most, sizeof most, 43); /* 2^256 - 1 fits 43 digits */
    expect_str(strbuf_str(&out), "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
    expect_panic(base62_too_narrow, &out, "few == 0");
}

void test_enc__crc32_known_answers(void **state)
{
    (void)state;
    assert_int_equal(enc_crc32(S("")), 0);
    assert_int_equal(enc_crc32(S("123456789")), 0xcbf43926);
    assert_int_equal(enc_crc32(S("a")), 0xe8b7be43);
    assert_int_equal(enc_crc32(S("The quick brown fox jumps over the lazy dog")), 0x414fa339);
    assert_int_equal(enc_crc32(str_make("\0\0\0\0", 4)), 0x2144df1c);
    assert_int_equal(enc_crc32(S("\xff\xff\xff\xff")), 0xffffffff);
}

static const struct {
    const char *text;
    bool ok;
} UTF8_ROWS[] = {
    {"", true},
    {"ascii of more than eight bytes", true},
    {"\xc2\x80", true},
    {"\xdf\xbf", true},
    {"\xe0\xa0\x80", true},
    {"\xed\x9f\xbf", true},
    {"\xee\x80\x80", true},
    {"\xef\xbf\xbf", true},
    {"\xf0\x90\x80\x80", true},
    {"\xf4\x8f\xbf\xbf", true},
    {"1234567é", true},
    {"12345678é", true},
    {"\x80", false},
    {"\xbf", false},
    {"\xc0\x80", false},
    {"\xc1\xbf", false},
    {"\xc2", false},
    {"\xc2\xc2", false},
    {"\xc2(", false},
    {"\xe0\x80\x80", false},
    {"\xe0\x9f\xbf", false},
    {"\xe1\x80", false},
    {"\xe1\x80\xc0", false},
    {"\xed\xa0\x80", false},
    {"\xed\xbf\xbf", false},
    {"\xf0\x80\x80\x80", false},
    {"\xf0\x8f\xbf\xbf", false},
    {"\xf0\x90\x80", false},
    {"\xf4\x90\x80\x80", false},
    {"\xf5\x80\x80\x80", false},
    {"\xff", false},
    {"1234567\x80", false},
    {"12345678\xe2\x82", false},
};

void test_enc__utf8_validity(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(UTF8_ROWS); i++)
        expect_row(utf8_valid(str_of(UTF8_ROWS[i].text)) == UTF8_ROWS[i].ok, UTF8_ROWS[i].text);
    assert_int_equal(utf8_first(S("a")), 1);
    assert_int_equal(utf8_first(S("é")), 2);
    assert_int_equal(utf8_first(S("€x")), 3);
    assert_int_equal(utf8_first(S("😀")), 4);
    assert_int_equal(utf8_first(S("")), 0);
    assert_int_equal(utf8_first(S("\x80")), 0);
}

/* All code points: exactly those that are no surrogates have an encoding. */
void test_enc__utf8_takes_every_code_point(void **state)
{
    (void)state;
    for (unsigned c = 0x80; c <= 0x110fff; c++) {
        unsigned char b[4];
        size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        b[0] = (unsigned char)(n == 2 ? 0xc0 | c >> 6 : n == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
        for (size_t i = 1; i < n; i++)
            b[i] = (unsigned char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
        bool want = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        if (utf8_valid(str_make(b, n)) != want)
            fail_msg("U+%04X", c);
    }
}

void test_enc__utf8_cuts_between_characters(void **state)
{
    (void)state;
    assert_int_equal(utf8_cut(S("abc"), 5), 3);
    assert_int_equal(utf8_cut(S("abc"), 2), 2);
    assert_int_equal(utf8_cut(S("aé"), 2), 1);
    assert_int_equal(utf8_cut(S("aé"), 3), 3);
    assert_int_equal(utf8_cut(S("a€b"), 3), 1);
    assert_int_equal(utf8_cut(S("a€b"), 4), 4);
    assert_int_equal(utf8_cut(S("😀"), 3), 0);
    assert_int_equal(utf8_cut(S("😀"), 0), 0);
    assert_int_equal(utf8_cut(S("\x80\x80\x80\x80\x80\x80\x80\x80"), 6), 6); /* not UTF-8: cut there */
}

void test_enc__percent(void **state)
{
    static const struct {
        const char *text;
        bool form;
        const char *want; /* NULL: refused */
    } ROWS[] = {
        {"", false, ""},
        {"plain-._~", false, "plain-._~"},
        {"a%20b", false, "a b"},
        {"a+b", false, "a+b"},
        {"a+b", true, "a b"},
        {"%2B", true, "+"},
        {"%c3%A9", false, "é"},
        {"%2F..%2f", false, "/../"},
        {"%25", false, "%"},
        {"%2525", false, "%25"},
        {"%", false, NULL},
        {"%4", false, NULL},
        {"%zz", false, NULL},
        {"%4g", false, NULL},
        {"%+1", false, NULL},
        {"%00", false, NULL},
        {"a%00b", true, NULL},
        {"%ff", false, NULL},
        {"%c3", false, NULL},
        {"%c0%80", false, NULL},
        {"%ed%a0%80", false, NULL},
        {"\xff", false, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF out;
        strbuf_init(&out, 100);
        expect_row(
            dec_percent(str_of(ROWS[i].text), ROWS[i].form, &out) == (ROWS[i].want != NULL), ROWS[i].text);
        if (ROWS[i].want)
            expect_str(strbuf_str(&out), ROWS[i].want);
    }
    AUTO_STRBUF small;
    strbuf_init(&small, 2);
    assert_false(dec_percent(S("abc"), false, &small));
}

void test_enc__base64url_known_answers(void **state)
{
    static const struct {
        const char *bytes, *text;
    } ROWS[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xfb\xff\xbf", "-_-_"},
        {"\xff\xff\xff\xff", "_____w"}};
    /* padding, the other alphabet, bits that no byte uses, a single character, white space */
    static const char *const BAD[] = {
        "Zg==", "Zm8=", "+/+/", "Zh", "Zm9", "Z", "Zm9vY", "Zm 8", "Zm8\n", "."};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF text, back;
        strbuf_init(&text, 100);
        strbuf_init(&back, 100);
        enc_base64url(&text, str_of(ROWS[i].bytes));
        expect_str(strbuf_str(&text), ROWS[i].text);
        assert_true(dec_base64url(strbuf_str(&text), &back));
        expect_str(strbuf_str(&back), ROWS[i].bytes);
    }
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        AUTO_STRBUF back;
        strbuf_init(&back, 100);
        expect_row(!dec_base64url(str_of(BAD[i]), &back), BAD[i]);
    }
}
