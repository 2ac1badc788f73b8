/* Uploaded database files: what is refused and why, and thousands of damaged ones, none of which may do more
 * than end its own throw-away engine. */
#include "lib/op_fixture.h"
#include "base/fs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20, MUTANTS = 1000 };

static struct op_fixture scratch;
static struct strbuf file; /* what is uploaded */

int setup_opupload(void **state)
{
    (void)state;
    op_fixture_init_scratch(&scratch);
    strbuf_init(&file, FILE_MAX);
    return 0;
}

int teardown_opupload(void **state)
{
    (void)state;
    op_fixture_release(&scratch);
    strbuf_release(&file);
    return 0;
}

/* Makes a database with these contents and reads its bytes into `file`. */
static void make_file(const char *sql)
{
    char path[FS_PATH_MAX];
    sqlite3 *db = NULL;
    char *message = NULL;
    fs_join(path, scratch.engine.dir, "made.db");
    (void)unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", message, sql);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    strbuf_reset(&file);
    assert_int_equal(fs_read_all(path, FILE_MAX, &file, NULL), ERR_OK);
}

static enum err_code check(struct str bytes)
{
    char path[FS_PATH_MAX];
    fs_join(path, scratch.engine.dir, "upload.db");
    assert_int_equal(fs_write_atomic(path, bytes, 0600, NULL), ERR_OK);
    return op_fixture_run(&scratch, WIRE_OP_UPLOAD_CHECK, STR_EMPTY, NULL);
}

static void expect_refusal(struct str bytes, const char *says)
{
    enum err_code code = check(bytes);
    if (code != ERR_INVALID || !strstr(scratch.error.ptr, says))
        fail_msg("expected \"%s\", got %s: %s", says, err_slug(code), scratch.error.ptr);
}

static void set_byte(size_t at, unsigned char value)
{
    file.buf[at] = (char)value;
}

void test_opupload__the_first_bytes_decide(void **state)
{
    (void)state;
    make_file("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
    assert_int_equal(check(strbuf_str(&file)), ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&scratch), "tables"), 1);
    assert_int_equal(op_json_int(op_fixture_json(&scratch), "rows"), 1);
    expect_refusal(S("too short"), "too short");
    expect_refusal(str_slice(strbuf_str(&file), 0, file.len - 1), "page size");
    static const struct {
        size_t at;
        unsigned char value;
        const char *says;
    } cases[] = {
        {0, 'X', "first 16 bytes"},
        {16, 0, "page size"},
        {17, 3, "page size"},
        {18, 3, "format version"},
        {19, 0, "format version"},
        {21, 65, "header is damaged"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned char before = (unsigned char)file.buf[cases[i].at];
        set_byte(cases[i].at, cases[i].value);
        expect_refusal(strbuf_str(&file), cases[i].says);
        set_byte(cases[i].at, before);
    }
}

/* A schema that a stranger wrote with writable_schema. */
void test_opupload__hostile_schemas_are_refused(void **state)
{
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"CREATE TABLE _sys_meta(key, value)", "_sys_meta"},
        {"CREATE TABLE _persql_meta_query_log(a)", "_persql_meta_query_log"},
        {"CREATE TABLE x(a); CREATE VIEW _sys_v AS SELECT 1", "_sys_v"},
        {"PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','r','r',0,'CREATE VIRTUAL "
         "TABLE r USING rtree(a,b,c)')",
            "virtual table"},
        {"PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','r','r',0,'CREATE VIRTUAL "
         "TABLE r USING fts3(a)')",
            "virtual table"},
        {"CREATE TABLE t(a); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a'",
            "refused"},
        {"CREATE TABLE t(a); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = 777", "refused"},
        {"CREATE TABLE t(a); CREATE TABLE u(a); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage "
         "= 2",
            "refused"},
        {"CREATE VIRTUAL TABLE f USING fts5(a); DROP TABLE f_content", "refused"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        make_file(cases[i].sql);
        expect_refusal(strbuf_str(&file), cases[i].says);
    }
}

