/* The strict JSON reader: what it accepts and how exactly, what it refuses and how it names the place. */
#include "base/arena.h"
#include "base/mem.h"
#include "json/jsonr.h"
#include "lib/unit.h"
#include <math.h>

#define T4  "[[[["
#define T32 T4 T4 T4 T4 T4 T4 T4 T4
#define E4  "]]]]"
#define E32 E4 E4 E4 E4 E4 E4 E4 E4

/* The text is copied to the heap to its exact size, so that a sanitizer sees a read past its end. */
static enum err_code parse(struct arena *a, struct str text, const struct jsonr_value **ret, struct err *err)
{
    char *copy = mem_array(text.len, 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    enum err_code rc = jsonr_parse(a, str_make(copy, text.len), ret, err);
    mem_free(copy);
    return rc;
}

static const struct jsonr_value *must_parse(struct arena *a, struct str text)
{
    const struct jsonr_value *root = NULL;
    struct err err = ERR_INIT;
    if (parse(a, text, &root, &err))
        fail_msg("refused: " STR_FMT ": %s", STR_ARG(text), err.message);
    assert_int_equal(err.code, ERR_OK);
    return root;
}

static void expect_refused(struct str text, const char *pointer, const char *message)
{
    AUTO_ARENA a;
    struct err err = ERR_INIT;
    const struct jsonr_value *root = NULL;
    arena_init(&a, 1 << 20);
    if (parse(&a, text, &root, &err) != ERR_INVALID)
        fail_msg("not refused: " STR_FMT, STR_ARG(text));
    assert_null(root);
    assert_int_equal(err.code, ERR_INVALID);
    expect_str(str_of(err.pointer), pointer);
    expect_str(str_of(err.message), message);
}

void test_jsonr__keeps_integers_exact(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } ROWS[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"-1", -1},
        {"999999999999999", 999999999999999},
        {"-999999999999999", -999999999999999},
        {"1000000000000000", 1000000000000000},
        {"9007199254740991", 9007199254740991},
        {"9007199254740993", 9007199254740993},
        {"-9007199254740993", -9007199254740993},
        {"9223372036854775806", INT64_MAX - 1},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA a;
        arena_init(&a, 1 << 16);
        const struct jsonr_value *v = must_parse(&a, str_of(ROWS[i].text));
        expect_row(jsonr_kind(v) == JSONR_INT, ROWS[i].text);
        expect_row(jsonr_int(v) == ROWS[i].value, ROWS[i].text);
        expect_row(jsonr_real(v) == (double)ROWS[i].value, ROWS[i].text);
    }
}

void test_jsonr__keeps_reals_reals(void **state)
{
    static const struct {
        const char *text;
        double value;
    } ROWS[] = {
        {"1.0", 1.0},
        {"-0.0", -0.0},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"1e-3", 0.001},
        {"0.1", 0.1},
        {"2.5e-1", 0.25},
        {"9223372036854775808.0", 9223372036854775808.0},
        {"1e308", 1e308},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"5e-324", 5e-324},
        {"1e-400", 0},
        {"0.1000000000000000055511151231257827021181583404541015625", 0.1},
        {"3.14159265358979323846264338327950288419716939937510582097494459230781640628620899",
            3.141592653589793},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA a;
        arena_init(&a, 1 << 16);
        const struct jsonr_value *v = must_parse(&a, str_of(ROWS[i].text));
        expect_row(jsonr_kind(v) == JSONR_REAL, ROWS[i].text);
        expect_row(
            jsonr_real(v) == ROWS[i].value && signbit(jsonr_real(v)) == signbit(ROWS[i].value), ROWS[i].text);
    }
}

