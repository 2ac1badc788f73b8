/* Invariants on a real engine: no write ends with one broken. */
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;

int setup_invariant(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_invariant(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void drop_all(void)
{
    for (;;) {
        char id[60];
        op_fixture_ok(&f, WIRE_OP_INVARIANT_LIST, STR_EMPTY, NULL);
        if (!op_json_at(op_fixture_json(&f), "0"))
            return;
        str_print(id, sizeof id, "%s", op_json_text(op_fixture_json(&f), "0/id"));
        const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
        op_fixture_ok(&f, WIRE_OP_INVARIANT_DROP, STR_EMPTY, args);
    }
}

static void fresh(void)
{
    f.role = WIRE_ROLE_ADMIN;
    f.claims = STR_EMPTY;
    f.tables = NULL;
    drop_all();
    op_fixture_sql(&f,
        "DROP TABLE IF EXISTS moves; DROP TABLE IF EXISTS accounts; DROP TABLE IF EXISTS notes; DROP TABLE "
        "IF EXISTS old;"
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INT); CREATE TABLE notes (body, tenant);"
        "CREATE TABLE moves (account REFERENCES accounts ON DELETE CASCADE, amount INT);"
        "CREATE TRIGGER moved AFTER INSERT ON moves BEGIN"
        " UPDATE accounts SET balance = balance + NEW.amount WHERE id = NEW.account; END;"
        "INSERT INTO accounts VALUES (1, 100), (2, 50)");
}

static void keep_positive(void)
{
    op_fixture_ok(&f, WIRE_OP_INVARIANT_SET,
        S("{\"name\":\"solvent\",\"sql\":\"SELECT id, balance FROM accounts WHERE balance < "
          "0\",\"note\":\"no credit\"}"),
        NULL);
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

void test_invariant__undoes_what_breaks_it(void **state)
{
    (void)state;
    fresh();
    keep_positive();
    assert_int_equal(query("UPDATE accounts SET balance = balance - 60"), ERR_INVARIANT);
    assert_int_equal(f.head.status, 409);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "code"), "invariant");
    assert_string_equal(op_json_text(v, "invariant/name"), "solvent");
    assert_string_equal(op_json_text(v, "invariant/columns/1"), "balance");
    assert_int_equal(op_json_int(v, "invariant/rows/0/1"), -10);
    assert_int_equal(jsonr_count(op_json_at(v, "invariant/rows")), 1);
    assert_non_null(strstr(f.error.ptr, "no credit"));
    finds("SELECT sum(balance) FROM accounts", "150");
    assert_int_equal(query("INSERT INTO moves VALUES (2, -51)"), ERR_INVARIANT); /* by a trigger */
    assert_int_equal(query("INSERT INTO moves VALUES (2, -50)"), ERR_OK);
    assert_int_equal(query("INSERT INTO notes VALUES (1, 2)"), ERR_OK);
    struct str part =
        S("{\"statements\":[{\"sql\":\"UPDATE accounts SET balance = -1\"},{\"sql\":\"nonsense\"}]}");
    assert_int_equal(op_fixture_run(&f, WIRE_OP_BATCH, part, NULL), ERR_INVARIANT); /* nothing of it stays */
    finds("SELECT sum(balance) FROM accounts", "100");
    struct str mended = S("{\"statements\":[{\"sql\":\"UPDATE accounts SET balance = -1 WHERE id = 1\"},"
                          "{\"sql\":\"UPDATE accounts SET balance = 9 WHERE id = 1\"}]}");
    op_fixture_ok(&f, WIRE_OP_BATCH, mended, NULL); /* what counts is the end of the call */
    const struct op_arg args[] = {{"format", "csv"}, {"table", "accounts"}, {NULL, NULL}};
    assert_int_equal(op_fixture_run(&f, WIRE_OP_IMPORT, S("id,balance\n7,-7\n"), args), ERR_INVARIANT);
    finds("SELECT count(*) FROM accounts", "2");
}

void test_invariant__proposals_tell_and_apply_obeys(void **state)
{
    char body[200];
    (void)state;
    fresh();
    keep_positive();
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"UPDATE accounts SET balance = -5\"}"), NULL);
    assert_string_equal(op_json_text(op_fixture_json(&f), "flags/brokenInvariants/0"), "solvent");
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}",
        op_json_text(op_fixture_json(&f), "executionToken"));
    assert_int_equal(op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL), ERR_INVARIANT);
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"UPDATE accounts SET balance = 5\"}"), NULL);
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&f), "flags/brokenInvariants")), 0);
    finds("SELECT sum(balance) FROM accounts", "150");
}

