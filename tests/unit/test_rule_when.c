/* Conditions of rules: what they see, what they may do, and that one which fails holds the write. */
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;

int setup_rule_when(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_rule_when(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static enum err_code set_rule(const char *action, const char *when)
{
    char body[4000];
    op_fixture_sql(&f, "DELETE FROM _sys_rule");
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"action\":\"allow\",\"tableGlob\":\"none\",\"order\":1}"), NULL);
    str_print(body, sizeof body, "{\"action\":\"%s\",\"when\":\"%s\"}", action, when);
    return op_fixture_run(&f, WIRE_OP_RULE_SET, str_of(body), NULL);
}

static void rule(const char *action, const char *when)
{
    if (set_rule(action, when) != ERR_OK)
        fail_msg("%s: %.*s", when, STR_ARG(f.out));
}

static enum err_code query(const char *sql)
{
    char body[2000];
    str_print(body, sizeof body, "{\"sql\":\"%s\",\"agent\":\"bot-7\",\"reason\":\"tidy\"}", sql);
    return op_fixture_run(&f, WIRE_OP_QUERY, str_of(body), NULL);
}

static void fresh(void)
{
    op_fixture_sql(&f,
        "DELETE FROM _sys_rule; DROP TABLE IF EXISTS lines; DROP TABLE IF EXISTS people; DROP TABLE IF "
        "EXISTS gone;"
        "DELETE FROM _sys_proposal;"
        "DELETE FROM _sys_proposal_part; DELETE FROM _sys_proposal_row; DELETE FROM _sys_proposal_table;"
        "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, balance INT, photo BLOB);"
        "CREATE TABLE lines (id INTEGER PRIMARY KEY, person REFERENCES people ON DELETE CASCADE);"
        "CREATE TABLE gone (a); DROP TABLE IF EXISTS empty; CREATE TABLE empty (a);"
        "DROP TABLE IF EXISTS words; CREATE VIRTUAL TABLE words USING fts5 (w);"
        "INSERT INTO words VALUES ('a'), ('b'), ('c');"
        "DROP TABLE IF EXISTS made; DROP TABLE IF EXISTS sums;"
        "CREATE TABLE sums (id INTEGER PRIMARY KEY, qty INT, total AS (qty * 10), kept AS (qty * 10) STORED);"
        "INSERT INTO sums (id, qty) VALUES (1, 1);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
        " INSERT INTO people SELECT i, 'p' || i, 100, x'00ff' FROM n;"
        "INSERT INTO lines VALUES (1, 1), (2, 1), (3, 2); INSERT INTO gone VALUES (1), (2), (3)");
}

/* A deny rule whose condition is `when`: is it true for this write? The write is undone. */
static void expect_when(const char *when, const char *sql, bool wanted)
{
    fresh();
    rule("deny", when);
    enum err_code code = query(sql);
    if (code != (wanted ? ERR_RULE : ERR_OK))
        fail_msg("%s\n%s\n%.*s", when, sql, STR_ARG(f.out));
}

