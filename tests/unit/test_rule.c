/* Rules on a real engine: what they match, what they let through, refuse and hold. */
#include "engine/rule.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;

int setup_rule(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_rule(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void drop_rules(void)
{
    const struct op_arg none[] = {{NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_RULE_LIST, STR_EMPTY, none);
    for (size_t left = jsonr_count(op_fixture_json(&f)); left > 0; left--) {
        char id[60];
        op_fixture_ok(&f, WIRE_OP_RULE_LIST, STR_EMPTY, none);
        str_print(id, sizeof id, "%s", op_json_text(op_fixture_json(&f), "0/id"));
        const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
        op_fixture_ok(&f, WIRE_OP_RULE_DROP, STR_EMPTY, args);
    }
}

static void fresh(void)
{
    f.role = WIRE_ROLE_ADMIN;
    f.token_id = S("tok_test");
    f.tables = NULL;
    f.idempotency_key = STR_EMPTY;
    drop_rules();
    op_fixture_sql(&f,
        "PRAGMA foreign_keys = OFF; DROP TABLE IF EXISTS lines; DROP TABLE IF EXISTS orders; DROP TABLE IF "
        "EXISTS log;"
        "DROP TABLE IF EXISTS production_users; DROP TABLE IF EXISTS made; DELETE FROM _sys_proposal;"
        "DELETE FROM _sys_proposal_part; DELETE FROM _sys_proposal_row; DELETE FROM _sys_proposal_table;"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT);"
        "CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id REFERENCES orders ON DELETE CASCADE);"
        "CREATE TABLE production_users (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE log (what);"
        "CREATE TRIGGER noted AFTER UPDATE ON orders BEGIN INSERT INTO log VALUES (NEW.id); END;"
        "INSERT INTO orders VALUES (1, 'open'), (2, 'open'); INSERT INTO lines VALUES (1, 1), (2, 1), (3, "
        "2);");
}

static const char *rule_id(void)
{
    return op_json_text(op_fixture_json(&f), "id");
}

static void rule(const char *body)
{
    op_fixture_ok(&f, WIRE_OP_RULE_SET, str_of(body), NULL);
}

static enum err_code query(const char *sql)
{
    char body[1000];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    return op_fixture_run(&f, WIRE_OP_QUERY, str_of(body), NULL);
}

static void finds(const char *sql, const char *wanted)
{
    assert_string_equal(op_fixture_value(&f, sql), wanted);
}

void test_rule__globs(void **state)
{
    static const struct {
        const char *glob, *name;
        bool matches;
    } rows[] = {{"production_*", "production_users", true}, {"production_*", "PRODUCTION_", true},
        {"production_*", "production", false}, {"*", "", true}, {"*", "a", true}, {"?", "a", true},
        {"?", "", false}, {"?", "\xc3\xa4", true}, {"?", "ab", false}, {"*_log", "a_log_log", true},
        {"*_log", "a_log_", false}, {"a*b*c", "aXbXbc", true}, {"a*b*c", "aXbXb", false}, {"[a]", "a", false},
        {"[a]", "[A]", true}, {"", "", true}, {"", "a", false}, {"**a", "bba", true}};
    char hard[201], name[201];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool got = rule_glob_matches(str_of(rows[i].glob), str_of(rows[i].name));
        if (got != rows[i].matches)
            fail_msg("%s on %s: %d", rows[i].glob, rows[i].name, got);
    }
    for (size_t i = 0; i < 200; i++) { /* ends, although each star could stand anywhere */
        hard[i] = i % 2 ? '*' : 'a';
        name[i] = 'a';
    }
    hard[200] = name[200] = '\0';
    hard[199] = 'b';
    assert_false(rule_glob_matches(str_of(hard), str_of(name)));
}

void test_rule__denies_what_is_touched(void **state)
{
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"production_*\",\"action\":\"deny\",\"note\":\"ask Lin\"}");
    assert_int_equal(query("INSERT INTO production_users VALUES (1, 'a')"), ERR_RULE);
    assert_int_equal(f.head.status, 403);
    assert_int_equal(f.head.held, 0);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "code"), "denied_by_rule");
    assert_string_equal(op_json_text(v, "hits/0/matchedTable"), "production_users");
    assert_string_equal(op_json_text(v, "hits/0/tableGlob"), "production_*");
    assert_non_null(strstr(op_json_text(v, "error"), "ask Lin"));
    assert_null(op_json_at(v, "approvalToken"));
    finds("SELECT count(*) FROM production_users", "0");
    assert_int_equal(query("DELETE FROM production_users WHERE 0"), ERR_RULE); /* no row, but it was meant */
    assert_int_equal(query("UPDATE Production_Users SET name = 'b'"), ERR_RULE);
    assert_int_equal(query("SELECT * FROM production_users"), ERR_OK);
    assert_int_equal(query("INSERT INTO orders VALUES (9, 'new')"), ERR_OK);
    finds("SELECT status FROM orders WHERE id = 9", "new");
    assert_int_equal(query("ALTER TABLE production_users ADD COLUMN mail"), ERR_RULE);
    assert_int_equal(query("DROP TABLE production_users"), ERR_RULE);
    assert_int_equal(query("CREATE TABLE production_more (a)"), ERR_RULE);
    assert_int_equal(query("CREATE INDEX of_names ON production_users (name)"), ERR_RULE);
    assert_int_equal(query("ALTER TABLE orders RENAME TO production_orders"), ERR_RULE);
    finds("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'production%' OR name = 'of_names'", "1");
}

