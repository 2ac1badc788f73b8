/* The first start of a data directory: whole or not at all. */
#include "bootstrap/bootstrap.h"
#include "account/account.h"
#include "audit/checkpoint.h"
#include "lib/fault.h"
#include "lib/faultio.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include "registry/registry.h"
#include "lib/control_fixture.h"
#include "sqlite/control.h"
#include "token/token.h"
#include <errno.h>
#include <sys/stat.h>

static struct bootstrap_new wish(const char *dir)
{
    return (struct bootstrap_new){.by = &TEST_ACTOR,
        .data_dir = dir,
        .email = S("ada@example.com"),
        .password = S("long enough, surely"),
        .namespace_slug = S("acme")};
}

static enum bootstrap_state look(const char *dir)
{
    enum bootstrap_state state;

    assert_int_equal(bootstrap_look(dir, &state, NULL), ERR_OK);
    return state;
}

static void expect_audit(struct db *db, struct str chain, const char *expected)
{
    AUTO_STMT st = DB_STMT_INIT;
    AUTO_STRBUF actions;

    strbuf_init(&actions, 1000);
    assert_int_equal(db_query(db, "SELECT action FROM audit WHERE chain = ?1 ORDER BY seq",
                         DB_ARGS(db_text(chain)), &st, NULL),
        ERR_OK);
    while (db_row(&st)) {
        strbuf_add_str(&actions, db_col_text(&st, 0));
        strbuf_add_char(&actions, ' ');
    }
    assert_string_equal(strbuf_cstr(&actions), expected);
}

/* What a whole directory has: an owner, a token that opens its namespace, a healthy `main`. */
static void expect_whole(const char *dir, const struct bootstrap_result *made)
{
    struct control control;
    struct db *db = NULL;
    struct account owner;
    struct identity *who = NULL;
    struct registry_entry database;
    struct digest hash;
    struct registry_recovery r;
    struct audit_start start;
    const struct registry_disk disk = {.data_dir = dir};

    assert_int_equal(look(dir), BOOTSTRAP_READY);
    assert_int_equal(control_open(dir, CONTROL_CURRENT, &control, NULL), ERR_OK);
    assert_int_equal(control_connect(&control, DB_WRITE, &db, NULL), ERR_OK);
    assert_int_equal(registry_recover(db, &disk, &r, NULL), ERR_OK); /* as the server does at its start */
    assert_int_equal(audit_begin(db, dir, &start, NULL), ERR_OK);
    assert_false(start.rolled_back);
    assert_int_equal(account_get(db, S("ada@example.com"), &owner, NULL), ERR_OK);
    assert_int_equal(token_parse(secret_reveal(&made->token), &hash, NULL), ERR_OK);
    assert_int_equal(token_lookup(db, &hash, &who, NULL), ERR_OK);
    assert_int_equal(who->role, WIRE_ROLE_ADMIN);
    expect_audit(db, id_str(&who->namespace_id),
        "namespace.created namespace.member_added database.created token.created ");
    expect_audit(db, S("server"), "user.created audit.key_used ");
    assert_string_equal(who->namespace_slug, made->namespace_slug);
    assert_int_equal(registry_lookup(db, S("acme"), S(BOOTSTRAP_DATABASE), &database, NULL), ERR_OK);
    assert_int_equal(db_check_integrity(db, NULL), ERR_OK);
    identity_free(who);
    db_close(db);
    control_close(&control);
}