void test_rule_when__sees_what_was_done(void **state)
{
    static const struct {
        const char *when, *sql;
        bool wanted;
    } rows[] = {
        {"(SELECT count(*) FROM changes) = 20", "UPDATE people SET balance = balance + 1", true},
        {"(SELECT sum(row_count) FROM effects WHERE op = 'update') > 19", "UPDATE people SET balance = 0",
            true},
        {"(SELECT sum(row_count) FROM effects WHERE op = 'update') > 20", "UPDATE people SET balance = 0",
            false},
        {"EXISTS (SELECT 1 FROM changes WHERE json_type(new, '$.email') IS NOT NULL)",
            "UPDATE people SET email = 'x' WHERE id = 1", true},
        {"EXISTS (SELECT 1 FROM changes WHERE json_type(new, '$.email') IS NOT NULL)",
            "UPDATE people SET balance = 1 WHERE id = 1", false},
        {"(SELECT sum(new ->> 'balance' - old ->> 'balance') FROM changes WHERE table_name = 'people') > "
         "1000",
            "UPDATE people SET balance = balance + 100", true},
        {"(SELECT sum(new ->> 'balance' - old ->> 'balance') FROM changes WHERE table_name = 'people') > "
         "1000",
            "UPDATE people SET balance = balance + 10", false},
        {"EXISTS (SELECT 1 FROM changes WHERE indirect AND op = 'delete' AND table_name = 'lines')",
            "DELETE FROM people WHERE id = 1", true},
        {"EXISTS (SELECT 1 FROM changes WHERE indirect AND op = 'delete' AND table_name = 'lines')",
            "DELETE FROM lines WHERE id = 1", false},
        {"(SELECT max(share_of_table) FROM effects) > 0.1", "DELETE FROM people WHERE id IN (5, 6, 7)", true},
        {"(SELECT max(share_of_table) FROM effects) > 0.1", "DELETE FROM people WHERE id IN (5, 6)", false},
        {"(SELECT max(share_of_table) FROM effects) > 0.1", "INSERT INTO people (email) VALUES ('a'), ('b')",
            false},
        {"(SELECT share_of_table FROM effects WHERE op = 'delete') = 1", "DELETE FROM gone", true},
        {"(SELECT pk ->> 'id' FROM changes) = 5 AND (SELECT new IS NULL AND old ->> 'email' = 'p5' FROM "
         "changes)",
            "DELETE FROM people WHERE id = 5", true},
        {"(SELECT old ->> 'id' = 5 AND json_type(old, '$.email') IS NULL FROM changes)",
            "UPDATE people SET balance = 1 WHERE id = 5", true},
        {"(SELECT old ->> '$.photo.$blob' FROM changes) = 'AP8='", "DELETE FROM people WHERE id = 5", true},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'schema')", "ALTER TABLE people ADD COLUMN more", true},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'schema')", "UPDATE people SET balance = 0", false},
        {"(SELECT row_count FROM effects WHERE op = 'delete' AND table_name = 'gone') = 3", "DROP TABLE gone",
            true},
        {"(SELECT row_count FROM effects WHERE op = 'delete' AND table_name = 'gone') > 3", "DROP TABLE gone",
            false},
        {"(SELECT row_count FROM effects WHERE op = 'insert') = 3", "CREATE TABLE made AS SELECT * FROM gone",
            true},
        {"(SELECT agent || reason || role || token_id FROM caller) = 'bot-7tidyadmintok_test'",
            "UPDATE people SET balance = 0", true},
        {"abs(unixepoch('now') - unixepoch()) < 5 AND unixepoch() > 1000000000",
            "UPDATE people SET balance = 0", true},
        {"(SELECT new ->> 'balance' FROM changes) > 1000000",
            "UPDATE people SET balance = 9e999 WHERE id = 1", true},
        {"(SELECT new ->> 'balance' FROM changes) < -1000000",
            "UPDATE people SET balance = -9e999 WHERE id = 1", true},
        {"(SELECT json_type(new, '$.balance') = 'real' FROM changes)",
            "UPDATE people SET balance = 9e999 WHERE id = 1", true},
        {"(SELECT new LIKE '%:-0.0}' FROM changes)", "UPDATE people SET photo = -0.0 WHERE id = 1", true},
        {"(SELECT new ->> '$.email.$text' FROM changes) = '/0E='",
            "UPDATE people SET email = CAST(x'ff41' AS TEXT) WHERE id = 1", true},
        {"(SELECT new ->> '$.email.$text' FROM changes) = 'YQBi'",
            "UPDATE people SET email = 'a' || char(0) || 'b' WHERE id = 1", true},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'schema')", "ALTER TABLE empty RENAME TO made", true},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'schema')", "ALTER TABLE gone RENAME TO made", true},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'schema')", "DROP TABLE words", true},
        {"(SELECT row_count FROM effects WHERE op = 'delete') = 3", "DROP TABLE words", true},
        {"NULL", "UPDATE people SET balance = 0", false},
        {"(SELECT count(*) FROM effects) = 0 AND (SELECT count(*) FROM changes) = 0",
            "UPDATE people SET balance = 0 WHERE id = 99", true},
        {"(SELECT count(*) FROM json_each('[1,2]')) = 2", "DELETE FROM gone", true},
        {"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n) "
         "= 15",
            "DELETE FROM gone", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_when(rows[i].when, rows[i].sql, rows[i].wanted);
}

/* The first that is true decides; glob and condition must both hold. */
void test_rule_when__and_a_glob(void **state)
{
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_RULE_SET,
        S("{\"tableGlob\":\"people\",\"action\":\"allow\",\"when\":\"(SELECT sum(row_count) FROM effects) < "
          "3\"}"),
        NULL);
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"tableGlob\":\"people\",\"action\":\"deny\"}"), NULL);
    assert_int_equal(query("UPDATE people SET balance = 0 WHERE id < 3"), ERR_OK);
    assert_int_equal(query("UPDATE people SET balance = 7 WHERE id < 4"), ERR_RULE);
    assert_int_equal(query("DELETE FROM gone"), ERR_OK);
}

