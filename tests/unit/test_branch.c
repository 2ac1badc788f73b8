/* Branches: names, times, and all or nothing wherever making one fails or is killed. */
#include "branch/branch.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/branch_base.h"
#include "lib/control_fixture.h"
#include "lib/fault.h"
#include "lib/unit.h"
#include "registry/registry_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#define NOW_MS 1000000

int teardown_branch(void **state)
{
    (void)state;
    clock_test_stop();
    return 0;
}

/* --- Names and times --- */

void test_branch__slugs_follow_one_rule(void **state)
{
    static const struct {
        const char *parent, *ref, *slug;
    } ROWS[] = {
        {"main", "pr-42", "main-pr-42"},
        {"main", "7", "main-7"},
        {"main", "feature/x", "main-feature-x-217d2bf51f"},
        {"main", "feature_x", "main-feature-x-5484b40cc3"},
        {"main", "PR-42", "main-pr-42-"},
        {"main", "a--b", "main-a-b-"},
        {"main", "a-", "main-a-"},
        {"main", "1234567890123456789012345678901234567890123456789012345678",
            "main-1234567890123456789012345678901234567890123456789012345678"},
        {"main", "12345678901234567890123456789012345678901234567890123456789",
            "main-12345678901234567890123456789012345678901234567-"},
    };
    char slug[SLUG_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(branch_slug(str_of(ROWS[i].parent), str_of(ROWS[i].ref), slug, NULL), ERR_OK);
        assert_true(slug_valid(str_of(slug)));
        struct str wanted = str_of(ROWS[i].slug);
        if (str_ends(wanted, S("-"))) {
            assert_true(str_starts(str_of(slug), wanted));
            assert_int_equal(strlen(slug), wanted.len + 10);
        } else {
            assert_string_equal(slug, ROWS[i].slug);
        }
    }
}

void test_branch__two_refs_have_two_slugs(void **state)
{
    static const char *const REFS[] = {
        "a-b", "a/b", "a_b", "a.b", "A-B", "A-b", "a-B", "a--b", "a-b-", "a/b/", "a./b", "a-/b"};
    char slugs[ARRAY_LEN(REFS)][SLUG_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(REFS); i++) {
        assert_int_equal(branch_slug(S("main"), str_of(REFS[i]), slugs[i], NULL), ERR_OK);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(slugs[i], slugs[k]);
    }
}