void test_opupload__too_many_objects_are_refused(void **state)
{
    AUTO_STRBUF sql;
    (void)state;
    strbuf_init(&sql, 1 << 20);
    strbuf_add_cstr(&sql, "BEGIN;");
    for (int i = 0; i < 1001; i++)
        strbuf_addf(&sql, "CREATE VIEW v%d AS SELECT 1;", i);
    strbuf_add_cstr(&sql, "COMMIT;");
    make_file(strbuf_cstr(&sql));
    expect_refusal(strbuf_str(&file), "1,000 objects");
}

/* Many files are in WAL mode as they lie there; the log is not taken. */
void test_opupload__a_file_in_wal_mode_is_fine(void **state)
{
    (void)state;
    make_file("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)");
    assert_int_equal(file.buf[18], 2);
    assert_int_equal(check(strbuf_str(&file)), ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&scratch), "rows"), 2);
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Flips, zeroes or copies bytes; the header is left alone half of the time, so that SQLite looks further. */
static void mutate(struct strbuf *bytes, uint64_t *seed)
{
    size_t from = next(seed) % 2 ? 100 : 0;
    int changes = (int)(next(seed) % 12) + 1;
    while (changes-- > 0) {
        size_t at = from + next(seed) % (bytes->len - from - 8);
        switch (next(seed) % 4) {
        case 0: bytes->buf[at] = (char)(bytes->buf[at] ^ (1 << next(seed) % 8)); break;
        case 1: bytes->buf[at] = (char)next(seed); break;
        case 2: memset(bytes->buf + at, next(seed) % 2 ? 0 : 0xff, 1 + next(seed) % 8); break;
        default: memmove(bytes->buf + at, bytes->buf + from + next(seed) % (bytes->len - from - 8), 8);
        }
    }
}

/* An engine that ends closes its socket, which fails the test. SEED=n in the environment tries
 * others, HF_MUTANTS=n more of them. */
void test_opupload__no_damaged_file_ends_the_engine(void **state)
{
    const char *given = getenv("SEED");
    const char *more = getenv("HF_MUTANTS");
    int count = more ? atoi(more) : MUTANTS;
    uint64_t seed = (uint64_t)(given ? strtoull(given, NULL, 10) : 1) * 2654435761u | 1;
    AUTO_STRBUF mutant;
    int accepted = 0;
    (void)state;
    strbuf_init(&mutant, FILE_MAX);
    make_file("PRAGMA page_size=512; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b BLOB, c AS (a || "
              "'x')); CREATE INDEX i ON t(a, b);"
              "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE VIRTUAL TABLE f USING fts5(a, b); "
              "CREATE VIEW v AS SELECT a FROM t;"
              "CREATE TRIGGER tr AFTER INSERT ON t BEGIN DELETE FROM w; END;"
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"
              " INSERT INTO t(a, b) SELECT hex(randomblob(i)), randomblob(i * 20) FROM n;"
              "INSERT INTO w SELECT a, id FROM t; INSERT INTO f SELECT a, a FROM t LIMIT 20; DELETE FROM t "
              "WHERE id % 5 = 0;");
    for (int i = 0; i < count; i++) {
        strbuf_reset(&mutant);
        strbuf_add_str(&mutant, strbuf_str(&file));
        uint64_t at = seed;
        mutate(&mutant, &seed);
        enum err_code code = check(strbuf_str(&mutant));
        if (code && code != ERR_INVALID && code != ERR_TOO_LARGE)
            fail_msg("mutant %d of seed %llu: %s %s", i, (unsigned long long)at, err_slug(code),
                scratch.error.ptr);
        accepted += code == ERR_OK;
    }
    assert_in_range(accepted, 1, count - 1); /* some bytes do not matter, most do */
}