void test_bootstrap__fills_an_empty_directory_once(void **state)
{
    AUTO_TMPDIR dir;
    struct bootstrap_result made;
    struct err err = ERR_INIT;
    struct stat st;
    int lock = -1, second = -1;

    (void)state;
    tmpdir_init(&dir);
    const char *data = tmpdir_path(&dir, "a");
    struct bootstrap_new in = wish(data);
    assert_int_equal(look(data), BOOTSTRAP_EMPTY);
    assert_int_equal(bootstrap_lock(data, &lock, &err), ERR_OK);
    assert_int_equal(bootstrap_lock(data, &second, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "in use by process"));
    assert_int_equal(bootstrap_run(&in, &made, &err), ERR_OK);
    expect_whole(data, &made);
    assert_int_equal(stat(data, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    secret_release(&made.token);
    assert_int_equal(bootstrap_run(&in, &made, &err), ERR_CONFLICT);
    fd_close(&lock);
}

void test_bootstrap__leaves_what_is_not_its_own(void **state)
{
    static const struct {
        const char *name;
        enum bootstrap_state state;
    } ROWS[] = {{"lock", BOOTSTRAP_EMPTY}, {"control.gen", BOOTSTRAP_EMPTY}, {"init.tmp", BOOTSTRAP_EMPTY},
        {"lost+found", BOOTSTRAP_EMPTY}, {"db", BOOTSTRAP_FOREIGN}, {"trash", BOOTSTRAP_FOREIGN},
        {".profile", BOOTSTRAP_FOREIGN}, {"control.db", BOOTSTRAP_READY}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_TMPDIR dir;
        tmpdir_init(&dir);
        assert_int_equal(fs_write_atomic(tmpdir_path(&dir, ROWS[i].name), S("x"), 0600, NULL), ERR_OK);
        assert_int_equal(look(dir.path), ROWS[i].state);
        struct bootstrap_new in = wish(dir.path);
        struct bootstrap_result made = {.token = SECRET_INIT};
        enum err_code code = bootstrap_run(&in, &made, NULL);
        assert_int_equal(code, ROWS[i].state == BOOTSTRAP_EMPTY ? ERR_OK : ERR_CONFLICT);
        secret_release(&made.token);
    }
}

void test_bootstrap__wishes_are_checked_first(void **state)
{
    AUTO_TMPDIR dir;
    struct bootstrap_result made = {.token = SECRET_INIT};
    struct err err = ERR_INIT;

    (void)state;
    tmpdir_init(&dir);
    struct bootstrap_new bad_email = wish(dir.path), bad_password = wish(dir.path), bad_slug = wish(dir.path);
    bad_email.email = S("ada");
    bad_password.password = S("short");
    bad_slug.namespace_slug = S("v1");
    assert_int_equal(bootstrap_run(&bad_email, &made, &err), ERR_INVALID);
    assert_string_equal(err.pointer, "/email");
    assert_int_equal(bootstrap_run(&bad_password, &made, &err), ERR_INVALID);
    assert_string_equal(err.pointer, "/password");
    assert_int_equal(bootstrap_run(&bad_slug, &made, &err), ERR_INVALID);
    assert_string_equal(err.pointer, "/namespace");
    assert_int_equal(look(dir.path), BOOTSTRAP_EMPTY);
    assert_false(fs_exists(tmpdir_path(&dir, "init.tmp")));
}

/* Writes, fsyncs and renames fail in turn, SQLite's too. There are several hundred by now, most of them pages
 * of migrations that SQLite writes alike, and each attempt hashes a password: so not each of them fails
 * (fault_step), and of neighbours one with each error. */
void test_bootstrap__is_all_or_nothing_when_io_fails(void **state)
{
    static const int ERRORS[] = {EIO, ENOSPC};
    unsigned failed = 0;

    (void)state;
    for (size_t e = 0; e < ARRAY_LEN(ERRORS); e++) {
        bool fired = true;
        unsigned nth = fault_all() ? 1 : 1 + (unsigned)e;
        for (; fired; nth = fault_all() ? nth + 1 : fault_step(fault_step(nth))) {
            AUTO_TMPDIR dir;
            struct bootstrap_result made = {.token = SECRET_INIT};
            tmpdir_init(&dir);
            struct bootstrap_new in = wish(dir.path);
            faultio_arm((int)nth, ERRORS[e]);
            enum err_code code = bootstrap_run(&in, &made, NULL);
            fired = faultio_disarm();
            if (code) {
                failed++;
                assert_int_equal(made.token.len, 0);
                if (look(dir.path) == BOOTSTRAP_READY)
                    continue; /* the rename was done and only its fsync failed: the directory is whole, the
                                 token is lost */
                assert_int_equal(look(dir.path), BOOTSTRAP_EMPTY);
                assert_int_equal(bootstrap_run(&in, &made, NULL), ERR_OK);
            }
            expect_whole(dir.path, &made);
            secret_release(&made.token);
        }
        assert_in_range(nth, 10, 2000);
    }
    assert_in_range(failed, 10, 1000);
}