void test_branch__times_in_three_spellings(void **state)
{
    static const struct {
        struct branch_ttl in;
        enum err_code code;
        int64_t expires_at;
        const char *pointer;
    } ROWS[] = {
        {{-1, -1, {NULL, 0}}, ERR_OK, -1, NULL},
        {{1, -1, {NULL, 0}}, ERR_OK, NOW_MS + 86400000, NULL},
        {{30, -1, {NULL, 0}}, ERR_OK, NOW_MS + 30 * INT64_C(86400000), NULL},
        {{0, -1, {NULL, 0}}, ERR_INVALID, 0, "/ttlDays"},
        {{31, -1, {NULL, 0}}, ERR_INVALID, 0, "/ttlDays"},
        {{-1, 0, {NULL, 0}}, ERR_OK, 0, NULL},
        {{-1, 60, {NULL, 0}}, ERR_OK, NOW_MS + 60000, NULL},
        {{-1, 59, {NULL, 0}}, ERR_INVALID, 0, "/ttlSec"},
        {{-1, 2592001, {NULL, 0}}, ERR_INVALID, 0, "/ttlSec"},
        {{1, 60, {NULL, 0}}, ERR_INVALID, 0, "/ttlDays"},
        {{-1, -1, {"1970-01-01T01:00:00Z", 20}}, ERR_OK, 3600000, NULL},
        {{-1, -1, {"1970-01-01T00:00:00Z", 20}}, ERR_INVALID, 0, "/expiresAt"},
        {{-1, -1, {"1971-01-01T00:00:00Z", 20}}, ERR_INVALID, 0, "/expiresAt"},
        {{-1, -1, {"tomorrow", 8}}, ERR_INVALID, 0, "/expiresAt"},
        {{-1, 60, {"1970-01-01T01:00:00Z", 20}}, ERR_INVALID, 0, "/expiresAt"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct err err = ERR_INIT;
        int64_t at = 5;
        assert_int_equal(branch_read_ttl(&ROWS[i].in, NOW_MS, &at, &err), ROWS[i].code);
        if (ROWS[i].code)
            assert_string_equal(err.pointer, ROWS[i].pointer);
        else
            assert_int_equal(at, ROWS[i].expires_at);
    }
}

/* --- Making --- */

struct bench {
    struct control_fixture fx;
    struct registry_entry parent;
    struct arena arena;
};

static void bench_init(struct bench *b)
{
    clock_test_set(1, NOW_MS);
    control_fixture_init(&b->fx);
    arena_init(&b->arena, 1 << 20);
    assert_int_equal(registry_create(b->fx.db, &b->fx.disk, &TEST_ACTOR, &b->fx.tenant.id, S("main"), S(""),
                         S(""), &b->parent, NULL),
        ERR_OK);
}

static void bench_release(struct bench *b)
{
    arena_release(&b->arena);
    control_fixture_release(&b->fx);
}

/* What the engine leaves in out/. */
static void copy_made(struct bench *b, const struct id *copy, const char *content)
{
    char dir[FS_PATH_MAX], out[FS_PATH_MAX], path[FS_PATH_MAX], name[64];

    registry_path(dir, b->fx.dir.path, id_str(&b->parent.id));
    fs_join(out, dir, "out");
    str_print(name, sizeof name, "%s.db", copy->text);
    fs_join(path, out, name);
    assert_int_equal(fs_write_atomic(path, str_of(content), 0600, NULL), ERR_OK);
}

static struct branch_wish wish_for(struct bench *b, const char *ref, const char *content)
{
    struct branch_wish w = {.parent = b->parent,
        .source_id = b->parent.id,
        .copy_id = id_new("db"),
        .ref = str_of(ref),
        .name = STR_EMPTY,
        .region = STR_EMPTY,
        .expires_at = -1};

    copy_made(b, &w.copy_id, content);
    return w;
}

static enum err_code put(struct bench *b, const char *ref, const char *content, struct branch_made *made)
{
    struct branch_wish w = wish_for(b, ref, content);

    return branch_put(b->fx.db, &b->fx.disk, &TEST_ACTOR, &b->arena, &w, made, NULL);
}

/* The content of the branch's file, "" when there is none. */
static const char *content_of(struct bench *b, const struct registry_entry *e)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    AUTO_STRBUF text;

    registry_path(dir, b->fx.dir.path, id_str(&e->id));
    fs_join(path, dir, "main.db");
    strbuf_init(&text, 100);
    if (fs_read_all(path, 100, &text, NULL))
        return "";
    return arena_copy(&b->arena, strbuf_str(&text)).ptr;
}

void test_branch__is_made_and_made_anew(void **state)
{
    struct bench b;
    struct branch_made first, second;
    struct registry_entry found;

    (void)state;
    bench_init(&b);
    assert_int_equal(put(&b, "pr-42", "one", &first), ERR_OK);
    assert_true(first.created);
    assert_string_equal(first.entry.slug, "main-pr-42");
    assert_string_equal(first.entry.name, "main (pr-42)");
    assert_string_equal(content_of(&b, &first.entry), "one");
    clock_test_advance(5000000);
    assert_int_equal(put(&b, "pr-42", "two", &second), ERR_OK);
    assert_false(second.created);
    assert_string_equal(second.entry.id.text, first.entry.id.text);
    assert_string_equal(content_of(&b, &first.entry), "two");
    assert_int_equal(registry_get_branch(b.fx.db, &b.parent.id, S("pr-42"), &found, NULL), ERR_OK);
    assert_int_equal(found.forked_at, first.entry.forked_at + 5000);
    assert_int_equal(registry_lookup(b.fx.db, S("acme"), S("main.pr-42"), &found, NULL), ERR_OK);
    assert_string_equal(found.id.text, first.entry.id.text);
    assert_int_equal(registry_get_branch(b.fx.db, &b.parent.id, S("PR-42"), &found, NULL), ERR_NOT_FOUND);
    ASSERT_AUDIT(&b.fx, "namespace.created database.created database.branched database.branch_reset");
    bench_release(&b);
}