void test_jsonr__decodes_text(void **state)
{
    static const struct {
        const char *text, *want;
    } ROWS[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"longer than eight bytes \\\" and on\"", "longer than eight bytes \" and on"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20ac\"", "Aé€"},
        {"\"\\u0001\\u001F\"", "\x01\x1f"},
        {"\"\\ud83d\\ude00\\uD83D\\uDE00\"", "😀😀"},
        {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
        {"\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80"},
        {"\"é€😀\x7f\"", "é€😀\x7f"},
        {"\"\xef\xbf\xbf\"", "\xef\xbf\xbf"},
        {"\"12345678901234567890 1.5 [,]{}:\"", "12345678901234567890 1.5 [,]{}:"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA a;
        arena_init(&a, 1 << 16);
        const struct jsonr_value *v = must_parse(&a, str_of(ROWS[i].text));
        assert_int_equal(jsonr_kind(v), JSONR_TEXT);
        expect_str(jsonr_text(v), ROWS[i].want);
        assert_int_equal(jsonr_text(v).ptr[jsonr_text(v).len], '\0');
    }
}

void test_jsonr__walks_a_tree(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 16);
    const struct jsonr_value *root = must_parse(&a, S(" {\"a\" : [1, 2.0 ,\"x\",null,true,false,[],{}] "
                                                      ",\r\n\t\"A\":{\"n\":12345678901234567}, \"\":0} "));
    static const enum jsonr_kind KINDS[] = {
        JSONR_INT, JSONR_REAL, JSONR_TEXT, JSONR_NULL, JSONR_BOOL, JSONR_BOOL, JSONR_ARRAY, JSONR_OBJECT};
    assert_int_equal(jsonr_kind(root), JSONR_OBJECT);
    assert_int_equal(jsonr_count(root), 3);
    const struct jsonr_value *list = jsonr_member(root, S("a"));
    assert_int_equal(jsonr_count(list), ARRAY_LEN(KINDS));
    size_t i = 0;
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v))
        assert_int_equal(jsonr_kind(v), KINDS[i++]);
    assert_true(jsonr_bool(jsonr_next(jsonr_next(jsonr_next(jsonr_next(jsonr_first(list)))))));
    assert_true(jsonr_int(jsonr_member(jsonr_member(root, S("A")), S("n"))) == 12345678901234567);
    expect_str(jsonr_name(jsonr_first(root)), "a");
    expect_str(jsonr_name(jsonr_member(root, S(""))), "");
    assert_null(jsonr_member(root, S("b")));
    assert_null(jsonr_member(root, S("ab")));
    assert_null(
        jsonr_first(jsonr_member(jsonr_member(root, S("A")), S("n")) ? must_parse(&a, S("[]")) : NULL));
}

void test_jsonr__compares_names_by_case(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 16);
    const struct jsonr_value *root = must_parse(&a, S("{\"SQL\":1,\"sql\":2,\"Sql\":3}"));
    assert_int_equal(jsonr_int(jsonr_member(root, S("sql"))), 2);
    assert_int_equal(jsonr_int(jsonr_member(root, S("SQL"))), 1);
    assert_null(jsonr_member(root, S("sQL")));
}