/* Its name is touched, though it reads as it did. */
void test_rule__denies_what_is_dropped_and_made_again(void **state)
{
    static const char *const TABLES[] = {"lines", "log", "orders"};
    static const char *const ROWS[] = {
        "{\"sql\":\"DROP TABLE lines\"},"
        "{\"sql\":\"CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id REFERENCES orders ON DELETE "
        "CASCADE)\"}",
        "{\"sql\":\"DROP TABLE log\"},{\"sql\":\"CREATE TABLE log (what)\"}",
        "{\"sql\":\"DROP TRIGGER noted\"},{\"sql\":\"CREATE TRIGGER noted AFTER UPDATE ON orders BEGIN "
        "INSERT "
        "INTO log VALUES (NEW.id); END\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        char body[600];
        fresh();
        rule("{\"tableGlob\":\"*\",\"action\":\"deny\"}");
        str_print(body, sizeof body, "{\"transaction\":false,\"statements\":[%s]}", ROWS[i]);
        if (op_fixture_run(&f, WIRE_OP_BATCH, str_of(body), NULL) != ERR_RULE)
            fail_msg("%s: %.*s", ROWS[i], STR_ARG(f.out));
        const char *name = op_json_text(op_fixture_json(&f), "hits/0/matchedTable");
        assert_string_equal(name, TABLES[i]);
        finds("SELECT count(*) FROM orders, lines", "6");
    }
    assert_int_equal(query("CREATE VIRTUAL TABLE made USING fts5(a)"), ERR_RULE); /* which ends the turn */
    assert_string_equal(op_json_text(op_fixture_json(&f), "hits/0/matchedTable"), "made");
}

/* What triggers and foreign keys do counts too. */
void test_rule__sees_what_others_do_to_it(void **state)
{
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"l*\",\"action\":\"deny\"}");
    assert_int_equal(query("UPDATE orders SET status = 'done' WHERE id = 1"), ERR_RULE);
    assert_string_equal(op_json_text(op_fixture_json(&f), "hits/0/matchedTable"), "log");
    assert_int_equal(query("DELETE FROM orders WHERE id = 1"), ERR_RULE);
    assert_string_equal(op_json_text(op_fixture_json(&f), "hits/0/matchedTable"), "lines");
    finds("SELECT (SELECT count(*) FROM log) || (SELECT count(*) FROM lines)", "03");
    assert_int_equal(query("UPDATE orders SET status = 'done' WHERE id = 77"), ERR_OK);
    assert_int_equal(query("INSERT INTO orders VALUES (9, 'new')"), ERR_OK);
}

