/* Field tables: a struct filled from an object, or an error that says what would pass. */
#include "base/arena.h"
#include "json/jsonr.h"
#include "lib/unit.h"

struct order {
    struct str name;
    int64_t count;
    bool urgent;
    const struct jsonr_value *lines, *meta, *any;
    int64_t offset;
    struct str note;
    int64_t big, small;
};

#define MEMBER(m) offsetof(struct order, m)
static const struct jsonr_field FIELDS[] = {
    {"name", JF_TEXT, MEMBER(name), JF_REQUIRED, 1, 8},
    {"count", JF_INT, MEMBER(count), JF_REQUIRED, 1, 100},
    {"urgent", JF_BOOL, MEMBER(urgent), 0, 0, 0},
    {"lines", JF_ARRAY, MEMBER(lines), 0, 1, 3},
    {"meta", JF_OBJECT, MEMBER(meta), JF_NULL_OK, 0, 0},
    {"any", JF_ANY, MEMBER(any), 0, 0, 0},
    {"offset", JF_INT, MEMBER(offset), JF_NULL_OK, 0, INT64_MAX},
    {"note", JF_TEXT, MEMBER(note), JF_NULL_OK, 0, 4},
    {"big", JF_INT, MEMBER(big), 0, 10, INT64_MAX},
    {"small", JF_INT, MEMBER(small), 0, INT64_MIN, -1},
};

static enum err_code fill(struct arena *a, const char *text, const char *at, enum jsonr_unknown unknown,
    struct order *out, struct err *err)
{
    const struct jsonr_value *root;
    assert_int_equal(jsonr_parse(a, str_of(text), &root, err), ERR_OK);
    return jsonr_fields(root, at, FIELDS, ARRAY_LEN(FIELDS), unknown, out, err);
}

void test_fields__fills_every_type(void **state)
{
    AUTO_ARENA a;
    struct order o = {.note = S("as before"), .offset = 77};
    struct err err = ERR_INIT;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(
        fill(&a,
            "{\"name\":\"n\",\"count\":100,\"urgent\":true,\"lines\":[1],\"meta\":{},\"any\":null,"
            "\"note\":null,\"small\":-9223372036854775808,\"big\":9223372036854775807,\"extra\":1}",
            "", JSONR_UNKNOWN_IGNORE, &o, &err),
        ERR_OK);
    expect_str(o.name, "n");
    assert_int_equal(o.count, 100);
    assert_true(o.urgent);
    assert_int_equal(jsonr_count(o.lines), 1);
    assert_int_equal(jsonr_kind(o.meta), JSONR_OBJECT);
    assert_int_equal(jsonr_kind(o.any), JSONR_NULL);
    expect_str(o.note, "as before");
    assert_int_equal(o.offset, 77);
    assert_true(o.small == INT64_MIN && o.big == INT64_MAX);
}

void test_fields__refuses_and_says_what_would_pass(void **state)
{
    static const struct {
        const char *text, *message;
    } ROWS[] = {
        {"[]", "the body must be an object; got array"},
        {"{}", "/name: is required: text of 1 to 8 bytes"},
        {"{\"name\":\"n\"}", "/count: is required: an integer from 1 to 100"},
        {"{\"name\":5,\"count\":1}", "/name: must be text of 1 to 8 bytes; got integer"},
        {"{\"name\":null,\"count\":1}", "/name: must be text of 1 to 8 bytes; got null"},
        {"{\"name\":\"\",\"count\":1}", "/name: must be text of 1 to 8 bytes; got 0 bytes"},
        {"{\"name\":\"123456789\",\"count\":1}", "/name: must be text of 1 to 8 bytes; got 9 bytes"},
        {"{\"name\":\"n\",\"count\":0}", "/count: must be an integer from 1 to 100; got 0"},
        {"{\"name\":\"n\",\"count\":101}", "/count: must be an integer from 1 to 100; got 101"},
        {"{\"name\":\"n\",\"count\":1.0}", "/count: must be an integer from 1 to 100; got real number"},
        {"{\"name\":\"n\",\"count\":\"1\"}", "/count: must be an integer from 1 to 100; got text"},
        {"{\"name\":\"n\",\"count\":1,\"urgent\":1}", "/urgent: must be true or false; got integer"},
        {"{\"name\":\"n\",\"count\":1,\"lines\":{}}",
            "/lines: must be an array of 1 to 3 elements; got object"},
        {"{\"name\":\"n\",\"count\":1,\"lines\":[]}",
            "/lines: must be an array of 1 to 3 elements; got 0 elements"},
        {"{\"name\":\"n\",\"count\":1,\"lines\":[1,2,3,4]}",
            "/lines: must be an array of 1 to 3 elements; got 4 elements"},
        {"{\"name\":\"n\",\"count\":1,\"meta\":\"x\"}", "/meta: must be an object or null; got text"},
        {"{\"name\":\"n\",\"count\":1,\"offset\":-1}",
            "/offset: must be an integer at least 0 or null; got -1"},
        {"{\"name\":\"n\",\"count\":1,\"note\":\"12345\"}",
            "/note: must be text of at most 4 bytes or null; got 5 bytes"},
        {"{\"name\":\"n\",\"count\":1,\"big\":9}", "/big: must be an integer at least 10; got 9"},
        {"{\"name\":\"n\",\"count\":1,\"small\":0}", "/small: must be an integer at most -1; got 0"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA a;
        struct order o = {.count = -5};
        struct err err = ERR_INIT;
        arena_init(&a, 1 << 16);
        assert_int_equal(fill(&a, ROWS[i].text, "", JSONR_UNKNOWN_IGNORE, &o, &err), ERR_INVALID);
        expect_str(str_of(err.message), ROWS[i].message);
        assert_true(o.count == -5 && o.name.ptr == NULL); /* nothing is filled on failure */
    }
}

void test_fields__puts_the_place_in_front(void **state)
{
    AUTO_ARENA a;
    struct order o = {.count = 0};
    struct err err = ERR_INIT;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(fill(&a, "{\"name\":1}", "/orders/3", JSONR_UNKNOWN_IGNORE, &o, &err), ERR_INVALID);
    expect_str(str_of(err.pointer), "/orders/3/name");
    assert_int_equal(fill(&a, "1", "/orders/3", JSONR_UNKNOWN_IGNORE, &o, &err), ERR_INVALID);
    expect_str(str_of(err.message), "/orders/3: must be an object; got integer");
}

void test_fields__refuses_unknown_members_when_asked(void **state)
{
    static const struct {
        const char *text, *message;
    } ROWS[] = {
        {"{\"nam\":\"n\"}", "/nam: is not a known member; did you mean name?"},
        {"{\"urgnet\":true}", "/urgnet: is not a known member; did you mean urgent?"},
        {"{\"completely\":1}", "/completely: is not a known member"},
        {"{\"a/b\":1}", "/a~1b: is not a known member"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_ARENA a;
        struct order o = {.count = 0};
        struct err err = ERR_INIT;
        arena_init(&a, 1 << 16);
        assert_int_equal(fill(&a, ROWS[i].text, "", JSONR_UNKNOWN_REFUSE, &o, &err), ERR_INVALID);
        expect_str(str_of(err.message), ROWS[i].message);
    }
}