/* Whatever cannot be answered asks a person. */
void test_rule_when__that_fails_holds_the_write(void **state)
{
    static const struct {
        const char *when, *sql;
    } rows[] = {
        {"(SELECT abs(-9223372036854775807 - 1) FROM changes)", "UPDATE people SET balance = 0"},
        {"(SELECT json('no json') FROM changes)", "UPDATE people SET balance = 0"},
        {"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)",
            "UPDATE people SET balance = 0"},
        {"length(zeroblob(9000000)) > (SELECT count(*) FROM changes)", "UPDATE people SET balance = 0"},
        {"EXISTS (SELECT 1 FROM changes WHERE op = 'delete')", "DROP TABLE gone"},
        {"EXISTS (SELECT 1 FROM changes WHERE op = 'delete')", "DROP TABLE words"},
        {"EXISTS (SELECT 1 FROM changes WHERE new ->> 'total' > 100)", "UPDATE sums SET qty = 1000"},
        {"EXISTS (SELECT 1 FROM changes WHERE new ->> '$.kept' > 100)",
            "INSERT INTO sums (qty) VALUES (1000)"},
        {"EXISTS (SELECT 1 FROM changes WHERE old ->> 'total' > 100)", "DELETE FROM sums"},
        {"EXISTS (SELECT 1 FROM changes, json_each(new) AS e WHERE e.value > 1000)",
            "UPDATE sums SET qty = 1000"},
        {"EXISTS (SELECT 1 FROM changes WHERE op = 'delete')", "ALTER TABLE gone RENAME TO made"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fresh();
        rule("allow", rows[i].when);
        enum err_code code = query(rows[i].sql);
        if (!f.head.held || code == ERR_OK)
            fail_msg("%s: %.*s", rows[i].when, STR_ARG(f.out));
        assert_true(op_json_text(op_fixture_json(&f), "hits/0/problem")[0] != '\0');
        assert_string_equal(
            op_fixture_value(&f, "SELECT sum(balance) + (SELECT count(*) FROM gone) FROM people"), "2003");
    }
}

/* A table of the same text is another one: whatever its rows were, they are gone. */
void test_rule_when__sees_what_took_the_place_of_another(void **state)
{
    static const struct {
        const char *when;
        bool held; /* it cannot be answered */
    } whens[] = {
        {"EXISTS (SELECT 1 FROM changes WHERE old IS NOT NULL)", true},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'schema')", false},
        {"EXISTS (SELECT 1 FROM effects WHERE op = 'delete' AND table_name = 'gone')", false},
        {"(SELECT sum(row_count) FROM effects WHERE op = 'delete') = 3", false},
        {"(SELECT max(share_of_table) FROM effects) > 0.1", false},
    };
    static const char *const SWAPS[] = {
        "{\"sql\":\"DROP TABLE gone\"},{\"sql\":\"CREATE TABLE gone (a)\"}",
        "{\"sql\":\"ALTER TABLE gone RENAME TO made\"},{\"sql\":\"CREATE TABLE gone (a)\"},"
        "{\"sql\":\"DROP TABLE made\"}",
        "{\"sql\":\"CREATE TABLE made (a)\"},{\"sql\":\"DROP TABLE gone\"},"
        "{\"sql\":\"ALTER TABLE made RENAME TO gone\"}",
        "{\"sql\":\"ALTER TABLE gone RENAME TO made\"},{\"sql\":\"ALTER TABLE empty RENAME TO gone\"},"
        "{\"sql\":\"ALTER TABLE made RENAME TO empty\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SWAPS) * ARRAY_LEN(whens) * 2; i++) {
        size_t at = i / 2 % ARRAY_LEN(whens);
        char body[1000];
        fresh();
        rule("deny", whens[at].when);
        str_print(body, sizeof body, "{\"transaction\":%s,\"statements\":[%s]}", i % 2 ? "true" : "false",
            SWAPS[i / 2 / ARRAY_LEN(whens)]);
        enum err_code code = op_fixture_run(&f, WIRE_OP_BATCH, str_of(body), NULL);
        if (whens[at].held ? !f.head.held : code != ERR_RULE)
            fail_msg("%s\n%s\n%.*s", whens[at].when, body, STR_ARG(f.out));
        assert_string_equal(op_fixture_value(&f, "SELECT sum(a) FROM gone"), "6");
    }
}