void test_rule__the_first_that_matches_decides_and_the_strictest_table_wins(void **state)
{
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"orders\",\"action\":\"allow\"}");
    rule("{\"tableGlob\":\"production_*\",\"action\":\"require_reason\"}");
    rule("{\"action\":\"deny\"}");
    char last[60];
    str_print(last, sizeof last, "%s", rule_id());
    assert_int_equal(query("INSERT INTO orders VALUES (9, 'new')"), ERR_OK);
    assert_int_equal(query("INSERT INTO production_users VALUES (1, 'a')"), ERR_REASON);
    assert_string_equal(op_json_text(op_fixture_json(&f), "code"), "reason_required");
    struct str body = S("{\"sql\":\"INSERT INTO production_users VALUES (1, 'a')\",\"reason\":\"asked to\"}");
    op_fixture_ok(&f, WIRE_OP_QUERY, body, NULL);
    assert_int_equal(query("INSERT INTO log VALUES (1)"), ERR_RULE);
    assert_int_equal(query("PRAGMA user_version = 5"), ERR_RULE); /* touches no table: the whole write */
    struct str both = S("{\"statements\":[{\"sql\":\"INSERT INTO orders VALUES (10, 'x')\"},"
                        "{\"sql\":\"INSERT INTO log VALUES (2)\"}],\"transaction\":true}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, both, NULL), ERR_RULE);
    finds("SELECT count(*) FROM orders WHERE id = 10", "0");
    const struct op_arg args[] = {{"id", last}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"order\":1}"), args);
    assert_int_equal(query("INSERT INTO orders VALUES (11, 'x')"), ERR_RULE);
}

static char g_token[100], g_proposal[60];

static void expect_held(enum err_code code)
{
    assert_int_equal(code, ERR_FORBIDDEN);
    assert_int_equal(f.head.status, 403);
    assert_int_equal(f.head.held, 1);
    const struct jsonr_value *v = op_fixture_json(&f);
    str_print(g_token, sizeof g_token, "%s", op_json_text(v, "approvalToken"));
    str_print(g_proposal, sizeof g_proposal, "%s", op_json_text(v, "proposalId"));
    assert_true(str_starts(str_of(g_token), S("appr_")));
}

void test_rule__what_cannot_be_shown_is_held_too_and_says_that_it_stays(void **state)
{
    (void)state;
    fresh();
    rule("{\"action\":\"require_approval\"}");
    expect_held(query("PRAGMA user_version = 5"));
    const struct op_arg args[] = {{"id", g_proposal}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args);
    assert_string_equal(op_json_text(op_fixture_json(&f), "noUndo"),
        "it writes user_version or application_id, which an undo does not put back");
    finds("SELECT user_version FROM pragma_user_version()", "0");
}

void test_rule__holds_for_approval(void **state)
{
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"orders\",\"action\":\"require_approval\",\"approvals\":2,\"approverRole\":"
         "\"owner\"}");
    expect_held(query("UPDATE orders SET status = 'done'"));
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_int_equal(op_json_int(v, "approvals"), 2);
    assert_string_equal(op_json_text(v, "approverRole"), "owner");
    assert_string_equal(op_json_text(v, "action"), "write");
    assert_int_equal(op_json_int(v, "estimatedAffectedRows"), 2);
    assert_string_equal(op_json_text(v, "hits/0/action"), "require_approval");
    assert_string_equal(op_json_text(v, "sql"), "UPDATE orders SET status = 'done'");
    finds("SELECT count(*) FROM orders WHERE status = 'done'", "0");
    finds("SELECT count(*) FROM log", "0");
    finds("SELECT state || (token_hash IS NULL) || (approval IS NOT NULL) FROM _sys_proposal", "pending11");
    const struct op_arg args[] = {{"id", g_proposal}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args);
    v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "decision"), "require_approval");
    assert_string_equal(op_json_text(v, "rules/0/matchedTable"), "orders");
    assert_string_equal(op_json_text(v, "changes/rows/2/before/status"), "open");
    expect_held(query("CREATE INDEX by_status ON orders (status)"));
    assert_string_equal(op_json_text(op_fixture_json(&f), "action"), "schema");
    finds("SELECT count(*) FROM sqlite_schema WHERE name = 'by_status'", "0");
}

