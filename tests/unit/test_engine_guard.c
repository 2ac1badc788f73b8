/* What tenant SQL may do, by role, by table scope, and by the tables of policy/sql_guard.def: every row is a
 * statement sent to a real engine. */
#define _GNU_SOURCE /* memmem */
#include "lib/engine_fixture.h"
#include "engine/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char *const SCHEMA[] = {
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), total REAL)",
    "CREATE TABLE log (line TEXT)",
    "CREATE INDEX orders_by_customer ON orders (customer_id)",
    "CREATE VIEW rich AS SELECT email FROM customers",
    "CREATE VIEW open_orders AS SELECT id, total FROM orders",
    "CREATE TRIGGER orders_log AFTER INSERT ON orders BEGIN INSERT INTO log VALUES ('order ' || new.id); END",
    "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT)",
    "CREATE VIRTUAL TABLE docs_fts USING fts5(body, content='docs', content_rowid='id', tokenize='porter "
    "unicode61')",
    "CREATE TRIGGER docs_ai AFTER INSERT ON docs BEGIN INSERT INTO docs_fts(rowid, body) VALUES (new.id, "
    "new.body); END",
    "INSERT INTO customers VALUES (1, 'ada@example.com')",
    "INSERT INTO orders VALUES (1, 1, 9.5)",
    "INSERT INTO docs (body) VALUES ('running horses'), ('a quiet night')",
    "CREATE TABLE spare (x)",
    "CREATE TABLE guarded (x)",
    "CREATE TABLE base (x INTEGER PRIMARY KEY)",
    "CREATE VIEW over_base AS SELECT x FROM base",
    "CREATE TRIGGER guarded_ai AFTER INSERT ON guarded BEGIN INSERT INTO customers (email) VALUES (new.x); "
    "END",
};

static struct engine_fixture fx;

int setup_engine_guard(void **state)
{
    (void)state;
    engine_fixture_start(&fx);
    for (size_t i = 0; i < ARRAY_LEN(SCHEMA); i++)
        (void)engine_ok(&fx, SCHEMA[i]);
    return 0;
}

int teardown_engine_guard(void **state)
{
    (void)state;
    return engine_fixture_stop(&fx);
}

struct row {
    enum wire_role role;
    int status;
    const char *sql;
    const char *text; /* must stand in the answer; NULL: anything */
};

#define RO WIRE_ROLE_READONLY
#define RW WIRE_ROLE_READWRITE
#define AD WIRE_ROLE_ADMIN

static size_t check(const struct row *row, struct engine_answer a)
{
    bool ok = a.head.status == row->status &&
              (!row->text || memmem(a.body.ptr, a.body.len, row->text, strlen(row->text)));
    if (!ok)
        print_error("role %d: %s\n  wanted %d %s\n  got %d %.*s\n", (int)row->role, row->sql, row->status,
            row->text ? row->text : "", a.head.status, STR_ARG(a.body));
    return !ok;
}