/* The values go, though the rows stay. */
void test_rule_when__sees_a_column_go(void **state)
{
    (void)state;
    expect_when("(SELECT row_count FROM effects WHERE op = 'update') = 20",
        "ALTER TABLE people DROP COLUMN photo", true);
    expect_when("(SELECT max(share_of_table) FROM effects) = 1", "ALTER TABLE people DROP balance", true);
    fresh();
    rule("deny", "EXISTS (SELECT 1 FROM changes WHERE old IS NOT NULL)");
    (void)query("ALTER TABLE people DROP COLUMN photo");
    assert_true(f.head.held);
    op_fixture_sql(&f, "DELETE FROM lines; DELETE FROM people");
    assert_int_equal(query("ALTER TABLE people DROP COLUMN photo"), ERR_OK); /* it held none */
}

void test_rule_when__is_refused_when_it_is_stored(void **state)
{
    static const struct {
        const char *when, *why;
    } rows[] = {
        {"(SELECT 1 FROM people)", "no such table: people"},
        {"(SELECT 1 FROM sqlite_schema)", "not authorized"},
        {"(SELECT 1 FROM pragma_table_info('people'))", ""},
        {"(SELECT 1 FROM _sys_rule)", "server's own names"},
        {"(SELECT count(*) FROM sqlite_schema)", "not authorized"},
        {"(SELECT count(*) FROM pragma_database_list)", ""},
        {"1; DELETE FROM people", "semicolon"},
        {"1) OR (1", ""},
        {"1)) --", ""},
        {"load_extension('x')", ""},
        {"writefile('a','b')", "no such function"},
        {"fts3_tokenizer('a')", ""},
        {"sqlite_compileoption_used('X')", ""},
        {":x", "parameter"},
        {"?1", "parameter"},
        {":auth_tenant = 1", ""},
        {"(SELECT missing FROM changes)", "no such column: missing, at position 8"},
        {"(SELECT 1, 2)", ""},
        {"(DELETE FROM changes)", ""},
        {" ", ""},
        {"'", "quote"},
        {"count(*) > 1", "misuse of aggregate"},
        {"changes > 1", "no such column"},
        {"(SELECT randomblob(1) FROM main.x)", ""},
    };
    (void)state;
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (set_rule("deny", rows[i].when) != ERR_INVALID)
            fail_msg("%s: %.*s", rows[i].when, STR_ARG(f.out));
        assert_string_equal(op_json_text(op_fixture_json(&f), "pointer"), "/when");
        if (!strstr(f.error.ptr, rows[i].why))
            fail_msg("%s: %s", rows[i].when, f.error.ptr);
    }
    assert_string_equal(
        op_fixture_value(&f, "SELECT count(*) FROM _sys_rule WHERE condition IS NOT NULL"), "0");
    assert_int_equal(query("UPDATE people SET balance = 0"), ERR_OK);
}

/* A generated column is in the way of nobody who does not ask for it. */
void test_rule_when__reads_beside_generated_columns(void **state)
{
    (void)state;
    expect_when("(SELECT new ->> 'qty' FROM changes) = 1000", "UPDATE sums SET qty = 1000", true);
    expect_when("(SELECT new ->> 'qty' FROM changes) = 1000", "UPDATE sums SET qty = 100", false);
    expect_when("(SELECT new ->> 'subtotal' IS NULL FROM changes)", "UPDATE sums SET qty = 100", true);
    expect_when("EXISTS (SELECT 1 FROM changes WHERE table_name = 'people' AND new ->> 'total' IS NULL)",
        "UPDATE people SET balance = 0", true);
}

/* What it is told is the write alone: no rows of other tables, and nothing is left behind for the next. */
void test_rule_when__forgets(void **state)
{
    (void)state;
    fresh();
    rule("deny", "(SELECT count(*) FROM changes) <> 1");
    assert_int_equal(query("DELETE FROM gone WHERE a = 1"), ERR_OK);
    assert_int_equal(query("DELETE FROM gone WHERE a > 1"), ERR_RULE);
    assert_int_equal(query("DELETE FROM gone WHERE a = 2"), ERR_OK);
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"DELETE FROM people\"}"), NULL);
    assert_string_equal(op_json_text(op_fixture_json(&f), "decision"), "deny");
    op_fixture_ok(&f, WIRE_OP_PROPOSE, S("{\"sql\":\"DELETE FROM people WHERE id = 9\"}"), NULL);
    assert_string_equal(op_json_text(op_fixture_json(&f), "decision"), "allow");
}