void test_rule__the_same_key_finds_what_is_held(void **state)
{
    char first[100];
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"orders\",\"action\":\"require_approval\"}");
    f.idempotency_key = S("once");
    expect_held(query("DELETE FROM orders"));
    str_print(first, sizeof first, "%s", g_token);
    expect_held(query("DELETE FROM orders"));
    assert_string_equal(g_token, first);
    assert_int_equal(query("DELETE FROM orders WHERE id = 1"), ERR_KEY_REUSED);
    f.token_id = S("tok_other");
    expect_held(query("DELETE FROM orders"));
    assert_string_not_equal(g_token, first);
    f.token_id = S("tok_test");
    op_fixture_sql(&f, "UPDATE _sys_proposal SET state = 'applied', decided_at_ms = 99999999999999");
    assert_int_equal(query("DELETE FROM orders"), ERR_CONFLICT);
    op_fixture_sql(&f, "UPDATE _sys_proposal SET state = 'withdrawn'");
    expect_held(query("DELETE FROM orders"));
    assert_string_not_equal(g_token, first);
    f.idempotency_key = STR_EMPTY;
}

/* A batch without a transaction: what was kept is one write. */
void test_rule__a_batch_that_fails_in_the_middle(void **state)
{
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"production_*\",\"action\":\"require_approval\"}");
    rule("{\"tableGlob\":\"log\",\"action\":\"deny\"}");
    struct str kept = S("{\"statements\":[{\"sql\":\"INSERT INTO orders VALUES (5, 'a')\"},"
                        "{\"sql\":\"INSERT INTO orders VALUES (5, 'b')\"}]}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, kept, NULL), ERR_SQL);
    assert_int_equal(op_json_int(op_fixture_json(&f), "statementIndex"), 1);
    finds("SELECT status FROM orders WHERE id = 5", "a");
    struct str held = S("{\"statements\":[{\"sql\":\"INSERT INTO production_users VALUES (5, 'a')\"},"
                        "{\"sql\":\"INSERT INTO orders VALUES (5, 'b')\"}]}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, held, NULL), ERR_CONFLICT);
    assert_non_null(strstr(f.error.ptr, "statement 1"));
    finds("SELECT count(*) FROM production_users", "0");
    struct str denied =
        S("{\"statements\":[{\"sql\":\"INSERT INTO orders VALUES (6, 'a')\"},"
          "{\"sql\":\"INSERT INTO log VALUES (6)\"},{\"sql\":\"INSERT INTO orders VALUES (5, 'b')\"}]}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, denied, NULL), ERR_RULE);
    finds("SELECT count(*) FROM orders WHERE id = 6", "0");
    struct str whole = S("{\"statements\":[{\"sql\":\"INSERT INTO production_users VALUES (7, 'a')\"},"
                         "{\"sql\":\"INSERT INTO production_users VALUES (8, 'b')\"}]}");
    expect_held(op_fixture_run(&f, WIRE_OP_BATCH, whole, NULL));
    assert_string_equal(
        op_json_text(op_fixture_json(&f), "statements/1"), "INSERT INTO production_users VALUES (8, 'b')");
}

void test_rule__a_proposal_tells_and_apply_obeys(void **state)
{
    char token[100], body[200];
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"orders\",\"action\":\"require_approval\"}");
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"DELETE FROM orders WHERE id = 1\"}"), NULL);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "decision"), "require_approval");
    str_print(token, sizeof token, "%s", op_json_text(v, "executionToken"));
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", token);
    expect_held(op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL));
    finds("SELECT count(*) FROM orders", "2");
    finds("SELECT count(*) FROM _sys_proposal", "1");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL), ERR_NOT_FOUND);
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"DELETE FROM lines WHERE id = 1\"}"), NULL);
    v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "decision"), "allow");
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", op_json_text(v, "executionToken"));
    rule("{\"tableGlob\":\"other\",\"action\":\"deny\"}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL), ERR_CONFLICT);
    v = op_fixture_json(&f);
    assert_non_null(strstr(op_json_text(v, "error"), "The rules were changed"));
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", op_json_text(v, "proposal/executionToken"));
    op_fixture_ok(&f, WIRE_OP_APPLY, str_of(body), NULL);
    finds("SELECT count(*) FROM lines", "2");
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"CREATE TABLE other (a)\"}"), NULL);
    v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "decision"), "deny");
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", op_json_text(v, "executionToken"));
    assert_int_equal(op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL), ERR_RULE);
}

