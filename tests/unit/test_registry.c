/* The registry: slugs, the life of a database on disk and in the table, crashes between the two, faults in
 * every write. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "lib/control_fixture.h"
#include "lib/fault.h"
#include "registry/registry_internal.h"
#include "sqlite/generation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code create(
    struct control_fixture *fx, const char *slug, struct registry_entry *e, struct err *err)
{
    return registry_create(
        fx->db, &fx->disk, &TEST_ACTOR, &fx->tenant.id, str_of(slug), STR_EMPTY, STR_EMPTY, e, err);
}

static bool on_disk(const struct control_fixture *fx, const char *folder, const struct registry_entry *e)
{
    char path[FS_PATH_MAX];

    fs_join(path, tmpdir_path(&fx->dir, folder), e->id.text);
    return fs_exists(path);
}

static void put_file(
    const struct control_fixture *fx, const struct registry_entry *e, const char *name, size_t size)
{
    static char zeroes[10000];
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];

    registry_path(dir, fx->dir.path, id_str(&e->id));
    fs_join(path, dir, name);
    assert_int_equal(fs_write_atomic(path, str_make(zeroes, size), 0600, NULL), ERR_OK);
}

static enum registry_status status_of(struct control_fixture *fx, const struct registry_entry *e)
{
    struct registry_entry now;

    assert_int_equal(store_get(fx->db, id_str(&e->id), &now, NULL), ERR_OK);
    return now.status;
}

static void move_row(struct control_fixture *fx, struct registry_entry *e, enum registry_status to)
{
    assert_int_equal(tx_begin_write(fx->db, NULL), ERR_OK);
    assert_int_equal(store_move(fx->db, e, to, NULL), ERR_OK);
    assert_int_equal(tx_commit(fx->db, NULL), ERR_OK);
}

static struct registry_recovery recover(struct control_fixture *fx)
{
    struct registry_recovery r;

    control_fixture_reopen(fx);
    assert_int_equal(registry_recover(fx->db, &fx->disk, &r, NULL), ERR_OK);
    return r;
}

void test_registry__a_new_database_has_a_private_directory(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry e, found;
    struct stat st;
    char path[FS_PATH_MAX];

    (void)state;
    control_fixture_init(&fx);
    uint64_t before = generation_get(fx.control.gen);
    assert_int_equal(registry_create(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("orders"),
                         S("Orders \xe2\x82\xac"), S("weur"), &e, NULL),
        ERR_OK);
    assert_true(generation_get(fx.control.gen) > before);
    registry_path(path, fx.dir.path, id_str(&e.id));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(registry_lookup(fx.db, S("acme"), S("orders"), &found, NULL), ERR_OK);
    assert_string_equal(found.id.text, e.id.text);
    assert_string_equal(found.name, "Orders \xe2\x82\xac");
    assert_string_equal(found.region, "weur");
    assert_string_equal(found.namespace_slug, "acme");
    assert_int_equal(found.status, REGISTRY_HEALTHY);
    assert_int_equal(registry_bytes(fx.dir.path, id_str(&e.id)), 0);
    put_file(&fx, &e, "main.db", 5000);
    put_file(&fx, &e, "main.db-wal", 700);
    assert_int_equal(registry_bytes(fx.dir.path, id_str(&e.id)), 5700);
}

void test_registry__names_and_slugs_are_checked(void **state)
{
    static char long_name[300];
    const struct {
        const char *slug;
        struct str name;
        enum err_code code;
        const char *pointer;
    } ROWS[] = {
        {"", S(""), ERR_INVALID, "/slug"},
        {"Orders", S(""), ERR_INVALID, "/slug"},
        {"restore", S(""), ERR_INVALID, "/slug"},
        {"good", str_make(long_name, 201), ERR_INVALID, "/name"},
        {"good", S("\xed\xa0\x80"), ERR_INVALID, "/name"},
        {"good", S("a\0b"), ERR_INVALID, "/name"},
        {"taken", S(""), ERR_CONFLICT, ""},
    };
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry e;

    (void)state;
    control_fixture_init(&fx);
    memset(long_name, 'n', sizeof long_name);
    assert_int_equal(create(&fx, "taken", &e, NULL), ERR_OK);
    assert_string_equal(e.name, "taken");
    assert_string_equal(e.region, "auto");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(registry_create(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, str_of(ROWS[i].slug),
                             ROWS[i].name, S("mars"), &e, &err),
            ROWS[i].code);
        assert_string_equal(err.pointer, ROWS[i].pointer);
    }
    int64_t live;
    assert_int_equal(store_count_live(fx.db, &fx.tenant.id, &live, NULL), ERR_OK);
    assert_int_equal(live, 1);
}

void test_registry__lookup_tells_absent_from_unfinished(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry e, found;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    assert_int_equal(registry_lookup(fx.db, S("acme"), S("none"), &found, &err), ERR_NOT_FOUND);
    assert_int_equal(registry_lookup(fx.db, S("none"), S("main"), &found, &err), ERR_NOT_FOUND);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(
        registry_create_intent(fx.db, &TEST_ACTOR, &fx.tenant.id, S("main"), S(""), S(""), &e, NULL), ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(registry_lookup(fx.db, S("acme"), S("main"), &found, &err), ERR_UNAVAILABLE);
    assert_int_equal(err.retry_after_s, 1);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &found, &err), ERR_CONFLICT);
}

void test_registry__pages_are_in_order_of_creation(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_ARENA arena;
    struct registry_entry e, *rows = NULL;
    size_t count = 0;
    int64_t total = 0;

    (void)state;
    control_fixture_init(&fx);
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < 5; i++) {
        char slug[8];
        (void)snprintf(slug, sizeof slug, "d%d", 4 - i);
        clock_test_set(1, 1000 + i);
        assert_int_equal(create(&fx, slug, &e, NULL), ERR_OK);
    }
    clock_test_stop();
    assert_int_equal(registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("d4"), &e, NULL), ERR_OK);
    assert_int_equal(
        registry_list(fx.db, &arena, &fx.tenant.id, 2, 3, false, &rows, &count, &total, NULL), ERR_OK);
    assert_int_equal(total, 4);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].slug, "d0");
    assert_int_equal(
        registry_list(fx.db, &arena, &fx.tenant.id, 1, 100, false, &rows, &count, &total, NULL), ERR_OK);
    assert_int_equal(count, 4);
    assert_string_equal(rows[0].slug, "d3");
    assert_int_equal(
        registry_list(fx.db, &arena, &fx.tenant.id, 3, 3, false, &rows, &count, &total, NULL), ERR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(registry_list_all(fx.db, &arena, &rows, &count, NULL), ERR_OK);
    assert_int_equal(count, 5);
}

static void note(void *arg, struct str db_id)
{
    strbuf_addf(arg, STR_FMT " ", STR_ARG(db_id));
}

void test_registry__deleted_comes_back_with_its_files(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    AUTO_STRBUF evicted;
    struct registry_entry e, back;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    strbuf_init(&evicted, 1000);
    assert_int_equal(create(&fx, "main", &e, NULL), ERR_OK);
    put_file(&fx, &e, "main.db", 10);
    fx.disk.evict = note;
    fx.disk.arg = &evicted;
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, NULL), ERR_OK);
    assert_int_equal(back.status, REGISTRY_DELETED);
    assert_true(back.deleted_at > 0);
    assert_true(str_starts(strbuf_str(&evicted), id_str(&e.id)));
    assert_false(on_disk(&fx, "db", &e));
    assert_true(on_disk(&fx, "trash", &e));
    assert_int_equal(registry_get(fx.db, &fx.tenant.id, S("main"), &back, &err), ERR_NOT_FOUND);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, &err), ERR_NOT_FOUND);
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, &err), ERR_OK);
    assert_string_equal(back.id.text, e.id.text);
    assert_int_equal(back.deleted_at, 0);
    assert_int_equal(registry_bytes(fx.dir.path, id_str(&e.id)), 10);
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, &err), ERR_NOT_FOUND);
}

void test_registry__a_slug_is_free_after_delete_and_guards_its_owner(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry first, second, back;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    clock_test_set(1, 1000);
    assert_int_equal(create(&fx, "main", &first, NULL), ERR_OK);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, NULL), ERR_OK);
    clock_test_advance(1000000);
    assert_int_equal(create(&fx, "main", &second, NULL), ERR_OK);
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "\"main\" exists"));
    assert_true(on_disk(&fx, "trash", &first));
    clock_test_advance(1000000);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, NULL), ERR_OK);
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &back, NULL), ERR_OK);
    assert_string_equal(back.id.text, second.id.text); /* the one deleted last */
    clock_test_stop();
}