void test_branch__a_taken_slug_is_refused_unless_its_time_is_over(void **state)
{
    struct bench b;
    struct branch_made made;
    struct registry_entry other;

    (void)state;
    bench_init(&b);
    assert_int_equal(registry_create(b.fx.db, &b.fx.disk, &TEST_ACTOR, &b.fx.tenant.id, S("main-x"), S(""),
                         S(""), &other, NULL),
        ERR_OK);
    assert_int_equal(put(&b, "x", "one", &made), ERR_CONFLICT);
    struct branch_wish w = wish_for(&b, "y", "one");
    w.expires_at = NOW_MS + 1000;
    assert_int_equal(branch_put(b.fx.db, &b.fx.disk, &TEST_ACTOR, &b.arena, &w, &made, NULL), ERR_OK);
    clock_test_advance(2000000);
    assert_int_equal(put(&b, "y", "two", &made), ERR_OK);
    assert_true(made.created); /* not the old one made anew: its tokens are not to come back */
    assert_string_not_equal(made.entry.id.text, w.copy_id.text);
    bench_release(&b);
}

void test_branch__goes_with_its_time_or_its_parent(void **state)
{
    struct bench b;
    struct branch_made stays, brief;
    struct registry_entry gone;
    unsigned count = 9;

    (void)state;
    bench_init(&b);
    assert_int_equal(put(&b, "stays", "one", &stays), ERR_OK);
    struct branch_wish w = wish_for(&b, "brief", "two");
    w.expires_at = NOW_MS + 1000;
    assert_int_equal(branch_put(b.fx.db, &b.fx.disk, &TEST_ACTOR, &b.arena, &w, &brief, NULL), ERR_OK);
    assert_int_equal(branch_expire(b.fx.db, &b.fx.disk, NOW_MS + 999, &count, NULL), ERR_OK);
    assert_int_equal(count, 0);
    assert_int_equal(branch_expire(b.fx.db, &b.fx.disk, NOW_MS + 1000, &count, NULL), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(registry_get_branch(b.fx.db, &b.parent.id, S("brief"), &gone, NULL), ERR_NOT_FOUND);
    assert_int_equal(
        registry_delete(b.fx.db, &b.fx.disk, &TEST_ACTOR, &b.fx.tenant.id, S("main"), &gone, NULL), ERR_OK);
    assert_int_equal(branch_expire(b.fx.db, &b.fx.disk, NOW_MS + 1000, &count, NULL), ERR_OK);
    assert_int_equal(count, 1);
    ASSERT_AUDIT(&b.fx, "namespace.created database.created database.branched database.branched"
                        " database.branch_deleted database.deleted database.branch_deleted");
    bench_release(&b);
}

/* Whatever fails, the branch is there with one content or the other, or not at all; afterwards it can be put.
 */
static void put_under(enum fault_kind kind)
{
    struct bench b;
    struct branch_made made;
    unsigned failed = 0;

    fault_start(kind);
    bench_init(&b);
    for (unsigned round = 0; fault_next(); round++) {
        fault_off();
        control_fixture_reopen(&b.fx);
        struct registry_recovery r;
        assert_int_equal(registry_recover(b.fx.db, &b.fx.disk, &r, NULL), ERR_OK);
        assert_int_equal(r.failed, 0);
        struct registry_entry e;
        enum err_code there = registry_get_branch(b.fx.db, &b.parent.id, S("x"), &e, NULL);
        if (!there) {
            assert_int_equal(e.status, REGISTRY_HEALTHY);
            assert_true(strlen(content_of(&b, &e)) == 3);
            if (round % 2)
                assert_int_equal(
                    registry_delete(b.fx.db, &b.fx.disk, &TEST_ACTOR, &b.fx.tenant.id, S("main-x"), &e, NULL),
                    ERR_OK);
        }
        struct branch_wish w = wish_for(&b, "x", "new");
        fault_rearm();
        enum err_code code = branch_put(b.fx.db, &b.fx.disk, &TEST_ACTOR, &b.arena, &w, &made, NULL);
        fault_off();
        failed += code != ERR_OK;
        if (!code)
            assert_string_equal(content_of(&b, &made.entry), "new");
    }
    assert_in_range(fault_points(), 1, 2000);
    assert_in_range(failed, 1, fault_points());
    bench_release(&b);
}

void test_branch__survives_want_of_memory(void **state)
{
    (void)state;
    put_under(FAULT_SQLITE_MEM);
}

void test_branch__survives_a_full_disk(void **state)
{
    (void)state;
    put_under(FAULT_SQLITE_WRITE);
}

void test_branch__survives_a_failing_disk(void **state)
{
    (void)state;
    put_under(FAULT_SQLITE_SYNC);
}

static int64_t tokens_alive(struct bench *b)
{
    AUTO_STMT st = DB_STMT_INIT;

    assert_int_equal(
        db_query_one(b->fx.db, "SELECT count(*) FROM token WHERE revoked_at IS NULL", DB_NO_ARGS, &st, NULL),
        ERR_OK);
    return db_col_int(&st, 0);
}

static void restart(struct bench *b)
{
    struct registry_recovery r;

    fault_off();
    control_fixture_reopen(&b->fx);
    assert_int_equal(registry_recover(b->fx.db, &b->fx.disk, &r, NULL), ERR_OK);
    assert_int_equal(r.failed, 0);
}

/* One that lives for a second, with a token for it alone. */
static enum err_code put_brief(struct bench *b, bool faulty, struct branch_made *made)
{
    const struct token_new token = {.name = S("ci"), .role = WIRE_ROLE_READWRITE};
    struct branch_wish w = wish_for(b, "x", "new");

    w.expires_at = NOW_MS + 1000;
    w.token = &token;
    if (faulty)
        fault_rearm();
    return branch_put(b->fx.db, &b->fx.disk, &TEST_ACTOR, &b->arena, &w, made, NULL);
}

static void expire_one(struct bench *b)
{
    unsigned gone = 0;

    assert_int_equal(branch_expire(b->fx.db, &b->fx.disk, NOW_MS + 1000, &gone, NULL), ERR_OK);
    assert_int_equal(gone, 1);
}

/* Who is told that a branch was not made, or not made anew, leaves no token behind that opens it. */
static void put_token_under(enum fault_kind kind)
{
    struct bench b;
    struct branch_made made;
    struct registry_entry e;

    fault_start(kind);
    bench_init(&b);
    for (unsigned round = 0; fault_next(); round++) {
        restart(&b);
        if (round % 2 && !registry_get_branch(b.fx.db, &b.parent.id, S("x"), &e, NULL))
            expire_one(&b);
        int64_t before = tokens_alive(&b);
        enum err_code code = put_brief(&b, true, &made);
        restart(&b);
        assert_int_equal(tokens_alive(&b), before + !code);
    }
    assert_in_range(fault_points(), 1, 5000);
    bench_release(&b);
}

/* One round: the row, the directory and the audit log say the same of what was to go. */
static bool expire_once(struct bench *b, const struct registry_entry *e)
{
    unsigned gone = 0;
    char dir[FS_PATH_MAX];
    struct registry_entry found;
    char *before = control_fixture_dump(&b->fx);

    control_fixture_reopen(&b->fx);
    fault_rearm();
    enum err_code code = branch_expire(b->fx.db, &b->fx.disk, NOW_MS + 1000, &gone, NULL);
    restart(b);
    char *after = control_fixture_dump(&b->fx);
    bool went = registry_get_branch(b->fx.db, &b->parent.id, S("x"), &found, NULL) == ERR_NOT_FOUND;
    assert_int_equal(strcmp(before, after) == 0, !went);
    assert_true(went || code);
    registry_path(dir, b->fx.dir.path, id_str(&e->id));
    assert_int_equal(access(dir, F_OK) != 0, went);
    mem_free(before);
    mem_free(after);
    return went;
}

static void expire_under(enum fault_kind kind)
{
    struct bench b;
    struct branch_made made;
    unsigned stayed = 0;

    fault_start(kind);
    bench_init(&b);
    assert_int_equal(put_brief(&b, false, &made), ERR_OK);
    while (fault_next()) {
        restart(&b);
        if (!expire_once(&b, &made.entry))
            stayed++;
        else
            assert_int_equal(put_brief(&b, false, &made), ERR_OK);
    }
    assert_in_range(fault_points(), 1, 2000);
    assert_in_range(stayed, 1, fault_points());
    bench_release(&b);
}

static const enum fault_kind KINDS[] = {FAULT_SQLITE_MEM, FAULT_SQLITE_WRITE, FAULT_SQLITE_SYNC};

void test_branch__leaves_no_token_where_making_it_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++)
        put_token_under(KINDS[i]);
}

