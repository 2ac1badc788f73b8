/* Tampering with the audit log behind the server's back: what is found, what it is called, and what cannot be
 * found. Every case works on a copy of one log: two namespaces, three keys' worth of checkpoints, rows behind
 * the last one. */
#include "audit/audit_internal.h"
#include "audit/ndjson.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "sqlite/db_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define A "ns_a"
#define B "ns_b"

/* A has rows 1 to 30 and checkpoints after 10 (number 2) and 20 (number 4); B has 12 and one after 6 (number
 * 3); the fixture's own namespace has one row and number 1. */
struct log {
    struct control_fixture fx;
    struct strbuf file;  /* control.db as it was */
    struct strbuf older; /* and before the last checkpoint */
    struct audit_head head;
    struct audit_keys keys;
    struct tmpdir copy;
};

static struct log *g_log;

/* A second later than the rows before: no two rows have the same time, so that they can be moved from one
 * chain to another. */
static void add_rows(struct control_fixture *fx, const char *chain, int count)
{
    struct id ns = {""};

    clock_test_advance(1000000);
    memcpy(ns.text, chain, strlen(chain) + 1);
    for (int i = 0; i < count; i++) {
        const struct audit_event e = {.by = &TEST_ACTOR,
            .action = AUDIT_DATABASE_CREATED,
            .namespace_id = &ns,
            .target_id = S("db_1"),
            .target_name = S("Main"),
            .after = AUDIT_VALUES(audit_int("n", i))};
        assert_int_equal(tx_begin_write(fx->db, NULL), ERR_OK);
        assert_int_equal(tx_end(fx->db, audit_append(fx->db, &e, NULL), NULL), ERR_OK);
    }
}

static void sign(struct log *log)
{
    assert_int_equal(
        audit_sign(log->fx.db, log->fx.dir.path, INT64_MAX, AUDIT_SIGN_ALL, &log->head, NULL), ERR_OK);
}

static void read_file(struct log *log, struct strbuf *out)
{
    db_close(log->fx.db); /* writes the log back */
    log->fx.db = NULL;
    strbuf_init(out, 1 << 22);
    assert_int_equal(fs_read_all(tmpdir_path(&log->fx.dir, "control.db"), 1 << 22, out, NULL), ERR_OK);
    assert_int_equal(control_connect(&log->fx.control, DB_WRITE, &log->fx.db, NULL), ERR_OK);
}

int setup_audit_verify(void **state)
{
    struct log *log = MEM_NEW(struct log);

    (void)state;
    clock_test_set(clock_mono_us(), clock_wall_ms());
    control_fixture_init(&log->fx);
    tmpdir_init(&log->copy);
    assert_int_equal(audit_key_ensure(log->fx.dir.path, NULL), ERR_OK);
    sign(log);
    add_rows(&log->fx, A, 10);
    sign(log);
    add_rows(&log->fx, B, 6);
    sign(log);
    add_rows(&log->fx, A, 10);
    read_file(log, &log->older);
    sign(log);
    add_rows(&log->fx, A, 10);
    add_rows(&log->fx, B, 6);
    read_file(log, &log->file);
    assert_int_equal(audit_keys_load(tmpdir_path(&log->fx.dir, AUDIT_PUBLIC_FILE), &log->keys, NULL), ERR_OK);
    g_log = log;
    return 0;
}

int teardown_audit_verify(void **state)
{
    (void)state;
    clock_test_stop();
    audit_keys_release(&g_log->keys);
    strbuf_release(&g_log->file);
    strbuf_release(&g_log->older);
    tmpdir_release(&g_log->copy);
    control_fixture_release(&g_log->fx);
    mem_free(g_log);
    return 0;
}

/* --- A copy, tampered with --- */