void test_registry__the_trash_is_emptied_after_its_time(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry old, young, back;
    unsigned purged = 9;

    (void)state;
    control_fixture_init(&fx);
    clock_test_set(1, 1000);
    assert_int_equal(create(&fx, "old", &old, NULL), ERR_OK);
    assert_int_equal(create(&fx, "young", &young, NULL), ERR_OK);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("old"), &back, NULL), ERR_OK);
    clock_test_advance(1000000);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("young"), &back, NULL), ERR_OK);
    assert_int_equal(registry_purge(fx.db, &fx.disk, 1000 + LIMIT_TRASH_MS - 1, &purged, NULL), ERR_OK);
    assert_int_equal(purged, 0);
    assert_int_equal(registry_purge(fx.db, &fx.disk, 1000 + LIMIT_TRASH_MS, &purged, NULL), ERR_OK);
    assert_int_equal(purged, 1);
    assert_false(on_disk(&fx, "trash", &old));
    assert_true(on_disk(&fx, "trash", &young));
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("old"), &back, NULL), ERR_NOT_FOUND);
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("young"), &back, NULL), ERR_OK);
    clock_test_stop();
}

/* Who asked is written with the intent, once: finishing it, now or after a crash, is nobody's act. */
void test_registry__every_change_is_in_the_audit_log(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry e;
    unsigned purged;

    (void)state;
    control_fixture_init(&fx);
    assert_int_equal(create(&fx, "main", &e, NULL), ERR_OK);
    assert_int_equal(create(&fx, "main", &e, NULL), ERR_CONFLICT);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("none"), &e, NULL), ERR_NOT_FOUND);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &e, NULL), ERR_OK);
    assert_int_equal(
        registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &e, NULL), ERR_OK);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("main"), &e, NULL), ERR_OK);
    assert_int_equal(registry_purge(fx.db, &fx.disk, e.deleted_at + LIMIT_TRASH_MS, &purged, NULL), ERR_OK);
    ASSERT_AUDIT(&fx,
        "namespace.created database.created database.deleted database.restored database.deleted "
        "database.purged");
}

