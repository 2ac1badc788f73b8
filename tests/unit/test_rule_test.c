/* What rules would decide, on a real engine: of a write that is not done, of proposals that are kept; and
 * rules that are exchanged all at once. */
#include "base/clock.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;

int setup_rule_test(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

int teardown_rule_test(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static void fresh(void)
{
    op_fixture_fresh(&f,
        "DROP TABLE IF EXISTS orders; DROP TABLE IF EXISTS people; DROP TABLE IF EXISTS made;"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT);"
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);"
        "INSERT INTO orders VALUES (1, 'open'), (2, 'open'); INSERT INTO people VALUES (1, 'ada');");
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, S("{\"rules\":[]}"), NULL);
}

static const char *text(const char *path)
{
    return op_json_text(op_fixture_json(&f), path);
}

static void finds(const char *sql, const char *wanted)
{
    assert_string_equal(op_fixture_value(&f, sql), wanted);
}

/* The message begins with it. */
static void at_pointer(const char *pointer)
{
    struct str message = f.error, first;
    if (!pointer[0])
        return;
    assert_true(str_cut(&message, ':', &first));
    assert_int_equal(first.len, strlen(pointer));
    assert_memory_equal(first.ptr, pointer, first.len);
}

/* So that what is done now has another time than what was done before. */
static void next_millisecond(void)
{
    for (int64_t now = clock_wall_ms(); clock_wall_ms() == now;)
        ;
}

static const char *const TWO = "{\"rules\":[{\"action\":\"deny\",\"tableGlob\":\"orders\",\"order\":100},"
                               "{\"action\":\"require_approval\",\"approvals\":2,\"order\":200}]}";

/* The list is all there is then; what stays is the same rule. */
void test_rule_test__replace(void **state)
{
    char body[500], id[60], made[60], changed[60];
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(TWO), NULL);
    assert_string_equal(text("0/tableGlob"), "orders");
    assert_string_equal(text("1/action"), "require_approval");
    str_print(id, sizeof id, "%s", text("1/id"));
    str_print(made, sizeof made, "%s", text("1/createdAt"));
    str_print(changed, sizeof changed, "%s", text("1/updatedAt"));
    next_millisecond();
    str_print(body, sizeof body,
        "{\"rules\":[{\"action\":\"allow\"},{\"id\":\"%s\",\"action\":\"require_approval\",\"approvals\":2,"
        "\"order\":200}]}",
        id);
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(body), NULL);
    assert_string_equal(text("1/id"), id);
    assert_string_equal(text("1/createdAt"), made);
    assert_string_equal(text("1/updatedAt"), changed);
    finds("SELECT group_concat(position || ' ' || action, ', ') FROM (SELECT * FROM _sys_rule ORDER BY "
          "position)",
        "10 allow, 200 require_approval");
    str_print(body, sizeof body, "{\"rules\":[{\"id\":\"%s\",\"action\":\"deny\"}]}", id);
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(body), NULL);
    assert_string_equal(text("0/createdAt"), made);
    assert_string_not_equal(text("0/updatedAt"), changed);
    finds("SELECT group_concat(action) FROM _sys_rule", "deny");
}

/* Refused as a whole, and the message says which. */
void test_rule_test__replace_refused(void **state)
{
    static const struct {
        const char *body, *pointer;
    } BAD[] = {
        {"{}", "/rules"},
        {"{\"rules\":{}}", "/rules"},
        {"{\"rules\":[{\"action\":\"allow\"},{}]}", "/rules/1/action"},
        {"{\"rules\":[{\"action\":\"forbid\"}]}", "/rules/0/action"},
        {"{\"rules\":[{\"action\":\"deny\",\"approvals\":2}]}", "/rules/0/approvals"},
        {"{\"rules\":[{\"action\":\"deny\",\"tableglob\":\"x\"}]}", "/rules/0/tableglob"},
        {"{\"rules\":[{\"action\":\"deny\",\"order\":5},{\"action\":\"deny\",\"order\":5}]}",
            "/rules/1/order"},
        {"{\"rules\":[{\"action\":\"deny\",\"id\":7}]}", "/rules/0/id"},
    };
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(TWO), NULL);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_REPLACE, str_of(BAD[i].body), NULL), ERR_INVALID);
        at_pointer(BAD[i].pointer);
    }
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_REPLACE,
                         S("{\"rules\":[{\"action\":\"deny\",\"id\":\"rule_none\"}]}"), NULL),
        ERR_NOT_FOUND);
    finds("SELECT group_concat(action) FROM (SELECT action FROM _sys_rule ORDER BY position)",
        "deny,require_approval");
    f.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_REPLACE, S("{\"rules\":[]}"), NULL), ERR_FORBIDDEN);
}