static const struct row ROLES[] = {
    {RO, 200, "SELECT * FROM customers", NULL},
    {RO, 200,
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 5) SELECT sum(x) FROM c",
        "[[15]]"},
    {RO, 200, "PRAGMA table_info(orders)", "customer_id"},
    {RO, 200, "SELECT name FROM pragma_table_info('orders')", "customer_id"},
    {RO, 200, "SELECT count(*) FROM sqlite_schema WHERE name = 'orders'", "[[1]]"},
    {RO, 200, "VALUES (1), (2)", "[[1],[2]]"},
    {RO, 200, "EXPLAIN QUERY PLAN SELECT * FROM orders", "SCAN orders"},
    {RO, 200, "SELECT rowid FROM docs_fts WHERE docs_fts MATCH 'run' ORDER BY rank", "[[1]]"},
    {RO, 200, "SELECT value FROM json_each('[3]')", "[[3]]"},
    {RO, 403, "INSERT INTO log VALUES ('x')", "\"kind\":\"readonly\""},
    {RO, 403, "INSERT INTO log VALUES ('x')",
        "INSERT needs a token with the role readwrite or admin; this token's role is readonly"},
    {RO, 403, "UPDATE log SET line = 1", "\"kind\":\"readonly\""},
    {RO, 403, "DELETE FROM log", "\"kind\":\"readonly\""},
    {RO, 403, "REPLACE INTO log VALUES (1)", "readonly"},
    {RO, 403, "WITH x AS (SELECT 1) INSERT INTO log SELECT * FROM x", "readonly"},
    {RO, 403, "/* a */ -- b\n DELETE FROM log", "readonly"},
    {RO, 403, "EXPLAIN DELETE FROM log", "readonly"},
    {RO, 403, "CREATE TABLE x (y)", "CREATE needs a token with the role admin"},
    {RO, 403, "DROP TABLE log", "DROP needs a token with the role admin"},
    {RO, 403, "PRAGMA user_version = 5", "readonly"},
    {RO, 403, "ANALYZE", NULL},
    {RO, 403, "REINDEX", NULL},
    {RO, 403, "INSERT INTO docs_fts(docs_fts) VALUES ('rebuild')", "readonly"},
    {RW, 200, "INSERT INTO log VALUES ('x')", "\"rowsWritten\":1"},
    {RW, 200, "UPDATE log SET line = 'y'", NULL},
    {RW, 200, "DELETE FROM log", NULL},
    {RW, 200, "INSERT INTO docs (body) VALUES ('horse riding')", NULL},
    {RW, 200, "INSERT INTO docs_fts(docs_fts) VALUES ('rebuild')", NULL},
    {RW, 200, "PRAGMA user_version = 5", NULL},
    {RW, 200, "INSERT INTO spare VALUES (1) RETURNING x", "[[1]]"},
    {RW, 403, "CREATE TABLE x (y)", "this token's role is readwrite"},
    {RW, 403, "CREATE INDEX i ON log (line)", NULL},
    {RW, 403, "CREATE VIEW v AS SELECT 1", NULL},
    {RW, 403, "CREATE VIRTUAL TABLE v USING fts5(x)", NULL},
    {RW, 403, "ALTER TABLE log ADD COLUMN z", "ALTER needs a token with the role admin"},
    {RW, 403, "DROP TABLE log", NULL},
    {RW, 403, "DROP INDEX orders_by_customer", NULL},
    {RW, 403, "REINDEX orders", NULL},
    {RW, 403, "ANALYZE orders", NULL},
    {AD, 200, "CREATE TABLE made (a INTEGER PRIMARY KEY AUTOINCREMENT, b UNIQUE)", NULL},
    {AD, 200, "CREATE UNIQUE INDEX made_b ON made (b)", NULL},
    {AD, 200, "ALTER TABLE made ADD COLUMN c DEFAULT 1", NULL},
    {AD, 200, "ALTER TABLE made RENAME COLUMN c TO d", NULL},
    {AD, 200, "ALTER TABLE made DROP COLUMN d", NULL},
    {AD, 200, "INSERT INTO made (b) VALUES (1)", NULL},
    {AD, 200, "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'made'", NULL},
    {RW, 403, "UPDATE sqlite_sequence SET seq = 0", NULL},
    {AD, 200, "ALTER TABLE made RENAME TO made2", NULL},
    {AD, 200, "CREATE TABLE dated (at TEXT DEFAULT CURRENT_TIMESTAMP, day DEFAULT (DATE('NOW')), n)", NULL},
    {AD, 200, "ALTER TABLE dated ADD COLUMN up TEXT DEFAULT (Upper('x'))", NULL},
    {AD, 200, "INSERT INTO dated (n) VALUES (1) RETURNING length(at), length(day), up", "[[19,10,\"X\"]]"},
    {AD, 403, "CREATE TABLE loaded (x DEFAULT (LOAD_EXTENSION('x')))", "LOAD_EXTENSION"},
    {AD, 200, "CREATE TABLE copied AS SELECT * FROM customers", NULL},
    {AD, 200, "ANALYZE", NULL},
    {AD, 200, "REINDEX", NULL},
    {AD, 200, "DROP INDEX made_b", NULL},
    {AD, 200, "DROP TABLE made2", NULL},
    {AD, 200, "CREATE VIEW early AS SELECT * FROM not_there_yet", NULL},
    {AD, 200, "DROP VIEW early", NULL},
    {AD, 200, "CREATE VIRTUAL TABLE notes USING fts5(a, b)", NULL},
    {AD, 200, "INSERT INTO notes VALUES ('x', 'y')", NULL},
    {AD, 200, "INSERT INTO notes(notes, rank) VALUES ('automerge', 4)", NULL},
    {AD, 200, "SELECT snippet(notes, 0, '[', ']', '…', 5) FROM notes WHERE notes MATCH 'x'", "[x]"},
    {AD, 200, "CREATE VIRTUAL TABLE words USING fts5vocab('notes', 'row')", NULL},
    {AD, 200, "SELECT term FROM words", "[\"x\"]"},
    {AD, 200, "ALTER TABLE notes RENAME TO notes2", NULL},
    {AD, 200, "DROP TABLE words", NULL},
    {AD, 200, "DROP TABLE notes2", NULL},
};

void test_engine_guard__roles(void **state)
{
    size_t failed = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROLES); i++)
        failed += check(&ROLES[i], engine_sql_as(&fx, ROLES[i].role, ROLES[i].sql));
    assert_int_equal(failed, 0);
}