void test_branch__goes_whole_or_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++)
        expire_under(KINDS[i]);
}

/* Killed between the intent and its end: finished, whether the files were exchanged or not. */
void test_branch__an_exchange_is_finished_at_the_next_start(void **state)
{
    (void)state;
    for (int done = 0; done < 3; done++) {
        struct bench b;
        struct branch_made made;
        struct registry_recovery r;
        char stage[FS_PATH_MAX], path[FS_PATH_MAX], old[FS_PATH_MAX];
        bench_init(&b);
        assert_int_equal(put(&b, "x", "old", &made), ERR_OK);
        assert_int_equal(registry_stage(b.fx.dir.path, id_str(&made.entry.id), NULL), ERR_OK);
        registry_stage_path(stage, b.fx.dir.path, id_str(&made.entry.id));
        fs_join(path, stage, "main.db");
        assert_int_equal(fs_write_atomic(path, S("new"), 0600, NULL), ERR_OK);
        assert_int_equal(tx_begin_write(b.fx.db, NULL), ERR_OK);
        assert_int_equal(registry_exchange_intent(b.fx.db, &TEST_ACTOR, &made.entry, 0, NULL), ERR_OK);
        assert_int_equal(tx_commit(b.fx.db, NULL), ERR_OK);
        if (done == 1) { /* one of its two renames */
            registry_path(path, b.fx.dir.path, id_str(&made.entry.id));
            fs_join(old, tmpdir_path(&b.fx.dir, "replaced"), made.entry.id.text);
            assert_int_equal(fs_mkdir_p(tmpdir_path(&b.fx.dir, "replaced"), 0700, NULL), ERR_OK);
            assert_int_equal(fs_rename(path, old, NULL), ERR_OK);
        }
        if (done == 2)
            assert_int_equal(disk_exchange(b.fx.dir.path, id_str(&made.entry.id), STR_EMPTY, NULL), ERR_OK);
        control_fixture_reopen(&b.fx);
        assert_int_equal(registry_recover(b.fx.db, &b.fx.disk, &r, NULL), ERR_OK);
        assert_int_equal(r.finished, 1);
        assert_string_equal(content_of(&b, &made.entry), "new");
        assert_int_equal(registry_recover(b.fx.db, &b.fx.disk, &r, NULL), ERR_OK);
        assert_int_equal(r.finished + r.failed, 0);
        bench_release(&b);
    }
}