static void propose(const char *sql)
{
    char body[300];
    str_print(body, sizeof body, "{\"sql\":\"%s\",\"reason\":\"why\"}", sql);
    op_fixture_ok(&f, WIRE_OP_PROPOSE, str_of(body), NULL);
}

static int64_t number(const char *path)
{
    return op_json_int(op_fixture_json(&f), path);
}

static size_t differing(const char *body)
{
    op_fixture_ok(&f, WIRE_OP_RULE_REPLAY, str_of(body), NULL);
    return jsonr_count(jsonr_member(op_fixture_json(&f), S("proposals")));
}

static void decides(const char *body, const char *decision, const char *rule)
{
    op_fixture_ok(&f, WIRE_OP_RULE_TEST, str_of(body), NULL);
    assert_string_equal(text("decision"), decision);
    if (rule)
        assert_string_equal(text("hits/0/ruleId"), rule);
    finds("SELECT group_concat(status) FROM orders", "open,open");
    finds("SELECT count(*) FROM _sys_proposal", "0");
}

#define ALL "\"write\":{\"sql\":\"UPDATE orders SET status = 'x'\"}"

/* By the rules given, under the names given; else by those stored. Neither writes nor stores. */
void test_rule_test__write(void **state)
{
    (void)state;
    fresh();
    decides("{" ALL "}", "allow", NULL);
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(TWO), NULL);
    decides("{" ALL "}", "deny", NULL);
    decides("{" ALL ",\"rules\":[]}", "allow", NULL);
    decides("{" ALL ",\"rules\":[{\"id\":\"100-mine\",\"action\":\"require_approval\"}]}", "require_approval",
        "100-mine");
    decides("{" ALL ",\"rules\":[{\"id\":\"w\",\"action\":\"require_reason\"}]}", "require_reason", "w");
    decides("{" ALL ",\"rules\":[{\"id\":\"w\",\"action\":\"require_reason\"}],\"reason\":\"asked for\"}",
        "allow", "w");
    decides(
        "{\"write\":{\"statements\":[{\"sql\":\"DELETE FROM people\"},{\"sql\":\"DELETE FROM orders\"}]}}",
        "deny", NULL);
    decides("{\"write\":{\"sql\":\"DROP TABLE orders\"}}", "deny", NULL);
    finds("SELECT group_concat(action) FROM (SELECT action FROM _sys_rule ORDER BY position)",
        "deny,require_approval");
}

