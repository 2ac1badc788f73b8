/* What the audit log is told of a policy, by bodies and answers that nobody believes. */
#include "api/policy_values.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { POLICY, NAME, TABLE, COMMAND, USING, CHECKS, ROLES, ENABLED, END };

static void expect_text(const struct audit_value *v, const char *text)
{
    assert_int_equal(v->kind, text ? AUDIT_VALUE_TEXT : AUDIT_VALUE_NULL);
    if (text)
        assert_true(str_eq(v->text, str_of(text)));
}

static bool before(struct arena *a, const char *answer, struct policy_values *ret)
{
    return policy_values_before(a, S("pol_1"), str_of(answer), ret);
}

void test_policy_values__an_answer_tells_what_was(void **state)
{
    AUTO_ARENA a;
    struct policy_values was;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(before(&a,
        "{\"data\":{\"name\":\"new\",\"before\":{\"name\":\"old\",\"tableName\":\"t\",\"command\":\"all\","
        "\"using\":\"a = 1\",\"withCheck\":null,\"roles\":[\"readonly\",\"admin\"],\"enabled\":false}}}",
        &was));
    expect_text(&was.values[POLICY], "pol_1");
    expect_text(&was.values[NAME], "old");
    expect_text(&was.values[TABLE], "t");
    expect_text(&was.values[COMMAND], "all");
    expect_text(&was.values[USING], "a = 1");
    expect_text(&was.values[CHECKS], NULL);
    assert_int_equal(was.values[ROLES].count, 2);
    assert_true(str_eq(was.values[ROLES].items[1], S("admin")));
    expect_text(&was.values[ENABLED], "false");
    assert_int_equal(was.values[END].kind, AUDIT_VALUES_END);
}

void test_policy_values__what_has_another_shape_tells_nothing(void **state)
{
    static const char *const ANSWERS[] = {"", "{", "[]", "null", "1", "\"x\"", "{}", "{\"data\":[]}",
        "{\"data\":null}", "{\"data\":{}}", "{\"data\":{\"before\":[]}}", "{\"data\":{\"before\":null}}",
        "{\"data\":{\"before\":1}}", "{\"before\":{\"name\":\"x\"}}"};
    AUTO_ARENA a;
    struct policy_values was;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(ANSWERS); i++)
        assert_false(before(&a, ANSWERS[i], &was));
}

void test_policy_values__members_of_another_kind_are_null(void **state)
{
    static const char *const BODIES[] = {
        "[]", "1", "null", "\"x\"", "{}", "{\"name\":[],\"using\":1,\"roles\":{},\"enabled\":\"true\"}"};
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(BODIES); i++) {
        const struct jsonr_value *root;
        struct policy_values asked;
        assert_int_equal(jsonr_parse(&a, str_of(BODIES[i]), &root, NULL), ERR_OK);
        policy_values(STR_EMPTY, root, &asked);
        for (size_t k = 0; k < END; k++)
            assert_int_equal(asked.values[k].kind, AUDIT_VALUE_NULL);
        assert_int_equal(asked.values[END].kind, AUDIT_VALUES_END);
    }
}

void test_policy_values__roles_past_all_there_are_do_not_count(void **state)
{
    AUTO_ARENA a;
    const struct jsonr_value *root;
    struct policy_values asked;
    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(
        jsonr_parse(&a, S("{\"expression\":\"1\",\"roles\":[1,\"a\",\"b\",null,\"c\",\"d\"]}"), &root, NULL),
        ERR_OK);
    policy_values(STR_EMPTY, root, &asked);
    assert_int_equal(asked.values[ROLES].count, POLICY_ROLES_MAX);
    expect_text(&asked.values[USING], "1");
    assert_string_equal(asked.values[USING].name, "using");
}