static sqlite3 *open_copy(const struct strbuf *file)
{
    sqlite3 *db = NULL;
    const char *path = tmpdir_path(&g_log->copy, "control.db");

    assert_int_equal(fs_write_atomic(path, strbuf_str(file), 0600, NULL), ERR_OK);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql)
{
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static void tamper(const char *sql)
{
    sqlite3 *db = open_copy(&g_log->file);

    run(db, sql);
    assert_true(sqlite3_total_changes(db) > 0 || !sql[0]);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* All findings, a line each: "ns_a 15 the row …". */
static void note(void *arg, const struct audit_chain_report *report)
{
    const struct audit_finding *f = report->finding;

    if (f)
        strbuf_addf(arg, "%s %lld %s\n", f->chain, (long long)f->seq, f->what);
}

static void verify(const struct audit_keys *keys, const struct audit_head *known, struct strbuf *out)
{
    struct audit_verify_options opt = {
        .keys = keys, .chain = STR_EMPTY, .known = *known, .on_chain = note, .arg = out};
    struct audit_verify_result result;
    struct db *db = NULL;
    struct err err = ERR_INIT;

    strbuf_init(out, 1 << 16);
    assert_int_equal(audit_open_copy(g_log->copy.path, &db, NULL), ERR_OK);
    if (audit_verify_db(db, &opt, &result, &err) != ERR_OK)
        strbuf_add_cstr(out, err.message);
    else
        assert_int_equal(result.broken > 0, out->len > 0);
    db_close(db);
}

/* `expected`: one line; "" nothing is found. */
static void expect_of(const char *what, const struct strbuf *out, const char *expected)
{
    if (expected[0] ? !strstr(strbuf_cstr(out), expected) : out->len > 0)
        fail_msg("%s\nfound: %s\nexpected: %s", what, strbuf_cstr(out), expected[0] ? expected : "(nothing)");
}

static void expect(const char *sql, const char *expected)
{
    AUTO_STRBUF out;

    tamper(sql);
    verify(&g_log->keys, &g_log->head, &out);
    expect_of(sql, &out, expected);
}

void test_audit_verify__what_nobody_touched_is_whole(void **state)
{
    (void)state;
    expect("", "");
}

void test_audit_verify__each_column_of_a_row(void **state)
{
    static const char *const COLUMNS[] = {"id", "created_at", "action", "actor_kind", "actor_user_id",
        "actor_token_id", "actor_name", "client", "address", "request_id", "target_type", "target_id",
        "target_name", "before_values", "after_values", "hash"};
    static const char *const VALUES[] = {"0", "'x'", "''", "0.5"};
    AUTO_STRBUF sql;

    (void)state;
    strbuf_init(&sql, 1000);
    for (size_t i = 0; i < ARRAY_LEN(COLUMNS); i++)
        for (size_t k = 0; k < ARRAY_LEN(VALUES); k++) {
            strbuf_reset(&sql);
            strbuf_addf(
                &sql, "UPDATE audit SET %s = %s WHERE chain = 'ns_a' AND seq = 15", COLUMNS[i], VALUES[k]);
            expect(strbuf_cstr(&sql), "ns_a 15 the row does not fit its hash");
        }
}

void test_audit_verify__rows(void **state)
{
    static const struct {
        const char *sql, *expected;
    } ROWS[] = {
        {"UPDATE audit SET created_at = created_at + 0.5 WHERE chain = 'ns_a' AND seq = 15",
            "ns_a 15 the row does not fit"},
        {"UPDATE audit SET after_values = after_values || ' ' WHERE chain = 'ns_a' AND seq = 30",
            "ns_a 30 the row does not fit"},
        {"UPDATE audit SET target_name = NULL WHERE chain = 'ns_a' AND seq = 1",
            "ns_a 1 the row does not fit"},
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq = 15", "ns_a 15 the row is missing"},
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq = 1", "ns_a 1 the row is missing"},
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq BETWEEN 5 AND 8", "ns_a 5 rows 5 to 8 are missing"},
        {"DELETE FROM audit WHERE chain = 'ns_a'",
            "ns_a 1 the chain ends with row 0, but checkpoint 2 signed row 10"},
        {"DELETE FROM audit", "ns_b 1 the chain ends with row 0"},
        /* cut off */
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq > 15",
            "ns_a 16 the chain ends with row 15, but checkpoint 4 signed row 20"},
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq > 25", "ns_a 26 rows 26 to 30 are missing"},
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq = 30", "ns_a 30 the row is missing"},
        /* removed, and the rest moved up */
        {"DELETE FROM audit WHERE chain = 'ns_a' AND seq = 15;"
         "UPDATE audit SET seq = seq + 999 WHERE chain = 'ns_a' AND seq > 15;"
         "UPDATE audit SET seq = seq - 1000 WHERE chain = 'ns_a' AND seq > 900",
            "ns_a 15 the row does not fit its hash"},
        /* put in */
        {"INSERT INTO audit SELECT chain, 31, 'aud_x', created_at + 1, action, actor_kind, actor_user_id, "
         "actor_token_id,"
         " actor_name, client, address, request_id, target_type, target_id, target_name, before_values, "
         "after_values,"
         " hash FROM audit WHERE chain = 'ns_a' AND seq = 30",
            "ns_a 31 the row does not fit its hash"},
        {"DROP INDEX audit_time; UPDATE audit SET seq = seq + 1001 WHERE chain = 'ns_a' AND seq > 15;"
         "UPDATE audit SET seq = seq - 1000 WHERE chain = 'ns_a' AND seq > 900;"
         "INSERT INTO audit SELECT chain, 16, 'aud_x', created_at - 1, action, actor_kind, actor_user_id, "
         "actor_token_id,"
         " actor_name, client, address, request_id, target_type, target_id, target_name, before_values, "
         "after_values,"
         " hash FROM audit WHERE chain = 'ns_a' AND seq = 17",
            "ns_a 16 the row does not fit its hash"},
        {"DROP INDEX audit_time; CREATE TABLE copied AS SELECT * FROM audit; DROP TABLE audit; ALTER TABLE "
         "copied RENAME TO "
         "audit; INSERT INTO audit SELECT * FROM audit WHERE chain = 'ns_a' AND seq = 15",
            "ns_a 15 the row does not come after row 15"},
        /* two rows change places */
        {"UPDATE audit SET seq = 999 WHERE chain = 'ns_a' AND seq = 15;"
         "UPDATE audit SET seq = 15 WHERE chain = 'ns_a' AND seq = 16;"
         "UPDATE audit SET seq = 16 WHERE chain = 'ns_a' AND seq = 999",
            "ns_a 15 the row does not fit its hash"},
        /* between namespaces: both are named */
        {"UPDATE audit SET chain = 'x' WHERE chain = 'ns_a' AND seq = 5;"
         "UPDATE audit SET chain = 'ns_a' WHERE chain = 'ns_b' AND seq = 5;"
         "UPDATE audit SET chain = 'ns_b' WHERE chain = 'x'",
            "ns_a 5 the row does not fit its hash"},
        {"UPDATE audit SET chain = 'x' WHERE chain = 'ns_a' AND seq = 5;"
         "UPDATE audit SET chain = 'ns_a' WHERE chain = 'ns_b' AND seq = 5;"
         "UPDATE audit SET chain = 'ns_b' WHERE chain = 'x'",
            "ns_b 5 the row does not fit its hash"},
        {"UPDATE audit SET chain = 'ns_b', seq = 13 WHERE chain = 'ns_a' AND seq = 30",
            "ns_b 13 the row does not fit"},
        /* a chain under another name, or of nothing */
        {"UPDATE audit SET chain = 'ns_c' WHERE chain = 'ns_a';"
         "UPDATE audit_chain SET chain = 'ns_c' WHERE chain = 'ns_a'",
            "ns_c 1 the row does not fit its hash"},
        {"INSERT INTO audit_chain VALUES('ns_c', 3, 1, '00', 0, NULL)", "ns_c 1 rows 1 to 3 are missing"},
        /* the note of a chain's end */
        {"DELETE FROM audit_chain WHERE chain = 'ns_a'", "ns_a 0 the chain's end is not noted"},
        {"UPDATE audit_chain SET seq = 31 WHERE chain = 'ns_a'", "ns_a 31 the row is missing"},
        {"UPDATE audit_chain SET seq = 29 WHERE chain = 'ns_a'", "ns_a 30 the chain was noted to end"},
        {"UPDATE audit_chain SET hash = '00' WHERE chain = 'ns_a'", "ns_a 30 the chain was noted to end"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect(ROWS[i].sql, ROWS[i].expected);
}

void test_audit_verify__checkpoints(void **state)
{
    static const struct {
        const char *sql, *expected;
    } ROWS[] = {
        {"UPDATE audit_checkpoint SET seq = 9 WHERE number = 2", " 0 checkpoint 2 does not fit its hash"},
        {"UPDATE audit_checkpoint SET chain = 'ns_b' WHERE number = 2",
            " 0 checkpoint 2 does not fit its hash"},
        {"UPDATE audit_checkpoint SET row_hash = '00' WHERE number = 2",
            " 0 checkpoint 2 does not fit its hash"},
        {"UPDATE audit_checkpoint SET row_hash = '00' WHERE number = 2",
            "ns_a 1 one of the rows 1 to 10 is not what checkpoint 2 signed"},
        {"UPDATE audit_checkpoint SET created_at = 1 WHERE number = 2",
            " 0 checkpoint 2 does not fit its hash"},
        {"UPDATE audit_checkpoint SET key_id = 'x' WHERE number = 2",
            " 0 checkpoint 2 does not fit its hash"},
        {"UPDATE audit_checkpoint SET hash = '00' WHERE number = 2", " 0 checkpoint 2 does not fit its hash"},
        {"UPDATE audit_checkpoint SET signature = '00' WHERE number = 2",
            " 0 checkpoint 2 has a forged signature"},
        {"UPDATE audit_checkpoint SET signature = (SELECT signature FROM audit_checkpoint WHERE number = 3) "
         "WHERE number = 2",
            " 0 checkpoint 2 has a forged signature"},
        {"DELETE FROM audit_checkpoint WHERE number = 2", " 0 checkpoint 2 is missing"},
        {"DELETE FROM audit_checkpoint WHERE number = 1", " 0 checkpoint 1 is missing"},
        {"DELETE FROM audit_checkpoint WHERE number = 2; UPDATE audit_checkpoint SET number = number - 1 "
         "WHERE number > 2",
            " 0 checkpoint 2 does not fit its hash"},
        /* the last one, and all of them: nothing inside can tell, the note beside the file does */
        {"DELETE FROM audit_checkpoint WHERE number = 4",
            " 0 a checkpoint that is known from outside is not here"},
        {"DELETE FROM audit_checkpoint", " 0 a checkpoint that is known from outside is not here"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect(ROWS[i].sql, ROWS[i].expected);
}

/* --- Whoever knows the format --- */

/* Makes the hashes of a chain fit again, and the note of its end. */
static void recompute(sqlite3 *db, const char *chain)
{
    struct db wrapped = {.handle = db};
    AUTO_STMT st = DB_STMT_INIT;
    struct digest hash = {{0}};
    struct audit_row row;
    AUTO_STRBUF sql;
    char hex[AUDIT_HEX_SIZE] = "";

    strbuf_init(&sql, 1 << 20);
    assert_int_equal(
        db_query(&wrapped, "SELECT " AUDIT_ROW_COLUMNS " FROM audit WHERE chain = ?1 ORDER BY seq",
            DB_ARGS(db_text(str_of(chain))), &st, NULL),
        ERR_OK);
    while (db_row(&st)) {
        audit_map_row(&st, &row);
        hash = audit_row_digest(&hash, &row);
        audit_hex(&hash, hex);
        strbuf_addf(&sql, "UPDATE audit SET hash = '%s' WHERE chain = '%s' AND seq = %lld;", hex, chain,
            (long long)row.seq);
    }
    db_stmt_release(&st);
    for (size_t i = 0; i < DB_SLOTS; i++)
        assert_int_equal(sqlite3_finalize(wrapped.slots[i].stmt), SQLITE_OK);
    strbuf_addf(&sql,
        "UPDATE audit_chain SET hash = '%s', seq = (SELECT max(seq) FROM audit WHERE chain = '%s') WHERE "
        "chain = '%s'",
        hex, chain, chain);
    run(db, strbuf_cstr(&sql));
}

static void expect_recomputed(const char *sql, const char *expected)
{
    AUTO_STRBUF out;
    sqlite3 *db = open_copy(&g_log->file);

    run(db, sql);
    recompute(db, A);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    verify(&g_log->keys, &g_log->head, &out);
    expect_of(sql, &out, expected);
}

/* The hashes alone keep out nobody who knows the format; signatures do, and they end where the last one
 * stands. */
void test_audit_verify__a_recomputed_chain(void **state)
{
    (void)state;
    expect_recomputed("UPDATE audit SET target_name = 'x' WHERE chain = 'ns_a' AND seq = 15",
        "ns_a 11 one of the rows 11 to 20 is not what checkpoint 4 signed");
    expect_recomputed("UPDATE audit SET target_name = 'x' WHERE chain = 'ns_a' AND seq = 10",
        "ns_a 1 one of the rows 1 to 10 is not what checkpoint 2 signed");
    expect_recomputed("DELETE FROM audit WHERE chain = 'ns_a' AND seq > 19",
        "ns_a 20 the chain ends with row 19, but checkpoint 4 signed row 20");
    expect_recomputed("UPDATE audit SET created_at = created_at - 100000 WHERE chain = 'ns_a' AND seq = 25",
        "ns_a 25 the row is not later than the one before it");
    /* behind the last checkpoint nobody can tell */
    expect_recomputed("UPDATE audit SET target_name = 'x' WHERE chain = 'ns_a' AND seq = 25", "");
    expect_recomputed("DELETE FROM audit WHERE chain = 'ns_a' AND seq > 25", "");
}

/* An older copy of the whole file is a true log; only who remembers a later checkpoint can tell. */
void test_audit_verify__an_older_copy(void **state)
{
    AUTO_STRBUF without, with;
    const struct audit_head none = {.number = 0};

    (void)state;
    assert_int_equal(sqlite3_close(open_copy(&g_log->older)), SQLITE_OK);
    verify(&g_log->keys, &none, &without);
    expect_of("an older copy", &without, "");
    verify(&g_log->keys, &g_log->head, &with);
    expect_of("an older copy, and a memory", &with, " 0 a checkpoint that is known from outside is not here");
}

void test_audit_verify__another_key(void **state)
{
    AUTO_STRBUF out;
    struct audit_keys other = {.keys = {sign_key_generate()}, .count = 1};

    (void)state;
    tamper("");
    verify(&other, &g_log->head, &out);
    expect_of("another key", &out, " 0 checkpoint 1 is signed by a key (");
    audit_keys_release(&other);
}

/* A false history under a key of the forger's own. */
static void sign_anew(const char *dir)
{
    struct audit_head head;
    struct db *db = NULL;

    assert_int_equal(audit_key_ensure(dir, NULL), ERR_OK);
    assert_int_equal(db_open(tmpdir_path(&g_log->copy, "control.db"), DB_WRITE, &db, NULL), ERR_OK);
    assert_int_equal(audit_sign(db, dir, INT64_MAX, AUDIT_SIGN_ALL, &head, NULL), ERR_OK);
    db_close(db);
}

/* Where the forger's public key is believed, nothing is found: that is why it is to be kept elsewhere. A
 * checkpoint that was kept tells as well. */
void test_audit_verify__both_keys_replaced(void **state)
{
    AUTO_STRBUF believed, kept_key, kept_checkpoint;
    const struct audit_head none = {.number = 0};
    struct audit_keys forged;
    sqlite3 *db = open_copy(&g_log->file);

    (void)state;
    run(db,
        "UPDATE audit SET target_name = 'x' WHERE chain = 'ns_a' AND seq = 5; DELETE FROM audit_checkpoint;"
        "UPDATE audit_chain SET signed_seq = 0, unsigned_at = 1");
    recompute(db, A);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    sign_anew(g_log->copy.path);
    assert_int_equal(audit_keys_load(tmpdir_path(&g_log->copy, AUDIT_PUBLIC_FILE), &forged, NULL), ERR_OK);
    verify(&forged, &none, &believed);
    expect_of("the forger's key is believed", &believed, "");
    verify(&g_log->keys, &none, &kept_key);
    expect_of("the key was kept", &kept_key, " 0 checkpoint 1 is signed by a key (");
    verify(&forged, &g_log->head, &kept_checkpoint);
    expect_of(
        "a checkpoint was kept", &kept_checkpoint, " 0 a checkpoint that is known from outside is not here");
    audit_keys_release(&forged);
}

/* A chain that could not be signed, or was robbed of its signatures, says so after a while. */
void test_audit_verify__too_many_rows_without_a_checkpoint(void **state)
{
    AUTO_STRBUF out, robbed;
    const struct audit_head none = {.number = 0};
    sqlite3 *db;

    (void)state;
    add_rows(&g_log->fx, "ns_long", (int)LIMIT_AUDIT_CHECKPOINT_ROWS + 1);
    read_file(g_log, &out);
    db = open_copy(&out);
    run(db, "SELECT 1");
    strbuf_release(&out);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    verify(&g_log->keys, &none, &out);
    expect_of("signed by the one who appends", &out, "");
    db = NULL;
    assert_int_equal(sqlite3_open(tmpdir_path(&g_log->copy, "control.db"), &db), SQLITE_OK);
    run(db, "DELETE FROM audit_checkpoint");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    verify(&g_log->keys, &none, &robbed);
    expect_of("robbed", &robbed, "ns_long 1 1001 rows follow the last checkpoint");
}

/* --- Exports --- */

static bool keep(void *arg, struct str line)
{
    strbuf_add_str(arg, line);
    return true;
}

static void export_log(struct strbuf *out, const char *chain)
{
    struct db *db = NULL;

    tamper("");
    strbuf_init(out, 1 << 22);
    assert_int_equal(audit_open_copy(g_log->copy.path, &db, NULL), ERR_OK);
    assert_int_equal(audit_export(db, str_of(chain), keep, out, NULL), ERR_OK);
    db_close(db);
}

/* Findings, or the error. */
static void prove(struct str text, struct strbuf *out)
{
    struct audit_verify_options opt = {.keys = &g_log->keys, .on_chain = note, .arg = out};
    struct audit_verify_result result;
    struct audit_import in;
    struct err err = ERR_INIT;
    struct str line;
    enum err_code code = ERR_OK;

    strbuf_init(out, 1 << 16);
    audit_import_init(&in, &opt, &result);
    while (!code && text.len && str_cut(&text, '\n', &line))
        code = audit_import_line(&in, line, &err);
    if (!code)
        code = audit_import_end(&in, &err);
    if (code)
        strbuf_add_cstr(out, err.message);
}

void test_audit_verify__an_export_proves_itself(void **state)
{
    AUTO_STRBUF text, found;

    (void)state;
    export_log(&text, "");
    prove(strbuf_str(&text), &found);
    expect_of("an export", &found, "");
}

/* The first `from` becomes `to`. */
static void edit(const struct strbuf *text, const char *from, const char *to, struct strbuf *out)
{
    const char *all = strbuf_cstr(text), *at = strstr(all, from);

    strbuf_init(out, 1 << 22);
    assert_non_null(at);
    strbuf_add(out, all, (size_t)(at - all));
    strbuf_add_cstr(out, to);
    strbuf_add_cstr(out, at + strlen(from));
}

void test_audit_verify__a_changed_export(void **state)
{
    static const struct {
        const char *from, *to, *expected;
    } ROWS[] = {
        {"\"targetName\":\"Main\"", "\"targetName\":\"Mein\"", "ns_a 1 the row does not fit its hash"},
        {"\"targetName\":\"Main\"", "\"targetName\":null", "ns_a 1 the row does not fit its hash"},
        {"\"seq\":7,", "\"seq\":8,", "ns_a 7 the row is missing"},
        {"\"checkpoint\":2,", "\"checkpoint\":5,", "ns_a 0 checkpoint 5 does not fit its hash"},
        {"\"endSeq\":30", "\"endSeq\":29", "ns_a 30 the chain was noted to end"},
        {"\"holdfastAudit\":1", "\"holdfastAudit\":2", "line 1: the export has a form"},
        {"{\"holdfastAudit\":1,\"chain\":\"ns_a\"}", "", "line 1: "},
        {"\"targetName\":\"Main\"", "\"targetName\":\"Main\",\"more\":1", "line 2: "},
        {"\"targetName\":\"Main\"", "\"targetName\":1", "line 2: "},
        {"{\"chain\":\"ns_a\",\"endSeq\"", "{\"chain\":\"ns_b\",\"endSeq\"",
            "the end of a chain that did not begin"},
        {"\"chain\":\"ns_a\",\"seq\":3,", "\"chain\":\"ns_b\",\"seq\":3,", "ns_a 3 a row of another chain"},
    };
    AUTO_STRBUF text;

    (void)state;
    export_log(&text, A);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF edited, found;
        edit(&text, ROWS[i].from, ROWS[i].to, &edited);
        prove(strbuf_str(&edited), &found);
        expect_of(ROWS[i].from, &found, ROWS[i].expected);
    }
}

void test_audit_verify__a_cut_export(void **state)
{
    AUTO_STRBUF text, found, nothing;

    (void)state;
    export_log(&text, A);
    size_t last = text.len - 1;
    while (text.buf[last - 1] != '\n')
        last--;
    prove(str_make(text.buf, last), &found);
    expect_of("without its end", &found, "the file ends in the middle of a chain");
    prove(STR_EMPTY, &nothing);
    expect_of("an empty file", &nothing, "the file holds no chain");
}