/* A directory of the data directory, with a file in it. */
static void put_file(const char *dir, const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    assert_int_equal(fs_mkdir_p(dir, 0700, NULL), ERR_OK);
    fs_join(path, dir, name);
    assert_int_equal(fs_write_atomic(path, str_of(text), 0600, NULL), ERR_OK);
}

struct exchange {
    struct bench b;
    struct branch_made made;
    struct id keep;
    char live[FS_PATH_MAX], stage[FS_PATH_MAX], old[FS_PATH_MAX];
};

/* A branch that was merged, and is to be restored; `marked`: it goes on from the same start. */
static void begin_restore(struct exchange *x, bool marked)
{
    char merged[FS_PATH_MAX];
    bench_init(&x->b);
    x->keep = id_new("snap");
    assert_int_equal(put(&x->b, "x", "old", &x->made), ERR_OK);
    struct str id = id_str(&x->made.entry.id);
    registry_path(x->live, x->b.fx.dir.path, id);
    registry_stage_path(x->stage, x->b.fx.dir.path, id);
    registry_snapshot_path(x->old, x->b.fx.dir.path, id_str(&x->keep));
    fs_join(merged, x->live, BASE_MERGED);
    put_file(merged, "one.set", "1");
    assert_int_equal(registry_stage(x->b.fx.dir.path, id, NULL), ERR_OK);
    put_file(x->stage, "main.db", "new");
    if (marked)
        put_file(x->stage, BASE_MARK, "rows");
    assert_int_equal(fs_mkdir_p(tmpdir_path(&x->b.fx.dir, "snapshots"), 0700, NULL), ERR_OK);
    assert_int_equal(tx_begin_write(x->b.fx.db, NULL), ERR_OK);
    assert_int_equal(registry_restore_intent(x->b.fx.db, &x->made.entry, &x->keep, NULL), ERR_OK);
    assert_int_equal(tx_commit(x->b.fx.db, NULL), ERR_OK);
}

