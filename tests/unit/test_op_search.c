/* Search: what is found, and in which order. */
#include "lib/op_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct op_fixture f;

int setup_opsearch(void **state)
{
    (void)state;
    op_fixture_init(&f);
    op_fixture_sql(&f,
        "CREATE TABLE carts(id INTEGER PRIMARY KEY, abandoned_at TEXT, customerId INTEGER, total REAL);"
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT, full_name TEXT);"
        "CREATE TABLE order_items(id INTEGER PRIMARY KEY, orderID INTEGER, categories TEXT);"
        "CREATE TABLE zz(q TEXT); CREATE VIEW cart_totals AS SELECT total FROM carts;"
        "INSERT INTO _sys_description VALUES ('zz', 'q', 'the purchase price in euro', 0),"
        "('customers', '', 'people who bought something', 0)");
    return 0;
}

int teardown_opsearch(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static enum err_code search(const char *q, const char *limit)
{
    const struct op_arg args[] = {{"q", q}, {limit ? "limit" : NULL, limit}, {NULL, NULL}};
    return op_fixture_run(&f, WIRE_OP_SEARCH, STR_EMPTY, args);
}

void test_opsearch__the_best_hit_comes_first(void **state)
{
    static const struct {
        const char *q, *table, *column; /* column NULL: the table itself; table NULL: nothing */
    } cases[] = {
        {"abandoned carts", "carts", "abandoned_at"},
        {"carts", "carts", NULL},
        {"cart", "carts", NULL},
        {"customer", "customers", NULL},
        {"customer email", "customers", "email"},
        {"orderItems", "order_items", NULL},
        {"category", "order_items", "categories"},
        {"custmers", "customers", NULL},
        {"emial", "customers", "email"},
        {"euro", "zz", "q"},
        {"purchase price", "zz", "q"},
        {"bought", "customers", NULL},
        {"full name", "customers", "full_name"},
        {"aband", "carts", "abandoned_at"},
        {"xylophone", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(search(cases[i].q, NULL), ERR_OK);
        const struct jsonr_value *v = op_fixture_json(&f);
        if (!cases[i].table) {
            assert_int_equal(jsonr_count(op_json_at(v, "hits")), 0);
            continue;
        }
        const struct jsonr_value *column = op_json_at(v, "hits/0/column");
        if (strcmp(op_json_text(v, "hits/0/table"), cases[i].table) != 0 ||
            (column != NULL) != (cases[i].column != NULL) ||
            (column && strcmp(jsonr_text(column).ptr, cases[i].column) != 0))
            fail_msg("%s: %.*s", cases[i].q, STR_ARG(f.out));
        double score = jsonr_real(op_json_at(v, "hits/0/score"));
        assert_true(score > 0 && score <= 1);
    }
}

void test_opsearch__order_is_the_same_every_time_and_limited(void **state)
{
    (void)state;
    assert_int_equal(search("id", "3"), ERR_OK);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_int_equal(jsonr_count(op_json_at(v, "hits")), 3);
    assert_string_equal(op_json_text(v, "hits/0/table"), "carts"); /* equal scores: by name */
    assert_string_equal(op_json_text(v, "hits/1/table"), "customers");
    assert_int_equal(search("", NULL), ERR_INVALID);
    assert_int_equal(search("--", NULL), ERR_INVALID);
    assert_int_equal(search("id", "0"), ERR_INVALID);
    assert_int_equal(search("id", "51"), ERR_INVALID);
    assert_int_equal(search("id", "x"), ERR_INVALID);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_SEARCH, STR_EMPTY, NULL), ERR_INVALID);
}

void test_opsearch__a_scope_hides_names_and_descriptions(void **state)
{
    static const struct str scope[] = {{"carts", 5}};
    (void)state;
    f.tables = scope;
    f.table_count = 1;
    assert_int_equal(search("email price customer", NULL), ERR_OK);
    assert_null(strstr(f.out.ptr, "email"));
    assert_null(strstr(f.out.ptr, "price"));
    assert_non_null(strstr(f.out.ptr, "customerId"));
    f.tables = NULL;
}
