/* The audit log: what a row holds, how rows hang together, and that they live and die with the change they
 * record. */
#include "audit/audit.h"
#include "audit/chain.h"
#include "audit/checkpoint.h"
#include "audit/intent.h"
#include "audit/key.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "lib/control_fixture.h"
#include "lib/fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#define ROW_AT                                                                                               \
    "SELECT chain, seq, id, created_at, action, actor_kind, actor_user_id, actor_token_id, actor_name, "     \
    "client, address, request_id, target_type, target_id, target_name, before_values, after_values, hash "   \
    "FROM audit WHERE chain = ?1 AND seq = ?2"

static const struct id NAMESPACE = {"ns_of_this_test"};
static const struct actor CLI = {.kind = ACTOR_CLI, .name = {"ada", 3}, .client = {"holdfast test", 13}};

static struct audit_event event(const char *target)
{
    return (struct audit_event){.by = &CLI,
        .action = AUDIT_DATABASE_CREATED,
        .namespace_id = &NAMESPACE,
        .target_id = str_of(target),
        .target_name = S("Main")};
}

static enum err_code append(struct control_fixture *fx, const struct audit_event *e, struct err *err)
{
    enum err_code code = tx_begin_write(fx->db, err);

    return code ? code : tx_end(fx->db, audit_append(fx->db, e, err), err);
}

static int64_t count_rows(struct control_fixture *fx)
{
    AUTO_STMT st = DB_STMT_INIT;

    assert_int_equal(db_query_one(fx->db, "SELECT count(*) FROM audit WHERE chain = ?1",
                         DB_ARGS(db_text(id_str(&NAMESPACE))), &st, NULL),
        ERR_OK);
    return db_col_int(&st, 0);
}

static void text_column(struct db_stmt *st, int column, const char *expected)
{
    struct str text = db_col_text(st, column);

    if (!expected) {
        assert_null(text.ptr);
        return;
    }
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.ptr, expected, text.len);
}

/* The format as its header describes it, written down a second time. */
static void encode_text(struct strbuf *out, struct str text)
{
    if (!text.ptr) {
        strbuf_add_char(out, 'n');
        return;
    }
    strbuf_add_char(out, 't');
    for (int shift = 24; shift >= 0; shift -= 8)
        strbuf_add_char(out, (char)(text.len >> shift));
    strbuf_add_str(out, text);
}

static void encode_int(struct strbuf *out, int64_t value)
{
    strbuf_add_char(out, 'i');
    for (int shift = 56; shift >= 0; shift -= 8)
        strbuf_add_char(out, (char)((uint64_t)value >> shift));
}

static struct digest expected_hash(struct db_stmt *st, const struct digest *before)
{
    AUTO_STRBUF bytes;

    strbuf_init(&bytes, 1 << 16);
    strbuf_add_cstr(&bytes, "holdfast audit row 1\n");
    strbuf_add_str(&bytes, digest_str(before));
    for (int i = 0; i < 17; i++) {
        if (i == 1 || i == 3)
            encode_int(&bytes, db_col_int(st, i));
        else
            encode_text(&bytes, db_col_text(st, i));
    }
    return digest_sha256(strbuf_str(&bytes));
}

/* Checks the stored hash of a row against the format and returns it. */
static struct digest check_row(struct control_fixture *fx, int64_t seq, struct digest before)
{
    AUTO_STMT st = DB_STMT_INIT;
    AUTO_STRBUF hex;

    strbuf_init(&hex, 64);
    assert_int_equal(
        db_query_one(fx->db, ROW_AT, DB_ARGS(db_text(id_str(&NAMESPACE)), db_int(seq)), &st, NULL), ERR_OK);
    struct digest hash = expected_hash(&st, &before);
    digest_hex(&hex, &hash);
    text_column(&st, 17, strbuf_cstr(&hex));
    return hash;
}