/* Refused to everybody, with a text that says why. */
static const struct row REFUSED[] = {
    {AD, 403, "BEGIN", "\\\"transaction\\\": true"},
    {AD, 403, "BEGIN IMMEDIATE", "POST …/batch"},
    {AD, 403, "COMMIT", "POST …/batch"},
    {AD, 403, "END", "POST …/batch"},
    {AD, 403, "ROLLBACK", "rolls back by itself"},
    {AD, 403, "SAVEPOINT a", "POST …/batch"},
    {AD, 403, "RELEASE a", "POST …/batch"},
    {AD, 403, "EXPLAIN BEGIN", NULL},
    {AD, 403, "ATTACH 'x.db' AS x", "one database"},
    {AD, 403, "ATTACH ':memory:' AS x", "one database"},
    {AD, 403, "DETACH main", "one database"},
    {AD, 403, "VACUUM", "export"},
    {AD, 403, "VACUUM INTO 'copy.db'", "export"},
    {AD, 403, "PRAGMA journal_mode", "PRAGMA journal_mode is not available"},
    {AD, 403, "PRAGMA journal_mode = DELETE", NULL},
    {AD, 403, "PRAGMA main.journal_mode = DELETE", NULL},
    {AD, 403, "PRAGMA \"journal_mode\"(MEMORY)", NULL},
    {AD, 403, "pragma /* x */ synchronous = off", NULL},
    {AD, 403, "PRAGMA writable_schema = ON", NULL},
    {AD, 403, "PRAGMA hard_heap_limit = 1000", NULL},
    {AD, 403, "PRAGMA soft_heap_limit = 1000", NULL},
    {AD, 403, "PRAGMA max_page_count = 4294967294", NULL},
    {AD, 403, "PRAGMA trusted_schema = ON", NULL},
    {AD, 403, "PRAGMA mmap_size = 100000000", NULL},
    {AD, 403, "PRAGMA cache_size = -1000000", NULL},
    {AD, 403, "PRAGMA temp_store_directory = '/tmp'", NULL},
    {AD, 403, "PRAGMA wal_checkpoint(TRUNCATE)", NULL},
    {AD, 403, "PRAGMA integrity_check", NULL},
    {AD, 403, "PRAGMA foreign_keys = OFF", NULL},
    {AD, 403, "PRAGMA query_only = ON", NULL},
    {AD, 403, "PRAGMA locking_mode = EXCLUSIVE", NULL},
    {AD, 403, "PRAGMA ignore_check_constraints = ON", NULL},
    {AD, 403, "PRAGMA optimize", NULL},
    {AD, 403, "PRAGMA user_version = 'x'", "integer"},
    {AD, 403, "PRAGMA table_info(_sys_meta)", "reserved"},
    {AD, 403, "PRAGMA database_list", NULL},
    {AD, 403, "SELECT * FROM pragma_database_list", NULL},
    {AD, 403, "SELECT * FROM pragma_journal_mode", NULL},
    {AD, 403, "SELECT * FROM pragma_table_info('_sys_meta')", "reserved"},
    {AD, 403, "CREATE TEMP TABLE t (x)", "WITH"},
    {AD, 403, "CREATE TEMPORARY VIEW v AS SELECT 1", NULL},
    {AD, 403, "CREATE TABLE temp.t (x)", NULL},
    {AD, 403, "CREATE TEMP TRIGGER tr AFTER INSERT ON log BEGIN SELECT 1; END", "serves many callers"},
    {AD, 403, "SELECT * FROM sqlite_temp_master", NULL},
    {AD, 403, "CREATE VIRTUAL TABLE r USING rtree(id, a, b)", "fts5"},
    {AD, 403, "CREATE VIRTUAL TABLE r USING dbstat", "fts5"},
    {AD, 403, "CREATE VIRTUAL TABLE r USING fts4(a, tokenize=e)", "fts5"},
    {AD, 403, "SELECT * FROM _sys_meta", "reserved"},
    {AD, 403, "SELECT * FROM main._SYS_applied", "reserved"},
    {AD, 403, "SELECT * FROM \"_sys_meta\" AS m", "reserved"},
    {AD, 403, "WITH a AS (SELECT * FROM _sys_meta) SELECT * FROM a", "reserved"},
    {AD, 403, "SELECT (SELECT count(*) FROM _sys_meta)", "reserved"},
    {AD, 403, "INSERT INTO _sys_meta VALUES ('x', 1)", "reserved"},
    {AD, 403, "DELETE FROM _sys_applied", "reserved"},
    {AD, 403, "UPDATE _sys_query_log SET sql = ''", "reserved"},
    {AD, 403, "DROP TABLE _sys_meta", "reserved"},
    {AD, 403, "ALTER TABLE _sys_meta RENAME TO mine", "reserved"},
    {AD, 403, "ALTER TABLE spare RENAME TO _sys_evil", "reserved"},
    {AD, 403, "ALTER TABLE spare RENAME TO _persql_x", "reserved"},
    {AD, 403, "ALTER TABLE spare RENAME TO json_each", "reserved"},
    {AD, 403, "CREATE TABLE _sys_new (x)", "reserved"},
    {AD, 403, "CREATE TABLE _persql_new (x)", "reserved"},
    {AD, 403, "CREATE TABLE json_each (x)", "reserved"},
    {AD, 403, "CREATE VIEW _sys_v AS SELECT 1", "reserved"},
    {AD, 403, "CREATE VIEW spy AS SELECT * FROM _sys_applied", "reserved"},
    {AD, 403, "CREATE INDEX _sys_i ON log (line)", "reserved"},
    {AD, 403, "CREATE INDEX i ON _sys_meta (value)", "reserved"},
    {AD, 403, "CREATE TRIGGER t AFTER INSERT ON _sys_applied BEGIN SELECT 1; END", "reserved"},
    {AD, 403, "CREATE TRIGGER _sys_t AFTER INSERT ON log BEGIN SELECT 1; END", "reserved"},
    {AD, 403, "DROP INDEX _sys_applied_created", "reserved"},
    {AD, 403, "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 2, '')", NULL},
    {AD, 403, "DELETE FROM sqlite_stat1", NULL},
    {AD, 403, "SELECT load_extension('x')", "load_extension() is not available"},
    {AD, 403, "SELECT sqlite_compileoption_get(1)", "not available"},
    {AD, 403, "SELECT sqlite_source_id()", "not available here: how the server was built"},
    {AD, 403, "SELECT fts5(NULL)", "hands out a pointer"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING fts5(key, value, content='_sys_meta')", "reserved"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING fts5(key, value, content=\"_SYS_meta\")", "reserved"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING fts5(key, content=_sys_meta, content_rowid=rowid)", "reserved"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING fts5(sql, content = [_persql_meta_query_log])", "reserved"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING fts5(a, content='x', content_rowid='_sys_meta')", "reserved"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING fts5vocab('_sys_fts', 'row')", "reserved"},
    {AD, 403, "EXPLAIN CREATE VIRTUAL TABLE v USING fts5(key, value, content='_sys_meta')", "reserved"},
    {AD, 403, "CREATE VIRTUAL TABLE v USING rtree(id, _sys_a, _sys_b)", "not available"},
    {AD, 403, "SELECT sqlite_log(1, 'x')", "not available"},
    {AD, 403, "SELECT fts5_source_id()", "not available"},
};