/* Who stands under a limit reads no rules, and of one that stops him no more than concerns his tables. */
void test_rule__tells_no_more_than_the_caller_may_see(void **state)
{
    static const struct str TABLES[] = {{"orders", 6}, {"log", 3}};
    (void)state;
    fresh();
    rule("{\"tableGlob\":\"lo*\",\"action\":\"deny\",\"note\":\"no\"}");
    f.tables = TABLES;
    f.table_count = 2;
    assert_int_equal(query("UPDATE orders SET status = 'x' WHERE id = 1"), ERR_RULE);
    assert_string_equal(op_json_text(op_fixture_json(&f), "hits/0/matchedTable"), "log");
    f.table_count = 1; /* the guard says no before the rule */
    assert_int_equal(query("UPDATE orders SET status = 'x' WHERE id = 1"), ERR_FORBIDDEN);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_LIST, STR_EMPTY, NULL), ERR_FORBIDDEN);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_SET, S("{\"action\":\"deny\"}"), NULL), ERR_FORBIDDEN);
    f.tables = NULL;
    f.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_DROP, STR_EMPTY, NULL), ERR_FORBIDDEN);
}

void test_rule__is_stored_as_it_was_said_or_not_at_all(void **state)
{
    static const struct {
        const char *body, *at;
    } rows[] = {
        {"{}", "/action"},
        {"{\"action\":\"hold\"}", "/action"},
        {"{\"action\":1}", "/action"},
        {"{\"action\":null}", "/action"},
        {"{\"action\":\"deny\",\"tableGlob\":\"\"}", "/tableGlob"},
        {"{\"action\":\"deny\",\"tableGlob\":7}", "/tableGlob"},
        {"{\"action\":\"deny\",\"note\":\"\"}", "/note"},
        {"{\"action\":\"deny\",\"approvals\":2}", "/approvals"},
        {"{\"action\":\"deny\",\"approverRole\":\"owner\"}", "/approverRole"},
        {"{\"action\":\"require_approval\",\"approvals\":0}", "/approvals"},
        {"{\"action\":\"require_approval\",\"approvals\":11}", "/approvals"},
        {"{\"action\":\"require_approval\",\"approvals\":1.5}", "/approvals"},
        {"{\"action\":\"require_approval\",\"approverRole\":\"king\"}", "/approverRole"},
        {"{\"action\":\"deny\",\"order\":0}", "/order"},
        {"{\"action\":\"deny\",\"order\":null}", "/order"},
        {"{\"action\":\"deny\",\"order\":1e3}", "/order"},
        {"{\"action\":\"deny\",\"id\":\"rule_x\"}", "/id"},
        {"[]", ""},
    };
    (void)state;
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (op_fixture_run(&f, WIRE_OP_RULE_SET, str_of(rows[i].body), NULL) != ERR_INVALID)
            fail_msg("%s: %.*s", rows[i].body, STR_ARG(f.out));
        if (rows[i].at[0])
            assert_string_equal(op_json_text(op_fixture_json(&f), "pointer"), rows[i].at);
    }
    finds("SELECT count(*) FROM _sys_rule", "0");
    rule("{\"action\":\"deny\",\"tableGlob\":\"a\",\"note\":\"n\"}");
    char id[60];
    str_print(id, sizeof id, "%s", rule_id());
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}}, unknown[] = {{"id", "rule_0"}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"note\":null,\"tableGlob\":null}"), args);
    assert_string_equal(op_json_text(op_fixture_json(&f), "before/note"), "n");
    finds("SELECT (note IS NULL) + (table_glob IS NULL) FROM _sys_rule", "2");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_SET, S("{\"note\":\"x\"}"), unknown), ERR_NOT_FOUND);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_DROP, STR_EMPTY, unknown), ERR_NOT_FOUND);
    assert_int_equal(query("INSERT INTO _sys_rule DEFAULT VALUES"), ERR_FORBIDDEN);
    assert_int_equal(query("DELETE FROM _sys_rule"), ERR_FORBIDDEN);
    assert_int_equal(query("DROP TABLE _sys_rule"), ERR_FORBIDDEN);
    assert_int_equal(query("SELECT * FROM _sys_rule"), ERR_FORBIDDEN);
}