/* What it can no longer ask about is not let through. */
void test_invariant__that_cannot_be_asked_stops_the_write(void **state)
{
    (void)state;
    fresh();
    keep_positive();
    assert_int_equal(query("ALTER TABLE accounts RENAME TO old"), ERR_INVARIANT);
    assert_int_equal(query("ALTER TABLE accounts RENAME COLUMN balance TO sum"), ERR_INVARIANT);
    assert_int_equal(query("DROP TABLE accounts"), ERR_INVARIANT);
    assert_int_equal(query("ALTER TABLE accounts ADD COLUMN more"), ERR_OK);
    finds("SELECT count(*) FROM accounts", "2");
}

/* A slow one ends by itself, long before the call's deadline, and the engine goes on as before. */
void test_invariant__has_a_time_of_its_own(void **state)
{
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_INVARIANT_SET,
        S("{\"name\":\"steps\",\"sql\":\"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
          "WHERE i < "
          "(SELECT max(balance) FROM accounts)) SELECT i FROM n WHERE i < 0\"}"),
        NULL);
    assert_int_equal(query("UPDATE accounts SET balance = 1000000000 WHERE id = 1"), ERR_INVARIANT);
    assert_non_null(strstr(f.error.ptr, "\"steps\" took too long"));
    finds("SELECT max(balance) FROM accounts", "100");
    assert_int_equal(query("CREATE VIEW n AS SELECT 1"), ERR_INVARIANT); /* nobody knows which is meant */
    assert_int_equal(query("CREATE VIEW m AS SELECT 1"), ERR_OK);
    assert_int_equal(query("DROP VIEW m"), ERR_OK);
    assert_int_equal(query("UPDATE accounts SET balance = 1000 WHERE id = 1"), ERR_OK);
}

void test_invariant__is_stored_when_it_holds(void **state)
{
    static const struct {
        const char *body;
        enum err_code code;
        const char *at;
    } rows[] = {
        {"{\"name\":\"a\",\"sql\":\"SELECT 1\"}", ERR_INVARIANT, NULL},
        {"{\"name\":\"a\",\"sql\":\"SELECT 1 FROM nowhere\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"DELETE FROM accounts\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"DELETE FROM accounts RETURNING id\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"SELECT 1 WHERE 0; SELECT 2\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"SELECT 1 FROM _sys_rule\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"SELECT ?1 WHERE 0\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"PRAGMA foreign_key_check\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"EXPLAIN SELECT 1\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\" \"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"SELECT load_extension('x')\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"\",\"sql\":\"SELECT 1 WHERE 0\"}", ERR_INVALID, "/name"},
        {"{\"name\":\"SOLVENT\",\"sql\":\"SELECT 1 WHERE 0\"}", ERR_CONFLICT, NULL},
        {"{\"sql\":\"SELECT 1 WHERE 0\"}", ERR_INVALID, "/name"},
        {"{\"name\":\"a\"}", ERR_INVALID, "/sql"},
        {"{\"name\":\"a\",\"sql\":\"SELECT 1 WHERE 0\",\"more\":1}", ERR_INVALID, "/more"},
    };
    (void)state;
    fresh();
    keep_positive();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (op_fixture_run(&f, WIRE_OP_INVARIANT_SET, str_of(rows[i].body), NULL) != rows[i].code)
            fail_msg("%s: %.*s", rows[i].body, STR_ARG(f.out));
        if (rows[i].at)
            assert_string_equal(op_json_text(op_fixture_json(&f), "pointer"), rows[i].at);
    }
    finds("SELECT count(*) FROM _sys_invariant", "1");
    f.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&f, WIRE_OP_INVARIANT_LIST, STR_EMPTY, NULL), ERR_FORBIDDEN);
}

void test_invariant__kept_by_people(void **state)
{
    char id[60];
    (void)state;
    fresh();
    f.token_id = S("ses_lin");
    keep_positive();
    str_print(id, sizeof id, "%s", op_json_text(op_fixture_json(&f), "id"));
    f.token_id = S("tok_test");
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
    assert_int_equal(op_fixture_run(&f, WIRE_OP_INVARIANT_DROP, STR_EMPTY, args), ERR_FORBIDDEN);
    assert_int_equal(query("UPDATE accounts SET balance = -1"), ERR_INVARIANT);
    f.token_id = S("ses_ada");
    op_fixture_ok(&f, WIRE_OP_INVARIANT_DROP, STR_EMPTY, args);
    f.token_id = S("tok_test");
}