void test_audit__a_row_says_who_did_what_to_what(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STMT st = DB_STMT_INIT;
    struct id token = id_new("tok");
    const struct str tables[] = {S("a"), S("b\"")};

    (void)state;
    control_fixture_init(&fx);
    struct actor by = {.kind = ACTOR_TOKEN,
        .token_id = token,
        .client = S("curl/8.0"),
        .address = S("203.0.113.7"),
        .request_id = S("req_1")};
    struct audit_event e = event("db_1");
    e.by = &by;
    e.before = AUDIT_VALUES(audit_null("name"), audit_bool("open", true));
    e.after = AUDIT_VALUES(audit_text("name", S("caf\xc3\xa9")), audit_int("n", INT64_MIN),
        audit_list("tables", tables, 2), audit_text_or_null("x", STR_EMPTY), audit_time("y", 0),
        audit_time("z", 1500));
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    assert_int_equal(
        db_query_one(fx.db, ROW_AT, DB_ARGS(db_text(id_str(&NAMESPACE)), db_int(1)), &st, NULL), ERR_OK);
    assert_true(id_valid(db_col_text(&st, 2), "aud"));
    text_column(&st, 4, "database.created");
    text_column(&st, 5, "token");
    text_column(&st, 6, NULL);
    text_column(&st, 7, token.text);
    text_column(&st, 8, NULL);
    text_column(&st, 9, "curl/8.0");
    text_column(&st, 10, "203.0.113.7");
    text_column(&st, 11, "req_1");
    text_column(&st, 12, "database");
    text_column(&st, 13, "db_1");
    text_column(&st, 14, "Main");
    text_column(&st, 15, "{\"name\":null,\"open\":true}");
    text_column(&st, 16,
        "{\"name\":\"caf\xc3\xa9\",\"n\":-9223372036854775808,\"tables\":[\"a\",\"b\\\"\"],\"x\":null,\"y\":"
        "null,\"z\":\"1970-01-01T00:00:01.500Z\"}");
}

void test_audit__each_row_hangs_on_the_one_before(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct digest hash = {{0}};

    (void)state;
    control_fixture_init(&fx);
    for (int64_t seq = 1; seq <= 5; seq++) {
        struct audit_event e = event("db_1");
        assert_int_equal(append(&fx, &e, NULL), ERR_OK);
        hash = check_row(&fx, seq, hash);
    }
}

/* A page that begins at a time must neither repeat nor lose a row. */
void test_audit__times_rise_when_the_clock_does_not(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STMT st = DB_STMT_INIT;

    (void)state;
    control_fixture_init(&fx);
    clock_test_set(0, 5000);
    for (int i = 0; i < 3; i++) {
        struct audit_event e = event("db_1");
        assert_int_equal(append(&fx, &e, NULL), ERR_OK);
        clock_test_set(0, 5000 - i);
    }
    clock_test_stop();
    assert_int_equal(db_query(fx.db, "SELECT created_at FROM audit WHERE chain = ?1 ORDER BY seq",
                         DB_ARGS(db_text(id_str(&NAMESPACE))), &st, NULL),
        ERR_OK);
    for (int64_t at = 5000; at < 5003; at++) {
        assert_true(db_row(&st));
        assert_int_equal(db_col_int(&st, 0), at);
    }
    assert_false(db_row(&st));
}

void test_audit__texts_of_strangers_are_cut_and_cleaned(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STMT st = DB_STMT_INIT;
    char wide[301], expected[301];
    struct str items[40];

    (void)state;
    control_fixture_init(&fx);
    memset(wide, 'x', sizeof wide);
    memcpy(wide + 199, "\xc3\xa9", 2); /* would be cut in two */
    memset(expected, 'x', sizeof expected);
    expected[199] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        items[i] = S("t");
    struct actor by = {.kind = ACTOR_CLI,
        .name = str_make(wide, 300),
        .client = S("a\r\nb\x1b[1m"),
        .address = S("\xff\xc3\xa9")};
    struct audit_event e = event("db_1");
    e.by = &by;
    e.after = AUDIT_VALUES(audit_text("name", str_make(wide, 300)), audit_list("t", items, ARRAY_LEN(items)));
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    assert_int_equal(
        db_query_one(fx.db, ROW_AT, DB_ARGS(db_text(id_str(&NAMESPACE)), db_int(1)), &st, NULL), ERR_OK);
    text_column(&st, 8, expected);
    text_column(&st, 9, "a??b?[1m");
    text_column(&st, 10, "???");
    struct str after = db_col_text(&st, 16);
    assert_true(str_ends(after, S("\"t\",\"t\",\"and 9 more\"]}")));
    assert_true(utf8_valid(after));
}

/* A namespace and the server have chains of their own. */
void test_audit__chains_are_apart(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STMT st = DB_STMT_INIT;
    struct id other = id_new("ns");

    (void)state;
    control_fixture_init(&fx);
    struct audit_event e = event("db_1");
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    e.namespace_id = &other;
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    assert_int_equal(db_query_one(fx.db,
                         "SELECT seq, signed_seq, unsigned_at IS NOT NULL FROM audit_chain WHERE chain = ?1",
                         DB_ARGS(db_text(id_str(&other))), &st, NULL),
        ERR_OK);
    assert_int_equal(db_col_int(&st, 0), 1);
    assert_int_equal(db_col_int(&st, 1), 0);
    assert_true(db_col_int(&st, 2));
}

