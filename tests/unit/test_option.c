/* Options: what is accepted, and what each mistake is told. */
#include "base/option.h"
#include "lib/unit.h"
#include <stdio.h>

struct values {
    const char *data, *id;
    bool json;
    int64_t count, size, expires;
    int format;
    struct option_list tables;
    struct option_address listen;
};

#define AT(member) offsetof(struct values, member)
static const struct option_spec OPTIONS[] = {
    {"data", OPTION_TEXT, AT(data), "DIR", "the data directory", NULL, true, 0, 0, NULL},
    {"json", OPTION_FLAG, AT(json), NULL, "prints JSON", NULL, false, 0, 0, NULL},
    {"count", OPTION_INT, AT(count), "N", "how many", "7", false, 1, 10, NULL},
    {"size", OPTION_BYTES, AT(size), "SIZE", "how large", NULL, false, 0, 0, NULL},
    {"expires-in", OPTION_DURATION, AT(expires), "TIME", "how long", NULL, false, 1, 86400, NULL},
    {"format", OPTION_CHOICE, AT(format), "FORMAT", "kv or json", "kv", false, 0, 0, "kv|json"},
    {"tables", OPTION_LIST, AT(tables), "A,B", "which", NULL, false, 0, 0, NULL},
    {"listen", OPTION_ADDRESS, AT(listen), "HOST:PORT", "where", "127.0.0.1:8080", false, 0, 0, NULL},
};
static const struct option_command PLAIN = {
    .name = "try", .summary = "Tries", .options = OPTIONS, .option_count = ARRAY_LEN(OPTIONS)};
static const struct option_command WITH_ID = {.name = "try",
    .summary = "Tries",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
    .operand = "ID",
    .operand_offset = AT(id)};

static const char *const *g_env; /* "NAME=value" pairs, ends with NULL */

static const char *fake_env(const char *name)
{
    for (size_t i = 0; g_env && g_env[i]; i++) {
        size_t n = strlen(name);
        if (strncmp(g_env[i], name, n) == 0 && g_env[i][n] == '=')
            return g_env[i] + n + 1;
    }
    return NULL;
}

static enum err_code parse(
    const struct option_command *c, const char *const *words, struct values *v, bool *help, struct err *err)
{
    int count = 0;

    *v = (struct values){.data = NULL};
    while (words[count])
        count++;
    return option_parse(c, count, (char *const *)(const void *)words, fake_env, v, help, err);
}

#define W(...)                                                                                               \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

void test_option__every_type_in_both_spellings(void **state)
{
    struct values v;
    bool help;
    struct err err = ERR_INIT;

    (void)state;
    g_env = NULL;
    assert_int_equal(parse(&WITH_ID,
                         W("--data", "d", "--json", "--count=3", "--size", "64K", "tok_1", "--expires-in",
                             "12h", "--format", "json", "--tables=a,b c", "--listen", "[::1]:0"),
                         &v, &help, &err),
        ERR_OK);
    assert_false(help);
    assert_string_equal(v.data, "d");
    assert_string_equal(v.id, "tok_1");
    assert_true(v.json);
    assert_int_equal(v.count, 3);
    assert_int_equal(v.size, 65536);
    assert_int_equal(v.expires, 43200);
    assert_int_equal(v.format, 1);
    assert_int_equal(v.tables.count, 2);
    expect_str(v.tables.items[1], "b c");
    assert_string_equal(v.listen.host, "::1");
    assert_int_equal(v.listen.port, 0);
}

void test_option__a_list_comes_in_parts(void **state)
{
    struct values v;
    bool help;

    (void)state;
    g_env = W("HOLDFAST_TABLES=not,this");
    assert_int_equal(
        parse(&PLAIN, W("--data", "d", "--tables", "a,b", "--tables=c"), &v, &help, NULL), ERR_OK);
    assert_int_equal(v.tables.count, 3);
    expect_str(v.tables.items[0], "a");
    expect_str(v.tables.items[2], "c");
    g_env = NULL;
}

void test_option__environment_then_default(void **state)
{
    struct values v;
    bool help;

    (void)state;
    g_env = W("HOLDFAST_DATA=from-env", "HOLDFAST_EXPIRES_IN=1m", "HOLDFAST_JSON=true", "HOLDFAST_COUNT=");
    assert_int_equal(parse(&PLAIN, W("--expires-in=2m"), &v, &help, NULL), ERR_OK);
    assert_string_equal(v.data, "from-env");
    assert_int_equal(v.expires, 120); /* the command line wins */
    assert_true(v.json);
    assert_int_equal(v.count, 7);
    assert_int_equal(v.listen.port, 8080);
    assert_false(v.tables.given);
    g_env = NULL;
}