/* Conditions see the time that is given, and what is given of who asks. */
void test_rule_test__conditions(void **state)
{
    static const char *const NIGHT =
        "\"rules\":[{\"id\":\"n\",\"action\":\"deny\",\"when\":\"strftime('%H', 'now') < "
        "'06'\"}]";
    char body[500];
    (void)state;
    fresh();
    str_print(body, sizeof body, "{" ALL ",\"at\":\"2026-06-01T03:00:00.000Z\",%s}", NIGHT);
    decides(body, "deny", "n");
    str_print(body, sizeof body, "{" ALL ",\"at\":\"2026-06-01T12:00:00.000Z\",%s}", NIGHT);
    decides(body, "allow", NULL);
    decides("{" ALL
            ",\"agent\":\"bot\",\"rules\":[{\"id\":\"b\",\"action\":\"deny\",\"when\":\"(SELECT agent FROM "
            "caller) = 'bot'\"}]}",
        "deny", "b");
    decides(
        "{" ALL
        ",\"rules\":[{\"id\":\"m\",\"action\":\"require_approval\",\"when\":\"(SELECT sum(row_count) FROM "
        "effects) > 1\"}]}",
        "require_approval", "m");
    static const char *const OWN = "\"rules\":[{\"id\":\"o\",\"action\":\"deny\",\"when\":\"(SELECT token_id "
                                   "|| role FROM caller) IS NOT "
                                   "'tok_botreadwrite'\"}]";
    str_print(body, sizeof body, "{" ALL ",\"agent\":\"tok_bot\",%s}", OWN);
    decides(body, "deny", "o");
    str_print(body, sizeof body, "{" ALL ",\"tokenId\":\"tok_bot\",\"role\":\"readwrite\",%s}", OWN);
    decides(body, "allow", NULL);
    propose("UPDATE orders SET status = 'x' WHERE id = 1");
    f.token_id = S("tok_other"); /* who asks is not whose proposals they were */
    assert_int_equal(
        differing("{\"sinceMs\":0,\"rules\":[{\"action\":\"deny\",\"when\":\"(SELECT token_id FROM caller) = "
                  "'tok_other'\"}]}"),
        0);
    f.token_id = S("tok_test");
    propose("UPDATE orders SET status = 'x'");
    assert_int_equal(
        differing(
            "{\"sinceMs\":0,\"rules\":[{\"action\":\"deny\",\"when\":\"EXISTS (SELECT 1 FROM changes WHERE "
            "new ->> 'status' = 'x' AND pk ->> 'id' = 2)\"}]}"),
        1);
    assert_string_equal(text("proposals/0/sql"), "UPDATE orders SET status = 'x'");
}

static void person(bool is)
{
    f.token_id = is ? S("ses_lin") : S("tok_test");
}

/* What people decided tokens neither undo nor step in front of. */
void test_rule_test__kept_by_people(void **state)
{
    char id[60], body[500];
    (void)state;
    fresh();
    op_fixture_ok(
        &f, WIRE_OP_RULE_SET, S("{\"tableGlob\":\"made*\",\"action\":\"allow\",\"order\":10}"), NULL);
    person(true);
    op_fixture_ok(&f, WIRE_OP_RULE_SET,
        S("{\"tableGlob\":\"orders\",\"action\":\"require_approval\",\"order\":50}"), NULL);
    assert_true(jsonr_bool(op_json_at(op_fixture_json(&f), "peopleOnly")));
    str_print(id, sizeof id, "%s", text("id"));
    person(false);
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
    static const char *const CHANGES[] = {"{\"action\":\"allow\"}", "{\"approvals\":2}",
        "{\"peopleOnly\":false}", "{\"tableGlob\":\"others\"}", "{\"note\":\"mine\"}"};
    for (size_t i = 0; i < ARRAY_LEN(CHANGES); i++)
        assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_SET, str_of(CHANGES[i]), args), ERR_FORBIDDEN);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_DROP, STR_EMPTY, args), ERR_FORBIDDEN);
    assert_non_null(strstr(f.error.ptr, "kept by people"));
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_REPLACE, S("{\"rules\":[]}"), NULL), ERR_FORBIDDEN);
    static const char *const BEFORE[] = {"{\"action\":\"allow\",\"order\":20}",
        "{\"action\":\"allow\",\"order\":1}", "{\"action\":\"require_approval\",\"order\":49}"};
    for (size_t i = 0; i < ARRAY_LEN(BEFORE); i++)
        assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_SET, str_of(BEFORE[i]), NULL), ERR_FORBIDDEN);
    decides("{" ALL "}", "require_approval", id); /* nor is anything remembered of what was tried */
    op_fixture_ok(
        &f, WIRE_OP_RULE_SET, S("{\"tableGlob\":\"people\",\"action\":\"deny\",\"order\":20}"), NULL);
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"action\":\"allow\",\"order\":60}"), NULL);
    str_print(body, sizeof body,
        "{\"rules\":[{\"id\":\"%s\",\"tableGlob\":\"orders\",\"action\":\"require_approval\",\"order\":7}]}",
        id);
    op_fixture_ok(&f, WIRE_OP_RULE_REPLACE, str_of(body), NULL); /* all others were tokens' */
    assert_true(jsonr_bool(op_json_at(op_fixture_json(&f), "0/peopleOnly")));
    person(true);
    op_fixture_ok(&f, WIRE_OP_RULE_SET, S("{\"peopleOnly\":false}"), args);
    person(false);
    op_fixture_ok(&f, WIRE_OP_RULE_DROP, STR_EMPTY, args);
}