void test_audit__a_change_that_is_rolled_back_leaves_no_row(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct audit_event e;

    (void)state;
    control_fixture_init(&fx);
    e = event("db_1");
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(audit_append(fx.db, &e, NULL), ERR_OK);
    tx_rollback(fx.db);
    assert_int_equal(count_rows(&fx), 0);
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    (void)check_row(&fx, 1, (struct digest){{0}});
}

static void append_under(enum fault_kind kind)
{
    struct digest hash = {{0}};
    int64_t rows = 0;

    fault_start(kind);
    AUTO_CONTROL_FIXTURE fx;
    control_fixture_init(&fx);
    const struct audit_event e = event("db_1");
    while (fault_next()) {
        fault_off();
        control_fixture_reopen(&fx); /* no cached statements: preparing may fail too */
        fault_rearm();
        bool done = append(&fx, &e, NULL) == ERR_OK;
        fault_off();
        rows += done;
        control_fixture_reopen(&fx);
        assert_int_equal(count_rows(&fx), rows);
        if (done)
            hash = check_row(&fx, rows, hash);
    }
    assert_in_range(fault_points(), 1, 2000);
}

void test_audit__a_row_is_whole_or_not_there_without_memory(void **state)
{
    (void)state;
    append_under(FAULT_SQLITE_MEM);
}

void test_audit__a_row_is_whole_or_not_there_on_a_full_disk(void **state)
{
    (void)state;
    append_under(FAULT_SQLITE_WRITE);
}

void test_audit__a_row_is_whole_or_not_there_when_fsync_fails(void **state)
{
    (void)state;
    append_under(FAULT_SQLITE_SYNC);
}

/* --- Checkpoints --- */

static int64_t query_int(struct control_fixture *fx, const char *what)
{
    AUTO_STMT st = DB_STMT_INIT;

    assert_int_equal(db_query_one_literal(fx->db, what, DB_NO_ARGS, &st, NULL), ERR_OK);
    return db_col_int(&st, 0);
}

void test_audit__what_is_old_enough_is_signed(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct audit_head head;
    const struct audit_event e = event("db_1");

    (void)state;
    control_fixture_init(&fx); /* its own namespace has a row of now */
    assert_int_equal(audit_key_ensure(fx.dir.path, NULL), ERR_OK);
    clock_test_set(0, 5000);
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    clock_test_set(0, 9000);
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    clock_test_stop();
    assert_int_equal(audit_sign(fx.db, fx.dir.path, 4999, AUDIT_SIGN_ALL, &head, NULL), ERR_OK);
    assert_int_equal(head.number, 0);
    assert_int_equal(audit_sign(fx.db, fx.dir.path, 5000, AUDIT_SIGN_ALL, &head, NULL), ERR_OK);
    assert_int_equal(head.number, 1);
    assert_int_equal(query_int(&fx, "SELECT seq FROM audit_checkpoint WHERE chain = 'ns_of_this_test'"), 2);
    assert_int_equal(
        audit_sign(fx.db, fx.dir.path, INT64_MAX, AUDIT_SIGN_ALL, &head, NULL), ERR_OK); /* the fixture's */
    assert_int_equal(
        audit_sign(fx.db, fx.dir.path, INT64_MAX, AUDIT_SIGN_ALL, &head, NULL), ERR_OK); /* nothing is left */
    assert_int_equal(head.number, 2);
    struct audit_head noted;
    assert_int_equal(audit_head_read(fx.dir.path, &noted, NULL), ERR_OK);
    assert_int_equal(noted.number, 2);
    assert_true(digest_eq(&noted.hash, &head.hash));
}

/* Others want to write too. */
void test_audit__not_too_many_are_signed_at_once(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct audit_head head;
    struct audit_event e = event("db_1");

    (void)state;
    control_fixture_init(&fx); /* one chain of its own */
    assert_int_equal(audit_key_ensure(fx.dir.path, NULL), ERR_OK);
    for (int i = 0; i < 70; i++) {
        struct id ns = id_new("ns");
        e.namespace_id = &ns;
        assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    }
    assert_int_equal(audit_sign(fx.db, fx.dir.path, INT64_MAX, 1, &head, NULL), ERR_OK);
    assert_int_equal(head.number, 64);
    assert_int_equal(audit_sign(fx.db, fx.dir.path, INT64_MAX, AUDIT_SIGN_ALL, &head, NULL), ERR_OK);
    assert_int_equal(head.number, 71);
}