void test_option__mistakes_are_explained(void **state)
{
    static const struct {
        const char *words[6], *env[2], *says;
    } ROWS[] = {
        {{NULL}, {NULL}, "--data DIR is missing (or set HOLDFAST_DATA): the data directory"},
        {{"--dta", "d"}, {NULL}, "there is no option --dta; did you mean --data?"},
        {{"--exp", "1d"}, {NULL}, "did you mean --expires-in?"},
        {{"--frobnicate"}, {NULL}, "there is no option --frobnicate"},
        {{"--data"}, {NULL}, "--data needs a value: --data DIR"},
        {{"--data", "--json"}, {NULL}, "--data needs a value"},
        {{"--data="}, {NULL}, "--data must not be empty"},
        {{"--data", "a", "--data", "b"}, {NULL}, "--data is given twice"},
        {{"--json=1"}, {NULL}, "--json takes no value"},
        {{"--count", "x"}, {NULL}, "--count must be a whole number, not \"x\""},
        {{"--count", "11"}, {NULL}, "--count must be between 1 and 10, not \"11\""},
        {{"--size", "10X"}, {NULL}, "--size must be a size like"},
        {{"--size", "9999999999999G"}, {NULL}, "--size must be a size like"},
        {{"--expires-in", "soon"}, {NULL}, "--expires-in must be a time like"},
        {{"--expires-in", "2d"}, {NULL}, "between 1 and 86400 seconds"},
        {{"--format", "xml"}, {NULL}, "--format must be one of kv|json"},
        {{"--tables", "a,,b"}, {NULL}, "--tables has an empty entry"},
        {{"--listen", "8080"}, {NULL}, "--listen must be HOST:PORT"},
        {{"--listen", "::1:8080"}, {NULL}, "--listen must be HOST:PORT"},
        {{"--listen", "h:70000"}, {NULL}, "--listen must be HOST:PORT"},
        {{"--listen", ":80"}, {NULL}, "--listen must be HOST:PORT"},
        {{"-x"}, {NULL}, "\"-x\" is not understood; options begin with two dashes"},
        {{"stray"}, {NULL}, "\"stray\" is not understood here"},
        {{"--", "--json"}, {NULL}, "\"--json\" is not understood here"},
        {{"--data", "d"}, {"HOLDFAST_COUNT=many"}, "HOLDFAST_COUNT must be a whole number"},
        {{"--data", "d"}, {"HOLDFAST_JSON=maybe"}, "HOLDFAST_JSON must be 1 or 0"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct values v;
        struct err err = ERR_INIT;
        bool help;
        g_env = ROWS[i].env;
        assert_int_equal(parse(&PLAIN, ROWS[i].words, &v, &help, &err), ERR_INVALID);
        if (!strstr(err.message, ROWS[i].says))
            fail_msg("wanted \"%s\" in \"%s\"", ROWS[i].says, err.message);
    }
    g_env = NULL;
}

void test_option__operands_are_counted(void **state)
{
    struct values v;
    struct err err = ERR_INIT;
    bool help;

    (void)state;
    assert_int_equal(parse(&WITH_ID, W("--data", "d"), &v, &help, &err), ERR_INVALID);
    assert_string_equal(err.message, "the ID is missing");
    assert_int_equal(parse(&WITH_ID, W("--data", "d", "a", "b"), &v, &help, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "one ID is enough"));
    assert_int_equal(parse(&WITH_ID, W("--data", "d", "--", "--odd"), &v, &help, &err), ERR_OK);
    assert_string_equal(v.id, "--odd");
}

void test_option__help_names_everything(void **state)
{
    AUTO_STRBUF out;
    struct values v;
    bool help;

    (void)state;
    strbuf_init(&out, 65536);
    assert_int_equal(parse(&PLAIN, W("--frobnicate", "--help"), &v, &help, NULL), ERR_OK);
    assert_true(help);
    option_help(&PLAIN, &out);
    for (size_t i = 0; i < ARRAY_LEN(OPTIONS); i++) {
        char env[OPTION_ENV_SIZE];
        option_env_name(OPTIONS[i].name, env);
        assert_non_null(strstr(strbuf_cstr(&out), OPTIONS[i].name));
        assert_non_null(strstr(strbuf_cstr(&out), env));
        assert_non_null(strstr(strbuf_cstr(&out), OPTIONS[i].help));
    }
    assert_non_null(strstr(strbuf_cstr(&out), "default 127.0.0.1:8080"));
}