static bool has_merged(const char *dir)
{
    char merged[FS_PATH_MAX], path[FS_PATH_MAX];
    fs_join(merged, dir, BASE_MERGED);
    fs_join(path, merged, "one.set");
    return fs_exists(path);
}

static void rename_in(const char *from_dir, const char *to_dir, const char *name)
{
    char from[FS_PATH_MAX], to[FS_PATH_MAX];
    fs_join(from, from_dir, name);
    fs_join(to, to_dir, name);
    assert_int_equal(fs_rename(from, to, NULL), ERR_OK);
}

/* Killed at each step of the exchange: what was merged is with the branch that goes on, once. */
void test_branch__a_restore_takes_along_what_was_merged(void **state)
{
    (void)state;
    for (int done = 0; done < 8; done++) {
        struct exchange x;
        struct registry_recovery r;
        bool marked = done < 4;
        begin_restore(&x, marked);
        if (done % 4 == 1 || done % 4 == 2)
            assert_int_equal(fs_rename(x.live, x.old, NULL), ERR_OK);
        if (done == 2)
            rename_in(x.old, x.stage, BASE_MERGED);
        if (done % 4 == 3)
            assert_int_equal(
                disk_exchange(x.b.fx.dir.path, id_str(&x.made.entry.id), id_str(&x.keep), NULL), ERR_OK);
        control_fixture_reopen(&x.b.fx);
        assert_int_equal(registry_recover(x.b.fx.db, &x.b.fx.disk, &r, NULL), ERR_OK);
        assert_string_equal(content_of(&x.b, &x.made.entry), "new");
        if (has_merged(x.live) != marked || has_merged(x.old) == marked)
            fail_msg("step %d: with the branch %d, with the snapshot %d", done, has_merged(x.live),
                has_merged(x.old));
        bench_release(&x.b);
    }
}

/* An exchange that fails in its middle is taken back. */
void test_branch__a_restore_that_fails_brings_back_what_was_merged(void **state)
{
    (void)state;
    for (int moved = 0; moved < 2; moved++) {
        struct exchange x;
        begin_restore(&x, true);
        assert_int_equal(fs_rename(x.live, x.old, NULL), ERR_OK);
        if (moved)
            rename_in(x.old, x.stage, BASE_MERGED);
        assert_int_equal(
            disk_unexchange(x.b.fx.dir.path, id_str(&x.made.entry.id), id_str(&x.keep), NULL), ERR_OK);
        assert_string_equal(content_of(&x.b, &x.made.entry), "old");
        assert_true(has_merged(x.live));
        assert_false(fs_exists(x.stage) || fs_exists(x.old));
        bench_release(&x.b);
    }
}

void test_branch__a_new_one_is_undone_at_the_next_start(void **state)
{
    struct bench b;
    struct registry_entry e;
    struct registry_recovery r;
    struct id id = id_new("db");
    char dir[FS_PATH_MAX];
    (void)state;
    bench_init(&b);
    const struct registry_origin origin = {.parent_id = b.parent.id, .ref = S("x")};
    assert_int_equal(tx_begin_write(b.fx.db, NULL), ERR_OK);
    assert_int_equal(registry_create_copy_intent(b.fx.db, &TEST_ACTOR, &id, &b.fx.tenant.id, S("main-x"),
                         S(""), S(""), &origin, &e, NULL),
        ERR_OK);
    assert_int_equal(tx_commit(b.fx.db, NULL), ERR_OK);
    assert_int_equal(registry_place(b.fx.dir.path, id_str(&id), NULL), ERR_OK);
    registry_path(dir, b.fx.dir.path, id_str(&id));
    put_file(dir, "main.db", "half");
    control_fixture_reopen(&b.fx);
    assert_int_equal(registry_recover(b.fx.db, &b.fx.disk, &r, NULL), ERR_OK);
    assert_int_equal(r.finished, 1);
    assert_int_equal(registry_get_by_id(b.fx.db, &id, &e, NULL), ERR_NOT_FOUND);
    assert_false(fs_exists(dir));
    ASSERT_AUDIT(&b.fx, "namespace.created database.created database.branched database.create_failed");
    bench_release(&b);
}