/* Its rows would go on where it does not look. */
void test_invariant__kept_by_people_is_not_dodged_by_another_table(void **state)
{
    static const struct {
        const char *first, *more;
        bool passes;
    } rows[] = {
        {"ALTER TABLE accounts RENAME TO old", "CREATE TABLE accounts (id, balance)", false},
        {"; alter table \\\"main\\\".[Accounts] rename to old", "CREATE TABLE accounts (id, balance)", false},
        {"ALTER TABLE accounts RENAME TO old", "CREATE VIEW accounts AS SELECT 1 AS id, 2 AS balance", false},
        {"ALTER TABLE accounts RENAME TO old",
            "ALTER TABLE notes RENAME TO accounts\"},"
            "{\"sql\":\"ALTER TABLE accounts RENAME body TO id\"},{\"sql\":\"ALTER TABLE accounts RENAME "
            "tenant TO "
            "balance",
            false},
        {"ALTER TABLE accounts RENAME TO old",
            "CREATE TABLE accounts (id, balance)\"},{\"sql\":\"INSERT INTO accounts "
            "SELECT * FROM old\"},{\"sql\":\"DROP TABLE old",
            true},
        {"ALTER TABLE accounts RENAME TO old", "ALTER TABLE old RENAME TO accounts", true},
        {"ALTER TABLE notes RENAME TO old", "CREATE TABLE notes (body, tenant)", true},
    };
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        char body[600];
        fresh();
        f.token_id = S("ses_lin");
        keep_positive();
        f.token_id = S("tok_test");
        str_print(body, sizeof body,
            "{\"transaction\":%s,\"statements\":[{\"sql\":\"%s\"},{\"sql\":\"%s\"}]}",
            i % 2 ? "true" : "false", rows[i / 2].first, rows[i / 2].more);
        enum err_code code = op_fixture_run(&f, WIRE_OP_BATCH, str_of(body), NULL);
        if (code != (rows[i / 2].passes ? ERR_OK : ERR_INVARIANT))
            fail_msg("%s: %.*s", body, STR_ARG(f.out));
        assert_string_equal(op_fixture_value(&f, "SELECT sum(balance) FROM accounts"), "150");
        f.token_id = S("ses_lin");
        if (!rows[i / 2].passes && i / 2 != 2)
            op_fixture_ok(&f, WIRE_OP_BATCH, str_of(body), NULL); /* people may */
        op_fixture_sql(&f, "DROP TABLE IF EXISTS accounts");
    }
    drop_all();
    f.token_id = S("tok_test");
}

/* Under row-level security it sees every row, when it says which table it means, and tells none. */
void test_invariant__under_row_level_security(void **state)
{
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_INVARIANT_SET,
        S("{\"name\":\"few\",\"sql\":\"SELECT count(*) FROM main.notes HAVING count(*) > 2\"}"), NULL);
    op_fixture_ok(&f, WIRE_OP_POLICY_SET,
        S("{\"name\":\"own\",\"tableName\":\"notes\",\"using\":\"tenant = :auth_tenant\"}"), NULL);
    assert_int_equal(query("INSERT INTO notes VALUES (1, 'b'), (2, 'b')"), ERR_OK);
    f.role = WIRE_ROLE_READWRITE;
    f.claims = S("{\"tenant\":\"a\"}");
    assert_int_equal(query("INSERT INTO notes VALUES (1, 'a')"), ERR_INVARIANT);
    assert_int_equal(jsonr_count(op_json_at(op_fixture_json(&f), "invariant/rows")), 0);
    f.role = WIRE_ROLE_ADMIN;
    f.claims = STR_EMPTY;
    assert_int_equal(query("DELETE FROM notes WHERE body = 1"), ERR_OK);
    f.role = WIRE_ROLE_READWRITE;
    f.claims = S("{\"tenant\":\"a\"}");
    assert_int_equal(query("INSERT INTO notes VALUES (1, 'a')"), ERR_OK);
    f.role = WIRE_ROLE_ADMIN;
    f.claims = STR_EMPTY;
    op_fixture_ok(&f, WIRE_OP_INVARIANT_SET,
        S("{\"name\":\"a vague one\",\"sql\":\"SELECT count(*) FROM notes HAVING count(*) > 2\"}"), NULL);
    f.role = WIRE_ROLE_READWRITE;
    f.claims = S("{\"tenant\":\"a\"}");
    assert_int_equal(query("INSERT INTO notes VALUES (5, 'a')"), ERR_INVARIANT);
    assert_non_null(strstr(f.error.ptr, "main.<table>"));
    f.claims = STR_EMPTY;
    f.role = WIRE_ROLE_ADMIN;
    op_fixture_ok(&f, WIRE_OP_ROW_SECURITY_SET, S("{\"tableName\":\"notes\",\"enabled\":false}"), NULL);
}
