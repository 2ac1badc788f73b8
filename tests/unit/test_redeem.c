/* REDEEM on a real engine: exactly what was approved, once, for who asked; and what the front believes of
 * what an engine says that it holds. */
#include "api/held.h"
#include "engine/rule.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;
static char g_id[60], g_hash[100], g_rule[60];

int setup_redeem(void **state)
{
    (void)state;
    op_fixture_init(&f);
    op_fixture_sql(&f, "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT);");
    op_fixture_ok(&f, WIRE_OP_RULE_SET,
        S("{\"tableGlob\":\"orders\",\"action\":\"require_approval\",\"approvals\":2}"), NULL);
    str_print(g_rule, sizeof g_rule, "%s", op_json_text(op_fixture_json(&f), "id"));
    return 0;
}

int teardown_redeem(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void fresh(void)
{
    op_fixture_fresh(&f, "DELETE FROM orders; INSERT INTO orders VALUES (1, 'open'), (2, 'open');");
}

static void remember(void)
{
    assert_int_equal(f.head.held, 1);
    str_print(g_id, sizeof g_id, "%s", op_json_text(op_fixture_json(&f), "proposalId"));
    str_print(g_hash, sizeof g_hash, "%s", op_json_text(op_fixture_json(&f), "hash"));
}

static void hold(const char *sql)
{
    char body[1000];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_QUERY, str_of(body), NULL), ERR_FORBIDDEN);
    remember();
}

static enum err_code redeem_as(const char *id, const char *hash)
{
    char body[200];
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
    str_print(body, sizeof body, "{\"hash\":\"%s\"}", hash);
    return op_fixture_run(&f, WIRE_OP_REDEEM, str_of(body), args);
}

static enum err_code redeem(void)
{
    return redeem_as(g_id, g_hash);
}

static void finds(const char *sql, const char *wanted)
{
    assert_string_equal(op_fixture_value(&f, sql), wanted);
}

void test_redeem__does_it_once(void **state)
{
    (void)state;
    fresh();
    hold("UPDATE orders SET status = 'done'");
    assert_int_equal(redeem(), ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&f), "changes"), 2);
    finds("SELECT count(*) FROM orders WHERE status = 'done'", "2");
    finds("SELECT state FROM _sys_proposal", "applied");
    assert_int_equal(redeem(), ERR_NOT_FOUND);
    finds("SELECT count(*) FROM _sys_proposal", "1");
}

void test_redeem__only_what_was_approved_for_who_asked(void **state)
{
    (void)state;
    fresh();
    hold("DELETE FROM orders WHERE id = 1");
    assert_int_equal(
        redeem_as(g_id, "sha256:0000000000000000000000000000000000000000000000000000000000000000"),
        ERR_CONFLICT);
    assert_int_equal(redeem_as("prop_00000000000000000000000000", g_hash), ERR_NOT_FOUND);
    f.token_id = S("tok_other");
    assert_int_equal(redeem(), ERR_NOT_FOUND);
    f.token_id = S("tok_test");
    f.role = WIRE_ROLE_READONLY; /* its rights of now count */
    assert_int_equal(redeem(), ERR_FORBIDDEN);
    f.role = WIRE_ROLE_ADMIN;
    assert_int_equal(op_fixture_run(&f, WIRE_OP_REDEEM, S("{}"), NULL), ERR_INVALID);
    finds("SELECT count(*) FROM orders", "2");
    assert_int_equal(redeem(), ERR_OK);
}