void test_engine_guard__refuses_with_a_reason(void **state)
{
    size_t failed = 0;
    (void)state;
    (void)engine_ok(&fx, "ANALYZE");
    for (size_t i = 0; i < ARRAY_LEN(REFUSED); i++) {
        struct engine_answer a = engine_sql_as(&fx, REFUSED[i].role, REFUSED[i].sql);
        bool absent = strstr(REFUSED[i].sql, "load_extension") != NULL; /* not even compiled in */
        if (!absent || a.head.status != 400)
            failed += check(&REFUSED[i], a);
    }
    assert_int_equal(failed, 0);
    (void)engine_ok(&fx, "SELECT * FROM spare, log, orders");
}

/* SQLite looks at the rows there are by a PRAGMA that tenants do not have; it looks, and they still have not.
 */
static const struct row ADDED[] = {
    {AD, 200, "CREATE TABLE added (a)", NULL},
    {AD, 200, "INSERT INTO added VALUES (1)", NULL},
    {AD, 200, "ALTER TABLE added ADD COLUMN b INT CHECK (b > 0)", NULL},
    {AD, 200, "ALTER TABLE added ADD COLUMN c TEXT NOT NULL DEFAULT 'x'", NULL},
    {AD, 200, "ALTER TABLE main.\"added\" ADD COLUMN d INT DEFAULT 5 CHECK (d < 10)", NULL},
    {AD, 200, "ALTER TABLE added ADD COLUMN e INT GENERATED ALWAYS AS (d + 1) NOT NULL", NULL},
    {AD, 400, "ALTER TABLE added ADD COLUMN f INT DEFAULT 5 CHECK (f > 10)", "CHECK constraint failed"},
    {AD, 400, "ALTER TABLE added ADD COLUMN f INT AS (b) NOT NULL", "NOT NULL constraint failed"},
    {AD, 200, "SELECT * FROM added", "[[1,null,\"x\",5,6]]"},
    {AD, 400, "UPDATE added SET d = 11", "CHECK constraint failed"},
    {AD, 200, "CREATE TABLE added_strict (a INT) STRICT", NULL},
    {AD, 200, "INSERT INTO added_strict VALUES (1)", NULL},
    {AD, 200, "ALTER TABLE added_strict ADD COLUMN b INT DEFAULT 7", NULL},
    {AD, 400, "ALTER TABLE added_strict ADD COLUMN c INT DEFAULT 'x'", "type mismatch on DEFAULT"},
    {RW, 403, "ALTER TABLE added ADD COLUMN f INT CHECK (f > 0)", "admin"},
    {AD, 403, "PRAGMA quick_check", "not available"},
    {AD, 403, "PRAGMA quick_check('added')", "not available"},
    {AD, 403, "PRAGMA main.quick_check(added)", "not available"},
    {AD, 403, "SELECT * FROM pragma_quick_check('added', 'main')", "not available"},
    {AD, 403, "EXPLAIN PRAGMA quick_check('added')", "not available"},
    {AD, 200, "CREATE VIEW added_view AS SELECT * FROM pragma_quick_check('added')", NULL},
    {AD, 400, "SELECT * FROM added_view", "unsafe use"},
    {AD, 200, "DROP VIEW added_view", NULL},
    {AD, 200, "DROP TABLE added", NULL},
    {AD, 200, "DROP TABLE added_strict", NULL},
};