/* The rows stand, and are signed when there is a key. */
void test_audit__a_key_that_is_missing_stops_no_change(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    const struct audit_event e = event("db_1");
    struct audit_head head;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    for (int64_t i = 0; i < LIMIT_AUDIT_CHECKPOINT_ROWS + 5; i++)
        assert_int_equal(audit_append(fx.db, &e, NULL), ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(query_int(&fx, "SELECT count(*) FROM audit_checkpoint"), 0);
    assert_int_equal(audit_sign(fx.db, fx.dir.path, INT64_MAX, AUDIT_SIGN_ALL, &head, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, AUDIT_KEY_FILE));
    assert_int_equal(audit_key_ensure(fx.dir.path, NULL), ERR_OK);
    assert_int_equal(append(&fx, &e, NULL), ERR_OK);
    assert_int_equal(query_int(&fx, "SELECT count(*) FROM audit_checkpoint"), 1);
    assert_int_equal(query_int(&fx, "SELECT signed_seq FROM audit_chain WHERE chain = 'ns_of_this_test'"),
        LIMIT_AUDIT_CHECKPOINT_ROWS + 6);
}

void test_audit__signing_is_all_or_nothing_without_memory(void **state)
{
    const struct audit_event e = event("db_1");
    struct audit_head head;

    (void)state;
    fault_start(FAULT_SQLITE_MEM);
    AUTO_CONTROL_FIXTURE fx;
    control_fixture_init(&fx);
    assert_int_equal(audit_key_ensure(fx.dir.path, NULL), ERR_OK);
    while (fault_next()) {
        fault_off();
        assert_int_equal(append(&fx, &e, NULL), ERR_OK);
        control_fixture_reopen(&fx);
        fault_rearm();
        err_ignore(audit_sign(fx.db, fx.dir.path, INT64_MAX, AUDIT_SIGN_ALL, &head, NULL));
        fault_off();
        control_fixture_reopen(&fx);
        assert_int_equal(
            query_int(&fx,
                "SELECT count(*) FROM audit_chain c WHERE signed_seq != coalesce((SELECT max(seq) FROM "
                "audit_checkpoint p WHERE p.chain = c.chain), 0) OR (signed_seq = seq) != (unsigned_at IS "
                "NULL)"),
            0);
    }
    assert_in_range(fault_points(), 1, 2000);
}

void test_audit__a_start_announces_its_key_once(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct audit_start start;
    struct audit_keys keys;

    (void)state;
    control_fixture_init(&fx);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(audit_begin(fx.db, fx.dir.path, &start, NULL), ERR_OK);
        assert_false(start.rolled_back);
        assert_int_equal(query_int(&fx, "SELECT count(*) FROM audit WHERE action = 'audit.key_used'"), 1);
    }
    assert_int_equal(unlink(tmpdir_path(&fx.dir, AUDIT_KEY_FILE)), 0);
    assert_int_equal(audit_begin(fx.db, fx.dir.path, &start, NULL), ERR_OK);
    assert_int_equal(query_int(&fx, "SELECT count(*) FROM audit WHERE action = 'audit.key_used'"), 2);
    assert_int_equal(audit_keys_load(tmpdir_path(&fx.dir, AUDIT_PUBLIC_FILE), &keys, NULL), ERR_OK);
    assert_int_equal(keys.count, 2);
    audit_keys_release(&keys);
}

void test_audit__heads_as_text(void **state)
{
    static const char *const BAD[] = {
        "", "1", ":", "1:", "0:00", "-1:00", "x:00", "1:zz", "1:00", "99999999999999999999:00"};
    struct audit_head head = {.number = 57}, again;
    char text[AUDIT_HEAD_SIZE];

    (void)state;
    memset(head.hash.bytes, 0xab, DIGEST_BYTES);
    audit_head_text(&head, text);
    assert_true(audit_head_parse(str_of(text), &again));
    assert_int_equal(again.number, 57);
    assert_true(digest_eq(&again.hash, &head.hash));
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        assert_false(audit_head_parse(str_of(BAD[i]), &again));
}

/* --- Changes elsewhere --- */