void test_jsonr__refuses_bad_grammar(void **state)
{
    static const struct {
        const char *text, *pointer, *message;
    } ROWS[] = {
        {"", "", "the body is empty; a JSON value is expected"},
        {" \n\t\r ", "", "the body is empty; a JSON value is expected"},
        {"nul", "", "a JSON value is expected at byte 1"},
        {"True", "", "a JSON value is expected at byte 1"},
        {"nullx", "", "unexpected text behind the JSON value at byte 5"},
        {"{} {}", "", "unexpected text behind the JSON value at byte 4"},
        {"\xef\xbb\xbf{}", "", "a JSON value is expected at byte 1"},
        {"\v1", "", "a JSON value is expected at byte 1"},
        {"\xc2\xa0 1", "", "a JSON value is expected at byte 1"},
        {"// c\n1", "", "a JSON value is expected at byte 1"},
        {"'a'", "", "a JSON value is expected at byte 1"},
        {"NaN", "", "a JSON value is expected at byte 1"},
        {"Infinity", "", "a JSON value is expected at byte 1"},
        {"+1", "", "a JSON value is expected at byte 1"},
        {".5", "", "a JSON value is expected at byte 1"},
        {"-", "", "a digit is expected at byte 2"},
        {"-x", "", "a digit is expected at byte 2"},
        {"01", "", "a number may not begin with 0 at byte 2"},
        {"-00", "", "a number may not begin with 0 at byte 3"},
        {"0x10", "", "unexpected text behind the JSON value at byte 2"},
        {"1.", "", "a digit is expected behind the decimal point at byte 3"},
        {"1.e3", "", "a digit is expected behind the decimal point at byte 3"},
        {"1e", "", "a digit is expected in the exponent at byte 3"},
        {"1e+", "", "a digit is expected in the exponent at byte 4"},
        {"1e+-1", "", "a digit is expected in the exponent at byte 4"},
        {"[", "/0", "/0: a JSON value is expected at byte 2"},
        {"[1,]", "/1", "/1: a JSON value is expected at byte 4"},
        {"[,1]", "/0", "/0: a JSON value is expected at byte 2"},
        {"[1 2]", "", "',' or ']' is expected at byte 4"},
        {"[1}", "", "',' or ']' is expected at byte 3"},
        {"]", "", "a JSON value is expected at byte 1"},
        {"{", "", "a member name in quotes is expected at byte 2"},
        {"{a:1}", "", "a member name in quotes is expected at byte 2"},
        {"{\"a\"}", "", "':' is expected at byte 5"},
        {"{\"a\" 1}", "", "':' is expected at byte 6"},
        {"{\"a\":}", "/a", "/a: a JSON value is expected at byte 6"},
        {"{\"a\":1,}", "", "a member name in quotes is expected at byte 8"},
        {"{\"a\":1 \"b\":2}", "", "',' or '}' is expected at byte 8"},
        {"{\"a\":[1,{\"b\":tru}]}", "/a/1/b", "/a/1/b: a JSON value is expected at byte 14"},
        {"{\"a/b~c\":{\"\":!}}", "/a~1b~0c/", "/a~1b~0c/: a JSON value is expected at byte 14"},
        {"\"abc", "", "text is not closed by a quote at byte 5"},
        {"\"abc\\\"", "", "text is not closed by a quote at byte 7"},
        {"\"\\", "", "unknown escape in text at byte 3"},
        {"\"\\x41\"", "", "unknown escape in text at byte 3"},
        {"\"\\U0041\"", "", "unknown escape in text at byte 3"},
        {"\"a\tb\"", "", "raw control character 0x09 in text; write it as an escape at byte 3"},
        {"\"a\nb\"", "", "raw control character 0x0a in text; write it as an escape at byte 3"},
        {"\"\x1f\"", "", "raw control character 0x1f in text; write it as an escape at byte 2"},
        {"\"\\u00\"", "", "\\u needs four hexadecimal digits at byte 3"},
        {"\"\\u00g0\"", "", "\\u needs four hexadecimal digits at byte 3"},
        {"\"\\u+041\"", "", "\\u needs four hexadecimal digits at byte 3"},
        {"\"\\u", "", "\\u needs four hexadecimal digits at byte 3"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_refused(str_of(ROWS[i].text), ROWS[i].pointer, ROWS[i].message);
    expect_refused(str_make("1\0", 2), "", "unexpected text behind the JSON value at byte 2");
    expect_refused(str_make("\0", 1), "", "a JSON value is expected at byte 1");
    expect_refused(str_make("[\"a\0b\"]", 7), "/0",
        "/0: raw control character 0x00 in text; write it as an escape at byte 4");
}

void test_jsonr__refuses_nul_and_lone_surrogates(void **state)
{
    static const struct {
        const char *text, *message;
    } ROWS[] = {
        {"{\"k\":\"\\u0000\"}", "/k: \\u0000 is not allowed in text at byte 8"},
        {"{\"k\":\"\\ud800\"}", "/k: lone surrogate \\ud800 at byte 13"},
        {"{\"k\":\"\\uDBFFx\"}", "/k: lone surrogate \\udbff at byte 13"},
        {"{\"k\":\"\\udc00\"}", "/k: lone surrogate \\udc00 at byte 8"},
        {"{\"k\":\"\\udfff\"}", "/k: lone surrogate \\udfff at byte 8"},
        {"{\"k\":\"\\ud800\\u0041\"}", "/k: lone surrogate \\ud800 at byte 13"},
        {"{\"k\":\"\\ud800\\ud800\"}", "/k: lone surrogate \\ud800 at byte 13"},
        {"{\"k\":\"\\udc00\\ud800\"}", "/k: lone surrogate \\udc00 at byte 8"},
        {"{\"k\":\"\\ud800\\n\"}", "/k: lone surrogate \\ud800 at byte 13"},
        {"{\"k\":\"\\ud800\\udc0\"}", "/k: lone surrogate \\ud800 at byte 13"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_refused(str_of(ROWS[i].text), "/k", ROWS[i].message);
    expect_refused(S("{\"a\\u0000\":1}"), "", "\\u0000 is not allowed in text at byte 5");
}

void test_jsonr__takes_nul_where_it_is_asked_to(void **state)
{
    static const char TEXT[] =
        "{\"a\":\"\\u0000\",\"b\":[\"x\\u0000\\\\u0000y\\\\\\u0000\",\"\\\\u0000\",1.5],"
        "\"c\":\"plain\",\"d\":12345678901234567}";
    AUTO_ARENA a;
    const struct jsonr_value *root;
    struct err err = ERR_INIT;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(jsonr_parse_with_nul(&a, str_of(TEXT), &root, &err), ERR_OK);
    expect_str(jsonr_text(jsonr_member(root, S("c"))), "plain");
    assert_int_equal(jsonr_int(jsonr_member(root, S("d"))), 12345678901234567);
    assert_true(str_eq(jsonr_text(jsonr_member(root, S("a"))), str_make("\0", 1)));
    const struct jsonr_value *b = jsonr_first(jsonr_member(root, S("b")));
    assert_true(str_eq(jsonr_text(b), str_make("x\0\\u0000y\\\0", 11)));
    expect_str(jsonr_text(jsonr_next(b)), "\\u0000");
    assert_true(jsonr_real(jsonr_next(jsonr_next(b))) == 1.5);
    assert_int_equal(jsonr_parse_with_nul(&a, S("\"\\u0000\""), &root, &err), ERR_OK);
    assert_int_equal(jsonr_text(root).len, 1);
    assert_int_equal(jsonr_parse_with_nul(&a, S("{\"a\\u0000\":1}"), &root, &err), ERR_INVALID);
    expect_str(str_of(err.message), "\\u0000 is not allowed in a member name at byte 11");
    assert_int_equal(jsonr_parse_with_nul(&a, S("\"\\ud800\""), &root, &err), ERR_INVALID);
}

void test_jsonr__refuses_malformed_utf8(void **state)
{
    static const char *const ROWS[] = {
        "\x80",             /* continuation alone */
        "\xbf",             /* the same, highest */
        "\xc3",             /* cut after the lead of two */
        "\xe2\x82",         /* cut inside three */
        "\xf0\x9f\x98",     /* cut inside four */
        "\xc3(",            /* lead, then no continuation */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong two */
        "\xe0\x9f\xbf",     /* overlong three */
        "\xf0\x8f\xbf\xbf", /* overlong four */
        "\xed\xa0\x80",     /* surrogate U+D800 */
        "\xed\xbf\xbf",     /* surrogate U+DFFF */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xf5\x80\x80\x80", /* no such lead */
        "\xf8\x88\x80\x80\x80", "\xfc", "\xfe", "\xff",
        ("\xff"
         "123"), /* the reader's own mark */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF text;
        strbuf_init(&text, 100);
        strbuf_addf(&text, "{\"k\":[\"ok\",\"%s\"]}", ROWS[i]);
        expect_refused(strbuf_str(&text), "/k/1", "/k/1: text is not valid UTF-8 at byte 13");
        strbuf_reset(&text);
        strbuf_addf(&text, "{\"%s\":1}", ROWS[i]);
        expect_refused(strbuf_str(&text), "", "text is not valid UTF-8 at byte 3");
    }
}

void test_jsonr__refuses_numbers_it_cannot_hold(void **state)
{
    AUTO_STRBUF text;
    (void)state;
    expect_refused(S("{\"params\":[1,2,3,92233720368547758080]}"), "/params/3",
        "/params/3: integer 92233720368547758080 is outside 64 bits; pass it as a string at byte 18");
    expect_refused(S("9223372036854775808"), "",
        "integer 9223372036854775808 is outside 64 bits; pass it as a string at byte 1");
    expect_refused(S("[-9223372036854775809]"), "/0",
        "/0: integer -9223372036854775809 is outside 64 bits; pass it as a string at byte 2");
    expect_refused(
        S("{\"a\":[0,1e400]}"), "/a/1", "/a/1: number is too large for a double; pass it as a string");
    expect_refused(S("-1e400"), "", "number is too large for a double; pass it as a string");
    strbuf_init(&text, 1000);
    strbuf_addf(&text, "[0.%0400d]", 1);
    expect_refused(
        strbuf_str(&text), "/0", "/0: number of more than 400 characters; pass it as a string at byte 2");
}

void test_jsonr__limits_depth(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(jsonr_kind(must_parse(&a, S(T32 E32))), JSONR_ARRAY);
    assert_int_equal(jsonr_kind(must_parse(&a, S(T32 "1" E32))), JSONR_ARRAY);
    expect_refused(S(T32 "[]" E32), "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0",
        "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: more than 32 levels of nesting at "
        "byte 33");
    expect_refused(S(T32 "{}" E32), "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0",
        "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: more than 32 levels of nesting at "
        "byte 33");
}

void test_jsonr__survives_a_million_brackets(void **state)
{
    AUTO_ARENA a;
    struct err err = ERR_INIT;
    const struct jsonr_value *root;
    size_t n = 1000000;
    char *text = mem_array(n, 1);
    (void)state;
    memset(text, '[', n);
    arena_init(&a, 1 << 16);
    assert_int_equal(jsonr_parse(&a, str_make(text, n), &root, &err), ERR_INVALID);
    assert_true(a.used == 0); /* refused by the scan, before any memory */
    mem_free(text);
}

void test_jsonr__refuses_duplicate_names(void **state)
{
    static const struct {
        const char *text, *pointer;
    } ROWS[] = {
        {"{\"a\":1,\"a\":2}", "/a"},
        {"{\"a\":1,\"b\":2,\"a\":1}", "/a"},
        {"{\"\":1,\"\":2}", "/"},
        {"{\"a\":1,\"\\u0061\":2}", "/a"},
        {"{\"x\":[0,{\"y\":{\"k\":1,\"k\":1}}]}", "/x/1/y/k"},
        {"[[[[{\"a/b\":1,\"a\\/b\":2}]]]]", "/0/0/0/0/a~1b"},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,\"l\":1,"
         "\"m\":1,\"n\":1,"
         "\"b\":1}",
            "/b"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char message[100] = "";
        strncat(message, ROWS[i].pointer, 50);
        strncat(message, ": is given twice", 50);
        expect_refused(str_of(ROWS[i].text), ROWS[i].pointer, message);
    }
}

static void add_members(struct strbuf *out, int count)
{
    for (int i = 0; i < count; i++)
        strbuf_addf(out, "%c\"key%d\":%d", i ? ',' : '{', i, i);
}

void test_jsonr__finds_duplicates_among_many_names(void **state)
{
    enum { MANY = 20000 };
    AUTO_STRBUF text;
    AUTO_ARENA a;
    (void)state;
    strbuf_init(&text, 1 << 20);
    arena_init(&a, 8 << 20);
    add_members(&text, MANY);
    strbuf_add_char(&text, '}');
    const struct jsonr_value *root = must_parse(&a, strbuf_str(&text));
    assert_int_equal(jsonr_count(root), MANY);
    assert_int_equal(jsonr_int(jsonr_member(root, S("key19999"))), 19999);
    arena_release(&a);
    strbuf_reset(&text);
    add_members(&text, MANY);
    strbuf_add_cstr(&text, ",\"key777\":0}");
    struct err err = ERR_INIT;
    assert_int_equal(parse(&a, strbuf_str(&text), &root, &err), ERR_INVALID);
    expect_str(str_of(err.message), "/key777: is given twice");
}

void test_jsonr__takes_long_names_and_cuts_them_in_errors(void **state)
{
    AUTO_STRBUF text;
    AUTO_ARENA a;
    struct err err = ERR_INIT;
    const struct jsonr_value *root;
    (void)state;
    strbuf_init(&text, 200000);
    arena_init(&a, 1 << 20);
    strbuf_addf(&text, "{\"%0100000d\":1}", 0);
    assert_int_equal(jsonr_name(jsonr_first(must_parse(&a, strbuf_str(&text)))).len, 100000);
    strbuf_reset(&text);
    strbuf_addf(&text, "{\"%0100000d\":x}", 0);
    assert_int_equal(parse(&a, strbuf_str(&text), &root, &err), ERR_INVALID);
    assert_int_equal(strlen(err.pointer), ERR_POINTER_MAX - 1);
    assert_non_null(strstr(err.message, "a JSON value is expected at byte 100005"));
}

void test_jsonr__says_when_a_body_needs_too_much_memory(void **state)
{
    static const char *const TEXTS[] = {
        "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5]"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        size_t refused = 0;
        for (size_t cap = 0; cap < 2000; cap += 16) { /* every allocation in turn is the one that fails */
            AUTO_ARENA a;
            struct err err = ERR_INIT;
            const struct jsonr_value *root = NULL;
            arena_init(&a, cap);
            enum err_code rc = parse(&a, str_of(TEXTS[i]), &root, &err);
            assert_true(rc == ERR_OK || rc == ERR_TOO_LARGE);
            assert_true((rc == ERR_OK) == (root != NULL));
            refused += rc == ERR_TOO_LARGE;
        }
        assert_true(refused > 8 && refused < 2000 / 16);
    }
}

void test_jsonr__reports_without_an_err(void **state)
{
    AUTO_ARENA a;
    const struct jsonr_value *root;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(jsonr_parse(&a, S("{"), &root, NULL), ERR_INVALID);
    assert_int_equal(jsonr_parse(&a, S("{\"a\":0,\"a\":0}"), &root, NULL), ERR_INVALID);
}

void test_jsonr__names_every_kind(void **state)
{
    (void)state;
    expect_str(str_of(jsonr_kind_name(JSONR_NULL)), "null");
    expect_str(str_of(jsonr_kind_name(JSONR_REAL)), "real number");
    expect_str(str_of(jsonr_kind_name(JSONR_OBJECT)), "object");
}

static void read_text_of_number(void *arg)
{
    (void)jsonr_text(arg);
}

void test_jsonr__asserts_the_kind(void **state)
{
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 16);
    union {
        const struct jsonr_value *in;
        void *out;
    } v = {must_parse(&a, S("5"))};
    expect_panic(read_text_of_number, v.out, "JSONR_TEXT");
}