void test_engine_guard__added_columns_are_checked(void **state)
{
    size_t failed = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ADDED); i++)
        failed += check(&ADDED[i], engine_sql_as(&fx, ADDED[i].role, ADDED[i].sql));
    assert_int_equal(failed, 0);
}

/* SQLite itself says no: 400, and nothing changes. */
static const struct row DEFENDED[] = {
    {AD, 400, "INSERT INTO docs_fts_data VALUES (1, x'00')", "may not be modified"},
    {AD, 400, "DELETE FROM docs_fts_data", "may not be modified"},
    {AD, 400, "DROP TABLE docs_fts_data", "may not be dropped"},
    {AD, 400, "DELETE FROM sqlite_master", "may not be modified"},
    {AD, 400, "UPDATE sqlite_schema SET sql = ''", "may not be modified"},
    {AD, 400, "ALTER TABLE docs_fts_config RENAME TO x", NULL},
    {AD, 400, "CREATE TABLE docs_fts_idx2 (x); SELECT 1", "more than one statement"},
    {AD, 400, "CREATE TABLE sqlite_mine (x)", "reserved"},
    {AD, 400, "SELECT sqlite_rename_table(1,2,3,4,5,6,7)", NULL},
    {AD, 400, "SELECT fts3_tokenizer('simple')", "no such function"},
    {AD, 400, "SELECT readfile('/etc/passwd')", "no such function"},
    {AD, 400, "SELECT edit('x')", "no such function"},
    {AD, 400, "SELECT * FROM dbstat", "no such table"},
    {AD, 400, "SELECT * FROM sqlite_dbpage", "no such table"},
    {AD, 400, "SELECT * FROM bytecode('SELECT 1')", NULL},
    {AD, 400, "SELECT 1; SELECT 2", "\"kind\":\"syntax_error\""},
    {AD, 400, "", "empty"},
    {AD, 400, "-- nothing", "empty"},
    {AD, 400, ";;", "empty"},
    {AD, 200, "SELECT 1;", "[[1]]"},
    {AD, 200, "SELECT 1; -- end", "[[1]]"},
    {AD, 200, "SELECT 1 /* unclosed", "[[1]]"},
};

void test_engine_guard__what_sqlite_defends(void **state)
{
    size_t failed = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(DEFENDED); i++)
        failed += check(&DEFENDED[i], engine_sql_as(&fx, DEFENDED[i].role, DEFENDED[i].sql));
    assert_int_equal(failed, 0);
    (void)engine_ok(&fx, "SELECT * FROM docs_fts");
}