static struct id intend(struct control_fixture *fx, const char *target)
{
    const struct audit_event e = {.by = &CLI,
        .action = AUDIT_DATABASE_DESCRIBED,
        .namespace_id = &NAMESPACE,
        .target_id = str_of(target),
        .after = AUDIT_VALUES(audit_text("table", S("t\"1")))};
    struct id id;
    assert_int_equal(tx_begin_write(fx->db, NULL), ERR_OK);
    assert_int_equal(tx_end(fx->db, audit_intend(fx->db, &e, &id, NULL), NULL), ERR_OK);
    return id;
}

static enum err_code settle(struct control_fixture *fx, const struct id *id, enum audit_outcome outcome)
{
    enum err_code code = tx_begin_write(fx->db, NULL);
    return code ? code : tx_end(fx->db, audit_settle(fx->db, id, outcome, NULL), NULL);
}

static void expect_last(struct control_fixture *fx, int64_t seq, const char *target, const char *after)
{
    AUTO_STMT st = DB_STMT_INIT;
    assert_int_equal(
        db_query_one(fx->db, ROW_AT, DB_ARGS(db_text(id_str(&NAMESPACE)), db_int(seq)), &st, NULL), ERR_OK);
    text_column(&st, 4, "database.described");
    text_column(&st, 5, "cli");
    text_column(&st, 8, "ada");
    text_column(&st, 13, target);
    text_column(&st, 16, after);
}

void test_audit__a_change_elsewhere_is_noted_before_and_appended_after(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    int64_t left;
    (void)state;
    control_fixture_init(&fx);
    struct id done = intend(&fx, "one"), refused = intend(&fx, "two"), riddle = intend(&fx, "three");
    struct id lost = intend(&fx, "four");
    assert_int_equal(count_rows(&fx), 0); /* nothing has happened yet */
    assert_int_equal(settle(&fx, &done, AUDIT_DONE), ERR_OK);
    assert_int_equal(settle(&fx, &refused, AUDIT_NOT_DONE), ERR_OK);
    assert_int_equal(settle(&fx, &riddle, AUDIT_UNKNOWN), ERR_OK);
    assert_int_equal(settle(&fx, &done, AUDIT_DONE), ERR_OK); /* once */
    assert_int_equal(count_rows(&fx), 2);
    expect_last(&fx, 1, "one", "{\"table\":\"t\\\"1\"}");
    expect_last(&fx, 2, "three", "{\"table\":\"t\\\"1\",\"outcome\":\"unknown\"}");
    assert_int_equal(audit_settle_left(fx.db, &left, NULL), ERR_OK);
    assert_int_equal(left, 1);
    expect_last(&fx, 3, "four", "{\"table\":\"t\\\"1\",\"outcome\":\"unknown\"}");
    assert_int_equal(audit_settle_left(fx.db, &left, NULL), ERR_OK);
    assert_int_equal(left, 0);
    assert_int_equal(settle(&fx, &lost, AUDIT_DONE), ERR_OK);
    assert_int_equal(count_rows(&fx), 3);
}

void test_audit__what_was_before_may_become_known_with_the_change(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STMT st = DB_STMT_INIT;
    (void)state;
    control_fixture_init(&fx);
    struct id id = intend(&fx, "one");
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(tx_end(fx.db,
                         audit_settle_told(fx.db, &id, AUDIT_DONE,
                             AUDIT_VALUES(audit_text("using", S("a = 1")), audit_null("withCheck")), NULL),
                         NULL),
        ERR_OK);
    assert_int_equal(
        db_query_one(fx.db, ROW_AT, DB_ARGS(db_text(id_str(&NAMESPACE)), db_int(1)), &st, NULL), ERR_OK);
    text_column(&st, 15, "{\"using\":\"a = 1\",\"withCheck\":null}");
    text_column(&st, 16, "{\"table\":\"t\\\"1\"}");
}

/* The row and the end of its note are one: after any failure the note can be settled again. */
void test_audit__settling_is_all_or_nothing(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    (void)state;
    fault_start(FAULT_SQLITE_MEM);
    control_fixture_init(&fx);
    struct id id = intend(&fx, "one");
    bool done = false;
    while (fault_next()) {
        fault_off();
        control_fixture_reopen(&fx);
        fault_rearm();
        done |= settle(&fx, &id, AUDIT_DONE) == ERR_OK;
        fault_off();
        control_fixture_reopen(&fx);
        assert_int_equal(count_rows(&fx), done);
    }
    assert_true(done);
    assert_in_range(fault_points(), 1, 2000);
}