void test_redeem__what_drifted_is_held_anew(void **state)
{
    char first[60];
    (void)state;
    fresh();
    hold("UPDATE orders SET status = 'done' WHERE status = 'open'");
    str_print(first, sizeof first, "%s", g_id);
    op_fixture_sql(&f, "INSERT INTO orders VALUES (3, 'open')");
    assert_int_equal(redeem(), ERR_CONFLICT);
    assert_int_equal(f.head.status, 409);
    assert_string_equal(op_json_text(op_fixture_json(&f), "drift/rows/0/kind"), "new");
    assert_int_equal(op_json_int(op_fixture_json(&f), "approvals"), 2);
    remember();
    assert_string_not_equal(first, g_id);
    finds("SELECT count(*) FROM orders WHERE status = 'done'", "0");
    finds(
        "SELECT group_concat(state) FROM (SELECT state FROM _sys_proposal ORDER BY seq)", "drifted,pending");
    assert_int_equal(redeem_as(first, g_hash), ERR_CONFLICT);
    assert_int_equal(redeem(), ERR_OK);
    finds("SELECT count(*) FROM orders WHERE status = 'done'", "3");
}

/* What people approved is what they saw, however lax the database is otherwise. */
void test_redeem__drift_is_drift_where_others_are_applied_anew(void **state)
{
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_SETTINGS_SET, S("{\"onDrift\":\"reapply\"}"), NULL);
    hold("UPDATE orders SET status = 'done' WHERE status = 'open'");
    op_fixture_sql(&f, "INSERT INTO orders VALUES (3, 'open')");
    assert_int_equal(redeem(), ERR_CONFLICT);
    assert_int_equal(f.head.held, 1);
    finds("SELECT count(*) FROM orders WHERE status = 'done'", "0");
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_SETTINGS_SET, S("{\"onDrift\":\"refuse\"}"), NULL);
}

void test_redeem__a_rule_that_denies_by_now_denies(void **state)
{
    const struct op_arg args[] = {{"id", g_rule}, {NULL, NULL}};
    (void)state;
    fresh();
    hold("UPDATE orders SET status = 'done'");
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"action\":\"deny\"}"), args);
    assert_int_not_equal(redeem(), ERR_OK);
    assert_int_equal(f.head.held, 0);
    finds("SELECT count(*) FROM orders WHERE status = 'done'", "0");
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"action\":\"require_approval\",\"approvals\":2}"), args);
    assert_int_equal(redeem(), ERR_OK); /* under the rules that were shown */
}

/* --- What the front believes --- */

#define GOOD                                                                                                 \
    "\"approvalToken\":\"appr_0123456789abcdef0123456789\",\"proposalId\":\"prop_x\",\"hash\":\"sha256:"     \
    "00\",\"hashHidden\":true,"                                                                              \
    "\"action\":\"write\",\"estimatedAffectedRows\":1,\"approvals\":1,\"expiresAtMs\":1"

void test_redeem__an_engine_may_say_anything(void **state)
{
    static const char *const BAD[] = {"", "{", "[]", "null", "{}", "{" GOOD "}", "{" GOOD ",\"hits\":{}}",
        "{" GOOD ",\"hits\":[],\"sql\":1}", "{" GOOD ",\"hits\":[],\"statements\":\"x\"}",
        "{" GOOD ",\"hits\":[],\"drift\":[]}", "{" GOOD ",\"hits\":[],\"hits\":[]}",
        "{" GOOD ",\"hits\":[],\"reason\":7}", "{" GOOD ",\"hits\":[]} x"};
    AUTO_ARENA a;
    struct held_reply h;
    (void)state;
    arena_init(&a, 4 << 20);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(held_read(&a, str_of(BAD[i]), &h, &err), ERR_INTERNAL);
    }
    assert_int_equal(
        held_read(&a, S("{" GOOD ",\"hits\":[{\"a\":\"\\u202e\"}],\"more\":[1]}"), &h, NULL), ERR_OK);
    assert_true(str_eq(h.in.hits, S("[{\"a\":\"\xe2\x80\xae\"}]")));
    assert_null(h.in.sql.ptr);
    assert_null(h.drift);
    assert_true(h.in.hash_hidden);
    assert_int_equal(
        held_read(&a, S("{" GOOD ",\"hits\":[],\"drift\":{\"rows\":[\"x\\u0000\"]}}"), &h, NULL), ERR_OK);
    const struct jsonr_value *row = jsonr_first(jsonr_member(h.drift, S("rows")));
    assert_true(str_eq(jsonr_text(row), str_make("x\0", 2)));
}