/* Token scope: orders, open_orders, log, rich, docs_fts, mine, guarded. */
static const struct row SCOPED[] = {
    {AD, 200, "SELECT * FROM orders", NULL},
    {AD, 200, "SELECT count(*) FROM Orders AS o", NULL},
    {AD, 200, "SELECT * FROM open_orders", NULL},
    {AD, 200, "WITH customers AS (SELECT 1 AS x) SELECT * FROM customers", "[[1]]"},
    {AD, 200, "INSERT INTO log VALUES ('x')", NULL},
    {AD, 200, "UPDATE orders SET total = 2", NULL},
    {AD, 200, "SELECT value FROM json_each('[1]')", NULL},
    {AD, 200, "PRAGMA table_info(orders)", NULL},
    {AD, 403, "SELECT rowid FROM docs_fts WHERE docs_fts MATCH 'night'", "every table"},
    {AD, 200, "CREATE TABLE mine (x)", NULL},
    {AD, 200, "ALTER TABLE mine ADD COLUMN y", NULL},
    {AD, 200, "ALTER TABLE mine RENAME COLUMN y TO z", NULL},
    {AD, 200, "ALTER TABLE mine ADD COLUMN more INT CHECK (more > 0)", NULL},
    {AD, 403, "ALTER TABLE customers ADD COLUMN more INT CHECK (more > 0)", "customers"},
    {AD, 403, "ALTER TABLE mine RENAME TO stolen", "cannot rename tables"},
    {AD, 200, "CREATE INDEX mine_x ON mine (x)", NULL},
    {AD, 200, "DROP TABLE mine", NULL},
    {AD, 403, "SELECT * FROM customers", "Token scope does not include table \\\"customers\\\""},
    {AD, 403, "SELECT 1 FROM main.customers", "customers"},
    {AD, 403, "SELECT c.id FROM \"customers\" c", "customers"},
    {AD, 403, "SELECT count(*) FROM [customers]", "customers"},
    {AD, 403, "SELECT count(*) FROM customers", "customers"},
    {AD, 403, "SELECT 1 FROM orders, customers WHERE 0", "customers"},
    {AD, 403, "SELECT * FROM orders WHERE EXISTS (SELECT 1 FROM customers)", "customers"},
    {AD, 403, "WITH c AS (SELECT * FROM customers) SELECT * FROM c", "customers"},
    {AD, 403, "SELECT * FROM orders UNION ALL SELECT id, email, 1 FROM customers", "customers"},
    {AD, 403, "SELECT * FROM/**/customers", "customers"},
    {AD, 403, "SELECT * FROM rich", "every table"},
    {AD, 403, "SELECT body FROM docs_fts", "every table"},
    {AD, 403, "EXPLAIN QUERY PLAN SELECT * FROM customers", "customers"},
    {AD, 403, "INSERT INTO log SELECT email FROM customers", "customers"},
    {AD, 403, "UPDATE orders SET total = (SELECT id FROM customers)", "customers"},
    {AD, 403, "UPDATE orders SET total = c.id FROM customers c", "customers"},
    {AD, 403, "DELETE FROM customers", "customers"},
    /* Its foreign key looks into customers: what a statement touches by itself counts too. */
    {AD, 403, "INSERT INTO orders (customer_id) VALUES (1)", "every table"},
    {AD, 403, "DROP TABLE customers", "customers"},
    {AD, 403, "ALTER TABLE customers ADD COLUMN x", "customers"},
    {AD, 403, "CREATE INDEX i ON customers (email)", "customers"},
    {AD, 403, "CREATE TABLE other (x)", "other"},
    {AD, 403, "CREATE VIEW mine AS SELECT * FROM customers", "every table"},
    {AD, 200, "CREATE VIEW mine AS SELECT * FROM orders", NULL},
    {AD, 200, "DROP VIEW mine", NULL},
    {AD, 403,
        "CREATE TRIGGER t AFTER INSERT ON orders BEGIN INSERT INTO log SELECT email FROM customers; END",
        "triggers"},
    {AD, 403, "DROP TRIGGER orders_log", "cannot drop triggers"},
    {AD, 403, "DROP TRIGGER IF EXISTS guarded_ai", "cannot drop triggers"},
    {AD, 403, "DROP TABLE guarded", "cannot drop triggers"},
    {AD, 403, "DROP VIEW rich", NULL},
    {AD, 403, "DROP TABLE base", "outside it depends on"},
    {AD, 403, "SELECT * FROM sqlite_schema", "sqlite_master"},
    {AD, 403, "PRAGMA table_info(customers)", "customers"},
    {AD, 403, "PRAGMA table_list", NULL},
    {AD, 403, "PRAGMA foreign_key_check", NULL},
    {AD, 403, "PRAGMA index_info(orders_by_customer)", NULL},
    {AD, 403, "SELECT * FROM pragma_table_info('customers')", NULL},
    {AD, 403, "SELECT * FROM _persql_meta_query_log", "scope"},
    {AD, 403, "INSERT INTO docs (body) VALUES ('x')", "docs"},
    {AD, 200, "REINDEX orders", NULL},
    {AD, 200, "REINDEX orders_by_customer", NULL},
    {AD, 200, "ANALYZE orders", NULL},
    {AD, 403, "REINDEX customers", "one by one"},
    {AD, 403, "REINDEX customers_by_email", "one by one"},
    {AD, 403, "REINDEX main.customers_by_email", "one by one"},
    {AD, 403, "REINDEX", "one by one"},
    {AD, 403, "REINDEX nocase", "one by one"},
    {AD, 403, "ANALYZE customers", "one by one"},
    {AD, 403, "ANALYZE customers_by_email", "one by one"},
    {AD, 403, "ANALYZE", "one by one"},
    {AD, 403, "SELECT * FROM absent", "Token scope does not include table \\\"absent\\\""},
    {AD, 403, "DROP TABLE absent", "Token scope does not include table \\\"absent\\\""},
    {AD, 400, "SELECT * FROM mine", "no such table: mine"},
    {AD, 200, "CREATE TABLE mine (x, y)", NULL},
    {AD, 400, "ALTER TABLE mine RENAME COLUMN y TO z", "without a table scope"},
    {AD, 200, "DROP TABLE mine", NULL},
};