/* Every place where a crash can stand: the intent alone, or the intent and the work on disk. */
void test_registry__recovery_finishes_what_a_crash_left(void **state)
{
    (void)state;
    for (int disk_done = 0; disk_done <= 1; disk_done++) {
        AUTO_CONTROL_FIXTURE fx;
        struct registry_entry made, deleting, restoring, purging, back;

        control_fixture_init(&fx);
        assert_int_equal(create(&fx, "deleting", &deleting, NULL), ERR_OK);
        assert_int_equal(create(&fx, "restoring", &restoring, NULL), ERR_OK);
        assert_int_equal(create(&fx, "purging", &purging, NULL), ERR_OK);
        put_file(&fx, &restoring, "main.db", 10);
        assert_int_equal(
            registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("restoring"), &restoring, NULL),
            ERR_OK);
        assert_int_equal(
            registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("purging"), &purging, NULL),
            ERR_OK);
        assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
        assert_int_equal(
            registry_create_intent(fx.db, &TEST_ACTOR, &fx.tenant.id, S("made"), S(""), S(""), &made, NULL),
            ERR_OK);
        assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
        move_row(&fx, &deleting, REGISTRY_DELETING);
        move_row(&fx, &restoring, REGISTRY_RESTORING);
        move_row(&fx, &purging, REGISTRY_PURGING);
        if (disk_done) {
            assert_int_equal(disk_make(fx.dir.path, id_str(&made.id), NULL), ERR_OK);
            assert_int_equal(disk_to_trash(fx.dir.path, id_str(&deleting.id), NULL), ERR_OK);
            assert_int_equal(disk_from_trash(fx.dir.path, id_str(&restoring.id), NULL), ERR_OK);
            assert_int_equal(disk_remove(fx.dir.path, id_str(&purging.id), NULL), ERR_OK);
        }
        struct registry_recovery r = recover(&fx);
        assert_int_equal(r.finished, 4);
        assert_int_equal(r.failed, 0);
        assert_int_equal(status_of(&fx, &made), REGISTRY_HEALTHY);
        assert_true(on_disk(&fx, "db", &made));
        assert_int_equal(status_of(&fx, &deleting), REGISTRY_DELETED);
        assert_true(on_disk(&fx, "trash", &deleting));
        assert_int_equal(status_of(&fx, &restoring), REGISTRY_HEALTHY);
        assert_int_equal(registry_bytes(fx.dir.path, id_str(&restoring.id)), 10);
        assert_int_equal(store_get(fx.db, id_str(&purging.id), &back, NULL), ERR_NOT_FOUND);
        assert_false(on_disk(&fx, "trash", &purging));
        r = recover(&fx);
        assert_int_equal(r.finished + r.failed, 0);
    }
}