void test_rule_test__write_refused(void **state)
{
    static const struct {
        const char *body;
        enum err_code code;
        const char *pointer;
    } BAD[] = {
        {"{}", ERR_INVALID, "/write"},
        {"{\"write\":{}}", ERR_INVALID, "/write"},
        {"{" ALL ",\"at\":\"yesterday\"}", ERR_INVALID, "/at"},
        {"{" ALL ",\"rules\":[{}]}", ERR_INVALID, "/rules/0/action"},
        {"{\"write\":{\"sql\":\"DELETE FROM none\"}}", ERR_SQL, ""},
    };
    (void)state;
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_TEST, str_of(BAD[i].body), NULL), BAD[i].code);
        at_pointer(BAD[i].pointer);
    }
    f.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&f, WIRE_OP_RULE_TEST, S("{" ALL "}"), NULL), ERR_FORBIDDEN);
}

/* Rows and the schema as they were recorded, judged by both. */
void test_rule_test__replay(void **state)
{
    (void)state;
    fresh();
    propose("UPDATE orders SET status = 'x'");
    propose("UPDATE people SET name = 'y'");
    propose("CREATE TABLE made (a)");
    assert_int_equal(differing("{\"sinceMs\":0,\"rules\":[]}"), 0);
    assert_int_equal(number("judged"), 3);
    assert_int_equal(number("skipped"), 0);
    assert_int_equal(
        differing("{\"sinceMs\":0,\"rules\":[{\"id\":\"no\",\"action\":\"deny\",\"tableGlob\":\"orders\"}]}"),
        1);
    assert_string_equal(text("proposals/0/sql"), "UPDATE orders SET status = 'x'");
    assert_string_equal(text("proposals/0/before/decision"), "allow");
    assert_string_equal(text("proposals/0/after/decision"), "deny");
    assert_string_equal(text("proposals/0/after/hits/0/ruleId"), "no");
    assert_int_equal(
        differing("{\"sinceMs\":0,\"rules\":[{\"action\":\"deny\",\"tableGlob\":\"made\"}]}"), 1);
    assert_string_equal(text("proposals/0/sql"), "CREATE TABLE made (a)");
    assert_int_equal(differing("{\"sinceMs\":0,\"rules\":[{\"action\":\"require_reason\"}]}"), 0);
    assert_int_equal(differing("{\"sinceMs\":9000000000000000,\"rules\":[{\"action\":\"deny\"}]}"), 0);
    assert_int_equal(number("judged"), 0);
    finds("SELECT count(*) FROM _sys_rule", "0");
}

/* All of them, page by page, each once. */
void test_rule_test__replay_pages(void **state)
{
    char body[200], cursor[40] = "";
    int64_t judged = 0;
    size_t found = 0, pages = 0;
    (void)state;
    fresh();
    for (int i = 0; i < 120; i++)
        propose("UPDATE orders SET status = 'x'");
    op_fixture_sql(&f,
        "UPDATE _sys_proposal_part SET bytes = x'00' WHERE proposal = (SELECT max(seq) FROM _sys_proposal)");
    int64_t skipped = 0;
    do {
        str_print(body, sizeof body, "{\"sinceMs\":0,%s%s%s\"rules\":[{\"action\":\"deny\"}]}",
            cursor[0] ? "\"cursor\":\"" : "", cursor, cursor[0] ? "\"," : "");
        found += differing(body);
        judged += number("judged");
        skipped += number("skipped");
        const struct jsonr_value *next = jsonr_member(op_fixture_json(&f), S("nextCursor"));
        str_print(cursor, sizeof cursor, STR_FMT,
            STR_ARG(jsonr_kind(next) == JSONR_TEXT ? jsonr_text(next) : STR_EMPTY));
        pages++;
    } while (cursor[0]);
    assert_int_equal(judged, 119);
    assert_int_equal(skipped, 1);
    assert_int_equal(found, 119);
    assert_true(pages >= 3);
}