void test_engine_guard__table_scope(void **state)
{
    static const struct str TABLES[] = {{"orders", 6}, {"open_orders", 11}, {"log", 3}, {"rich", 4},
        {"docs_fts", 8}, {"mine", 4}, {"guarded", 7}, {"base", 4}};
    size_t failed = 0;
    (void)state;
    (void)engine_ok(&fx, "CREATE INDEX IF NOT EXISTS customers_by_email ON customers (email COLLATE nocase)");
    for (size_t i = 0; i < ARRAY_LEN(SCOPED); i++) {
        if (strstr(SCOPED[i].sql, "CREATE TABLE mine (x, y)"))
            (void)engine_ok(&fx, "CREATE VIEW unreadable AS SELECT nope FROM customers");
        struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, SCOPED[i].sql, NULL));
        call.has_table_scope = true;
        call.tables = TABLES;
        call.table_count = ARRAY_LEN(TABLES);
        struct engine_answer a = engine_ask(&fx, &call);
        failed += check(&SCOPED[i], a);
        assert_null(memmem(a.body.ptr, a.body.len, "unreadable", 10));
    }
    assert_int_equal(failed, 0);
    (void)engine_ok(&fx, "DROP VIEW unreadable");
}

/* What a scope hides and what is not there must look alike: # is the name of the one, then of the other. */
static const char *const ALIKE[][3] = {
    {"SELECT * FROM #", "customers", "nobodyhere"},
    {"SELECT * FROM main.[#]", "CUSTOMERS", "NOBODYHERE"},
    {"INSERT INTO # VALUES (1)", "spare", "nobodyhere"},
    {"DELETE FROM #", "customers", "nobodyhere"},
    {"DROP TABLE #", "customers", "nobodyhere"},
    {"DROP TABLE IF EXISTS #", "customers", "nobodyhere"},
    {"DROP TABLE IF EXISTS main.\"#\";", "Customers", "Nobodyhere"},
    {"DROP TABLE IF EXISTS '#'", "customers", "nobodyhere"},
    {"DROP VIEW IF EXISTS #", "customers", "nobodyhere"},
    {"DROP INDEX #", "customers_by_email", "nobodyhere"},
    {"DROP INDEX IF EXISTS #", "customers_by_email", "nobodyhere"},
    {"DROP TRIGGER #", "docs_ai", "nobodyhere"},
    {"DROP TRIGGER IF EXISTS #", "docs_ai", "nobodyhere"},
    {"ALTER TABLE orders RENAME TO #", "customers", "nobodyhere"},
    {"ALTER TABLE # ADD COLUMN x", "customers", "nobodyhere"},
    {"ALTER TABLE # RENAME TO x", "customers", "nobodyhere"},
    {"CREATE TABLE # (x)", "customers", "nobodyhere"},
    {"CREATE INDEX i ON # (x)", "customers", "nobodyhere"},
    {"PRAGMA table_info(#)", "customers", "nobodyhere"},
};

static struct str scoped_answer(const char *form, const char *name, enum wire_role role)
{
    static const struct str TABLES[] = {{"orders", 6}, {"log", 3}};
    char sql[256];
    const char *at = strchr(form, '#');
    (void)snprintf(sql, sizeof sql, "%.*s%s%s", (int)(at - form), form, name, at + 1);
    struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, sql, NULL));
    call.has_table_scope = true;
    call.tables = TABLES;
    call.table_count = ARRAY_LEN(TABLES);
    call.role = role;
    struct engine_answer a = engine_ask(&fx, &call);
    struct str body = arena_printf(&fx.arena, "%d " STR_FMT, a.head.status, STR_ARG(a.body));
    for (char *p = (char *)body.ptr; name[0] && (p = strstr(p, name)) != NULL;)
        memset(p, '#', strlen(name));
    return body;
}

/* The digits of meta differ from call to call, and the lengths of names in positions: what is compared stands
 * before them. */
static size_t told(struct str body)
{
    const char *end = memmem(body.ptr, body.len, "\"requestId\"", 11);
    return end ? (size_t)(end - body.ptr) : body.len;
}

static size_t squeezed(struct str body, char out[512])
{
    size_t n = 0;
    for (size_t i = 0; i < told(body) && n < 511; i++) {
        if (body.ptr[i] != '#' || n == 0 || out[n - 1] != '#')
            out[n++] = body.ptr[i];
    }
    out[n] = '\0';
    return n;
}