void test_registry__recovery_reports_lost_files_and_goes_on(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry lost, made;

    (void)state;
    control_fixture_init(&fx);
    assert_int_equal(create(&fx, "lost", &lost, NULL), ERR_OK);
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, S("lost"), &lost, NULL), ERR_OK);
    assert_int_equal(disk_remove(fx.dir.path, id_str(&lost.id), NULL), ERR_OK); /* by someone's hand */
    move_row(&fx, &lost, REGISTRY_RESTORING);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(
        registry_create_intent(fx.db, &TEST_ACTOR, &fx.tenant.id, S("made"), S(""), S(""), &made, NULL),
        ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    struct registry_recovery r = recover(&fx);
    assert_int_equal(r.finished, 1);
    assert_int_equal(r.failed, 1);
    assert_int_equal(r.first.code, ERR_CORRUPT);
    assert_string_equal(r.first_id.text, lost.id.text);
    assert_int_equal(status_of(&fx, &lost), REGISTRY_RESTORING); /* never an empty database in its place */
    assert_false(on_disk(&fx, "db", &lost));
}

void test_registry__create_leaves_nothing_when_the_directory_cannot_be_made(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry e;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    /* a file where the folder of databases should be: also root cannot make a directory in it */
    assert_int_equal(fs_write_atomic(tmpdir_path(&fx.dir, "db"), S("x"), 0600, NULL), ERR_OK);
    assert_int_equal(create(&fx, "main", &e, &err), ERR_IO);
    assert_int_equal(registry_get(fx.db, &fx.tenant.id, S("main"), &e, NULL), ERR_NOT_FOUND);
    ASSERT_AUDIT(&fx, "namespace.created database.created database.create_failed");
    assert_int_equal(unlink(tmpdir_path(&fx.dir, "db")), 0);
    assert_int_equal(create(&fx, "main", &e, &err), ERR_OK);
}

/* What one call does under a fault in each of its steps; after a restart and recovery the database is either
 * as if the call had never been made or as if it had succeeded, in the table and on disk. */
static void check_settled(
    struct control_fixture *fx, const char *slug, enum err_code code, bool live_on_success)
{
    struct registry_entry e;

    fault_off();
    struct registry_recovery r = recover(fx);
    assert_int_equal(r.failed, 0);
    enum err_code got = registry_get(fx->db, &fx->tenant.id, str_of(slug), &e, NULL);
    if (!code)
        assert_int_equal(got, live_on_success ? ERR_OK : ERR_NOT_FOUND);
    if (got == ERR_OK) {
        assert_int_equal(e.status, REGISTRY_HEALTHY);
        assert_true(on_disk(fx, "db", &e));
    } else if (store_get_last_deleted(fx->db, &fx->tenant.id, str_of(slug), &e, NULL) == ERR_OK) {
        assert_false(on_disk(fx, "db", &e));
        assert_true(on_disk(fx, "trash", &e));
    }
}

static void life_under(enum fault_kind kind)
{
    unsigned failed = 0;
    char slug[16];

    fault_start(kind);
    AUTO_CONTROL_FIXTURE fx;
    control_fixture_init(&fx);
    while (fault_next()) {
        struct registry_entry e;
        enum err_code code;
        (void)snprintf(slug, sizeof slug, "d%u", fault_points());
        code = create(&fx, slug, &e, NULL);
        if (!code)
            code = registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, str_of(slug), &e, NULL);
        if (!code)
            code = registry_restore(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, str_of(slug), &e, NULL);
        failed += code != ERR_OK;
        check_settled(&fx, slug, code, true);
    }
    assert_in_range(fault_points(), 1, 2000);
    assert_in_range(failed, 1, fault_points());
}

void test_registry__a_life_without_memory_settles(void **state)
{
    (void)state;
    life_under(FAULT_SQLITE_MEM);
}

void test_registry__a_life_on_a_full_disk_settles(void **state)
{
    (void)state;
    life_under(FAULT_SQLITE_WRITE);
}

void test_registry__a_life_with_failing_fsync_settles(void **state)
{
    (void)state;
    life_under(FAULT_SQLITE_SYNC);
}