void test_engine_guard__hidden_and_missing_look_alike(void **state)
{
    size_t failed = 0;
    (void)state;
    (void)engine_ok(&fx, "CREATE INDEX IF NOT EXISTS customers_by_email ON customers (email COLLATE nocase)");
    for (size_t i = 0; i < ARRAY_LEN(ALIKE) * 3; i++) {
        char hidden[512], missing[512];
        const char *const *row = ALIKE[i / 3];
        enum wire_role role = (enum wire_role)(WIRE_ROLE_READONLY + i % 3);
        (void)squeezed(scoped_answer(row[0], row[1], role), hidden);
        (void)squeezed(scoped_answer(row[0], row[2], role), missing);
        if (strcmp(hidden, missing) == 0 && hidden[0] == '4')
            continue;
        print_error("%s as %d:\n  %s\n  %s\n", row[0], (int)role, hidden, missing);
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* A statement prepared for an admin must not serve a reader who sends the same text, in one turn or later. */
void test_engine_guard__kept_statements_belong_to_a_role(void **state)
{
    const char *sql = "INSERT INTO spare VALUES (99)";
    (void)state;
    assert_int_equal(engine_sql_as(&fx, AD, sql).head.status, 200);
    assert_int_equal(engine_sql_as(&fx, RO, sql).head.status, 403);
    assert_int_equal(engine_sql_as(&fx, RW, sql).head.status, 200);
    static const struct str LOG_ONLY[] = {{"log", 3}};
    struct wire_call scoped = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, sql, NULL));
    scoped.has_table_scope = true;
    scoped.tables = LOG_ONLY;
    scoped.table_count = 1;
    assert_int_equal(engine_ask(&fx, &scoped).head.status, 403);
    struct wire_call all[3] = {engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, sql, NULL)), scoped,
        engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, sql, NULL))};
    all[2].role = RO;
    uint64_t first = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t id = engine_queue(&fx, &all[i]);
        first = first ? first : id;
    }
    engine_send_all(&fx);
    for (int i = 0; i < 3; i++) {
        struct engine_answer a = engine_receive(&fx);
        assert_int_equal(a.head.status, a.id == first ? 200 : 403);
    }
}

/* A trigger that somebody made cannot reach the server's tables when another call fires it. */
void test_engine_guard__triggers_have_no_rights_of_their_own(void **state)
{
    (void)state;
    (void)engine_ok(&fx, "CREATE TABLE bait (x)");
    (void)engine_ok(&fx, "CREATE TRIGGER trap AFTER INSERT ON bait BEGIN DELETE FROM _sys_applied; END");
    struct engine_answer a = engine_sql(&fx, "INSERT INTO bait VALUES (1)", NULL);
    assert_int_equal(a.head.status, 403);
    assert_non_null(memmem(a.body.ptr, a.body.len, "_sys_applied", 12));
    assert_non_null(strstr(engine_ok(&fx, "SELECT count(*) FROM bait").ptr, "[[0]]"));
    (void)engine_ok(&fx, "DROP TRIGGER trap");
}

void test_engine_guard__functions_are_sorted(void **state)
{
    static const char *const NAMES[] = {
#define GUARD_FUNCTION(name) name,
#include "sql_guard.def"
    };
    (void)state;
    for (size_t i = 1; i < ARRAY_LEN(NAMES); i++)
        assert_true(strcmp(NAMES[i - 1], NAMES[i]) < 0);
}

void test_engine_guard__reserved_names(void **state)
{
    (void)state;
    assert_true(guard_name_reserved(S("_sys_x")));
    assert_true(guard_name_reserved(S("_SYS_x")));
    assert_true(guard_name_reserved(S("_persql_meta_query_log")));
    assert_true(guard_name_reserved(S("JSON_each")));
    assert_false(guard_name_reserved(S("_system")));
    assert_false(guard_name_reserved(S("sys_x")));
    assert_false(guard_name_reserved(S("")));
}

/* FTS5's inner statement over docs was prepared for the call before; the scope must hold all the same. */
void test_engine_guard__scope_holds_inside_a_warm_fts5(void **state)
{
    static const struct str TABLES[] = {{"DOCS_fts", 8}};
    const char *const BODIES[] = {
        "SELECT body FROM docs_fts", "SELECT body FROM docs_fts WHERE docs_fts MATCH 'night'"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BODIES); i++) {
        (void)engine_ok(&fx, BODIES[i]);
        struct wire_call call = engine_call_new(WIRE_OP_QUERY, engine_query_body(&fx, BODIES[i], NULL));
        call.has_table_scope = true;
        call.tables = TABLES;
        call.table_count = 1;
        assert_int_equal(engine_ask(&fx, &call).head.status, 403);
    }
    (void)engine_ok(&fx, BODIES[0]);
}
