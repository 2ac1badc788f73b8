/* Connections, statements, transactions of trusted databases, and each error that SQLite can give. */
#define _GNU_SOURCE /* RLIMIT_FSIZE and truncate beside strict C */
#include "base/fs.h"
#include "lib/tmpdir.h"
#include "sqlite/db.h"
#include "sqlite/db_internal.h"
#include "sqlite/generation.h"
#include "lib/fault.h"
#include "lib/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SQL_CREATE                                                                                           \
    "CREATE TABLE item(name TEXT NOT NULL UNIQUE, size BIGINT CHECK(size < 1000), parent TEXT REFERENCES "   \
    "item(name))"
#define SQL_INSERT "INSERT INTO item(name, size, parent) VALUES(?1, ?2, ?3)"
#define SQL_SIZE   "SELECT size FROM item WHERE name = ?1"
#define SQL_ALL    "SELECT name, size, parent FROM item ORDER BY name"
#define SQL_COUNT  "SELECT count(*) FROM item"

struct fixture {
    struct tmpdir dir;
    char path[FS_PATH_MAX];
    struct db *db;
    struct err err;
};

static void fixture_open(struct fixture *fx)
{
    *fx = (struct fixture){.err = ERR_INIT};
    tmpdir_init(&fx->dir);
    fs_join(fx->path, fx->dir.path, "t.db");
    assert_int_equal(db_open(fx->path, DB_CREATE, &fx->db, &fx->err), ERR_OK);
    assert_int_equal(db_exec(fx->db, SQL_CREATE, DB_NO_ARGS, &fx->err), ERR_OK);
}

static void fixture_close(struct fixture *fx)
{
    db_close(fx->db);
    tmpdir_release(&fx->dir);
}

static enum err_code insert(
    struct db *db, const char *name, int64_t size, const char *parent, struct err *err)
{
    return db_exec(db, SQL_INSERT,
        DB_ARGS(db_text(str_of(name)), db_int(size), parent ? db_text(str_of(parent)) : db_null()), err);
}

static int64_t count(struct db *db)
{
    AUTO_STMT st = DB_STMT_INIT;

    assert_int_equal(db_query_one(db, SQL_COUNT, DB_NO_ARGS, &st, NULL), ERR_OK);
    return db_col_int(&st, 0);
}

void test_db__rows_come_back_as_bound(void **state)
{
    struct fixture fx;
    AUTO_STMT st = DB_STMT_INIT;
    char cut[3];

    (void)state;
    fixture_open(&fx);
    assert_int_equal(insert(fx.db, "alpha", 1, NULL, &fx.err), ERR_OK);
    assert_int_equal(insert(fx.db, "", -7, "alpha", &fx.err), ERR_OK);
    assert_int_equal(db_changes(fx.db), 1);
    assert_int_equal(db_query(fx.db, SQL_ALL, DB_NO_ARGS, &st, &fx.err), ERR_OK);
    assert_true(db_row(&st));
    assert_true(str_eq(db_col_text(&st, 0), S("")));
    assert_false(db_col_is_null(&st, 0));
    assert_int_equal(db_col_int(&st, 1), -7);
    assert_true(db_row(&st));
    DB_COL_COPY(&st, 0, cut);
    assert_string_equal(cut, "al");
    assert_null(db_col_text(&st, 2).ptr);
    assert_true(db_col_is_null(&st, 2));
    assert_false(db_row(&st));
    assert_int_equal(db_done(&st, &fx.err), ERR_OK);
    db_stmt_release(&st);
    fixture_close(&fx);
}

void test_db__one_row_or_not_found(void **state)
{
    struct fixture fx;

    (void)state;
    fixture_open(&fx);
    uint64_t before = db_statements(fx.db);
    for (int i = 0; i < 3; i++) { /* the same cached statement again and again, also after a miss */
        AUTO_STMT st = DB_STMT_INIT;
        assert_int_equal(
            db_query_one(fx.db, SQL_SIZE, DB_ARGS(db_text(S("none"))), &st, &fx.err), ERR_NOT_FOUND);
    }
    assert_int_equal(db_statements(fx.db) - before, 3);
    fixture_close(&fx);
}

void test_db__a_statement_in_use_is_not_disturbed_by_its_twin(void **state)
{
    struct fixture fx;
    AUTO_STMT outer = DB_STMT_INIT;
    int seen = 0;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(insert(fx.db, "a", 1, NULL, NULL), ERR_OK);
    assert_int_equal(insert(fx.db, "b", 2, NULL, NULL), ERR_OK);
    assert_int_equal(db_query(fx.db, SQL_ALL, DB_NO_ARGS, &outer, NULL), ERR_OK);
    while (db_row(&outer)) {
        AUTO_STMT inner = DB_STMT_INIT;
        assert_int_equal(db_query_one(fx.db, SQL_ALL, DB_NO_ARGS, &inner, NULL), ERR_OK);
        assert_true(str_eq(db_col_text(&inner, 0), S("a")));
        seen++;
    }
    assert_int_equal(seen, 2);
    db_stmt_release(&outer);
    fixture_close(&fx);
}

void test_db__files_are_private_and_durable(void **state)
{
    struct fixture fx;
    struct stat st;
    AUTO_STMT sync = DB_STMT_INIT;
    mode_t before = umask(0);

    (void)state;
    fixture_open(&fx);
    umask(before);
    assert_int_equal(stat(fx.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(tmpdir_path(&fx.dir, "t.db-wal"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(db_query_one(fx.db, "PRAGMA synchronous", DB_NO_ARGS, &sync, NULL), ERR_OK);
    assert_int_equal(db_col_int(&sync, 0), 2);
    db_stmt_release(&sync);
    fixture_close(&fx);
}

void test_db__open_modes(void **state)
{
    struct fixture fx;
    struct db *other = NULL;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(db_open(fx.path, DB_CREATE, &other, &fx.err), ERR_CONFLICT);
    assert_int_equal(db_open(tmpdir_path(&fx.dir, "none"), DB_WRITE, &other, &fx.err), ERR_NOT_FOUND);
    assert_null(other);
    assert_false(fs_exists(tmpdir_path(&fx.dir, "none")));
    assert_int_equal(db_open(fx.path, DB_READ, &other, &fx.err), ERR_OK);
    assert_int_equal(insert(other, "x", 1, NULL, &fx.err), ERR_IO);
    assert_false(db_is_broken(other));
    assert_int_equal(count(other), 0);
    db_close(other);
    fixture_close(&fx);
}

void test_db__constraints_say_which(void **state)
{
    static const struct {
        const char *name;
        int64_t size;
        const char *parent, *which;
    } ROWS[] = {
        {"a", 1, NULL, "item.name"},
        {"b", 1000, NULL, "size < 1000"},
        {"c", 1, "nobody", ""},
        {NULL, 1, NULL, "item.name"},
    };
    struct fixture fx;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(insert(fx.db, "a", 1, NULL, NULL), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct db_value name = ROWS[i].name ? db_text(str_of(ROWS[i].name)) : db_null();
        struct db_value parent = ROWS[i].parent ? db_text(str_of(ROWS[i].parent)) : db_null();
        assert_int_equal(
            db_exec(fx.db, SQL_INSERT, DB_ARGS(name, db_int(ROWS[i].size), parent), &fx.err), ERR_CONFLICT);
        assert_string_equal(db_constraint(fx.db), ROWS[i].which);
    }
    assert_int_equal(count(fx.db), 1);
    fixture_close(&fx);
}

void test_db__result_codes_map(void **state)
{
    static const struct {
        int rc, system_errno;
        enum err_code code;
    } ROWS[] = {
        {SQLITE_BUSY, 0, ERR_BUSY},
        {SQLITE_BUSY_SNAPSHOT, 0, ERR_BUSY},
        {SQLITE_LOCKED, 0, ERR_BUSY},
        {SQLITE_PROTOCOL, 0, ERR_BUSY},
        {SQLITE_CONSTRAINT_UNIQUE, 0, ERR_CONFLICT},
        {SQLITE_CONSTRAINT_TRIGGER, 0, ERR_CONFLICT},
        {SQLITE_FULL, 0, ERR_FULL},
        {SQLITE_IOERR_WRITE, ENOSPC, ERR_FULL},
        {SQLITE_IOERR_WRITE, EDQUOT, ERR_FULL},
        {SQLITE_IOERR_WRITE, EFBIG, ERR_FULL},
        {SQLITE_IOERR_WRITE, EIO, ERR_IO},
        {SQLITE_IOERR_FSYNC, ENOSPC, ERR_IO},
        {SQLITE_IOERR_READ, EIO, ERR_IO},
        {SQLITE_CANTOPEN, 0, ERR_IO},
        {SQLITE_READONLY, 0, ERR_IO},
        {SQLITE_PERM, 0, ERR_IO},
        {SQLITE_CORRUPT, 0, ERR_CORRUPT},
        {SQLITE_CORRUPT_INDEX, 0, ERR_CORRUPT},
        {SQLITE_NOTADB, 0, ERR_CORRUPT},
        {SQLITE_NOMEM, 0, ERR_UNAVAILABLE},
        {SQLITE_IOERR_NOMEM, 0, ERR_UNAVAILABLE},
        {SQLITE_TOOBIG, 0, ERR_TOO_LARGE},
        {SQLITE_ERROR, 0, ERR_INTERNAL},
        {SQLITE_MISUSE, 0, ERR_INTERNAL},
        {SQLITE_INTERRUPT, 0, ERR_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        assert_int_equal(db_error_code(ROWS[i].rc, ROWS[i].system_errno), ROWS[i].code);
}

void test_db__a_held_write_lock_is_busy(void **state)
{
    struct fixture fx;
    struct db *other = NULL;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(db_open(fx.path, DB_WRITE, &other, NULL), ERR_OK);
    (void)sqlite3_busy_timeout(other->handle, 1);
    assert_int_equal(tx_begin_write(fx.db, &fx.err), ERR_OK);
    assert_int_equal(tx_begin_write(other, &fx.err), ERR_BUSY);
    assert_int_equal(fx.err.retry_after_s, 1);
    assert_int_equal(count(other), 0); /* readers are not held up */
    tx_rollback(fx.db);
    assert_int_equal(tx_begin_write(other, &fx.err), ERR_OK);
    tx_rollback(other);
    db_close(other);
    fixture_close(&fx);
}

/* The limit on file sizes stands in for a full disk. */
void test_db__a_full_disk_rolls_back_and_recovers(void **state)
{
    struct fixture fx;
    struct rlimit before, small;
    static char filler[300000];

    (void)state;
    fixture_open(&fx);
    assert_int_equal(insert(fx.db, "kept", 1, NULL, NULL), ERR_OK);
    memset(filler, 'x', sizeof filler);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){100000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(tx_begin_write(fx.db, &fx.err), ERR_OK);
    enum err_code code = db_exec(
        fx.db, SQL_INSERT, DB_ARGS(db_text(str_make(filler, sizeof filler)), db_int(1), db_null()), &fx.err);
    code = tx_end(fx.db, code, &fx.err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(code, ERR_FULL);
    db_close(fx.db);
    assert_int_equal(db_open(fx.path, DB_WRITE, &fx.db, &fx.err), ERR_OK);
    assert_int_equal(count(fx.db), 1);
    fixture_close(&fx);
}

void test_db__damage_is_corrupt(void **state)
{
    struct fixture fx;
    char junk[4096];

    (void)state;
    fixture_open(&fx);
    for (int i = 0; i < 200; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(insert(fx.db, name, i, NULL, NULL), ERR_OK);
    }
    assert_int_equal(db_check_integrity(fx.db, &fx.err), ERR_OK);
    db_close(fx.db);
    AUTO_FD fd = open(fx.path, O_RDWR | O_CLOEXEC);
    memset(junk, 0x5a, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, 4096), sizeof junk);
    assert_int_equal(db_open(fx.path, DB_WRITE, &fx.db, &fx.err), ERR_OK);
    assert_int_equal(db_check_integrity(fx.db, &fx.err), ERR_CORRUPT);
    db_close(fx.db);
    assert_int_equal(pwrite(fd, junk, sizeof junk, 0), sizeof junk);
    assert_int_equal(db_open(fx.path, DB_WRITE, &fx.db, &fx.err), ERR_CORRUPT);
    tmpdir_release(&fx.dir);
}

void test_db__a_dangling_reference_is_corrupt(void **state)
{
    struct fixture fx;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(db_run(fx.db, "PRAGMA foreign_keys = OFF", NULL), ERR_OK);
    assert_int_equal(insert(fx.db, "orphan", 1, "nobody", NULL), ERR_OK);
    assert_int_equal(db_check_integrity(fx.db, &fx.err), ERR_CORRUPT);
    fixture_close(&fx);
}

void test_db__a_broken_connection_refuses_everything(void **state)
{
    struct fixture fx;
    AUTO_STMT st = DB_STMT_INIT;

    (void)state;
    fixture_open(&fx);
    assert_false(db_is_broken(fx.db));
    fx.db->broken = true; /* what a failed fsync does */
    assert_int_equal(insert(fx.db, "a", 1, NULL, &fx.err), ERR_IO);
    assert_int_equal(db_query(fx.db, SQL_ALL, DB_NO_ARGS, &st, &fx.err), ERR_IO);
    assert_int_equal(tx_begin_write(fx.db, &fx.err), ERR_IO);
    fixture_close(&fx);
}

void test_db__transactions_end_as_told(void **state)
{
    struct fixture fx;

    (void)state;
    fixture_open(&fx);
    assert_false(tx_is_write(fx.db));
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_true(tx_is_write(fx.db));
    assert_int_equal(insert(fx.db, "a", 1, NULL, NULL), ERR_OK);
    assert_int_equal(tx_end(fx.db, ERR_OK, NULL), ERR_OK);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(insert(fx.db, "b", 1, NULL, NULL), ERR_OK);
    assert_int_equal(tx_end(fx.db, ERR_FORBIDDEN, NULL), ERR_FORBIDDEN);
    assert_int_equal(count(fx.db), 1);
    assert_int_equal(tx_begin_read(fx.db, NULL), ERR_OK);
    assert_false(tx_is_write(fx.db));
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    fixture_close(&fx);
}

void test_db__a_failed_commit_leaves_no_transaction(void **state)
{
    struct fixture fx;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(db_run(fx.db, "PRAGMA defer_foreign_keys = ON", NULL), ERR_OK);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(db_run(fx.db, "PRAGMA defer_foreign_keys = ON", NULL), ERR_OK);
    assert_int_equal(insert(fx.db, "a", 1, "nobody", NULL), ERR_OK);
    assert_int_equal(tx_commit(fx.db, &fx.err), ERR_CONFLICT);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(count(fx.db), 0);
    fixture_close(&fx);
}

static int die(void *arg, sqlite3 *handle, const char *name, int pages)
{
    (void)arg;
    (void)handle;
    (void)name;
    (void)pages;
    (void)kill(getpid(), SIGKILL);
    return SQLITE_OK;
}

static void commit_and_die(const char *path, const char *gen_path)
{
    struct db *db = NULL;
    struct generation *gen = NULL;
    if (db_open(path, DB_WRITE, &db, NULL) != ERR_OK || generation_open(gen_path, &gen, NULL) != ERR_OK)
        _exit(1);
    db_set_generation(db, gen);
    (void)sqlite3_wal_hook(db->handle, die, NULL); /* after the commit, before it returns */
    if (tx_begin_write(db, NULL) == ERR_OK && insert(db, "seven", 7, NULL, NULL) == ERR_OK) {
        tx_announce(db);
        err_ignore(tx_commit(db, NULL));
    }
    _exit(2);
}

/* A process that is killed between commit and bump: caches must trust nothing until somebody looks after it.
 */
void test_db__a_death_before_the_bump_leaves_no_cache_in_trust(void **state)
{
    struct fixture fx;
    struct generation *gen = NULL;
    int status = 0;
    (void)state;
    fixture_open(&fx);
    db_close(fx.db); /* a child must inherit no open database */
    assert_int_equal(generation_open(tmpdir_path(&fx.dir, "g"), &gen, &fx.err), ERR_OK);
    uint64_t before = generation_get(gen);
    assert_int_equal(generation_get(gen), before);
    pid_t pid = fork();
    if (pid == 0)
        commit_and_die(fx.path, tmpdir_path(&fx.dir, "g"));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    uint64_t first = generation_get(gen), second = generation_get(gen);
    assert_true(first > before && second > first); /* never the number that an entry was kept under */
    assert_int_equal(db_open(fx.path, DB_WRITE, &fx.db, &fx.err), ERR_OK);
    assert_int_equal(count(fx.db), 1);
    db_set_generation(fx.db, gen);
    assert_int_equal(tx_begin_write(fx.db, &fx.err), ERR_OK);
    tx_rollback(fx.db);
    first = generation_get(gen);
    assert_true(first > second);
    assert_int_equal(generation_get(gen), first);
    db_set_generation(fx.db, NULL);
    generation_close(gen);
    fixture_close(&fx);
}

void test_db__only_announced_commits_move_the_generation(void **state)
{
    struct fixture fx;
    struct generation *mine = NULL, *theirs = NULL;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(generation_open(tmpdir_path(&fx.dir, "g"), &mine, &fx.err), ERR_OK);
    assert_int_equal(generation_open(tmpdir_path(&fx.dir, "g"), &theirs, &fx.err), ERR_OK);
    db_set_generation(fx.db, mine);
    uint64_t start = generation_get(theirs);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(generation_get(theirs), start);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    tx_announce(fx.db);
    tx_rollback(fx.db);
    assert_int_equal(generation_get(theirs), start);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    tx_announce(fx.db);
    assert_int_equal(generation_get(theirs), start);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(generation_get(theirs), start + 1);
    generation_close(mine);
    generation_close(theirs);
    fixture_close(&fx);
}

/* More statements than the cache holds: the oldest idle ones make room, those in use stay. */
void test_db__the_statement_cache_makes_room(void **state)
{
    static char texts[3 * DB_SLOTS][48]; /* their addresses are the cache's keys */
    struct fixture fx;
    AUTO_STMT kept = DB_STMT_INIT;

    (void)state;
    fixture_open(&fx);
    assert_int_equal(insert(fx.db, "a", 1, NULL, NULL), ERR_OK);
    assert_int_equal(db_query_one(fx.db, SQL_ALL, DB_NO_ARGS, &kept, NULL), ERR_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            AUTO_STMT st = DB_STMT_INIT;
            (void)snprintf(texts[i], sizeof texts[i], "SELECT %zu + size FROM item", i);
            assert_int_equal(db_query_one_literal(fx.db, texts[i], DB_NO_ARGS, &st, NULL), ERR_OK);
            assert_int_equal(db_col_int(&st, 0), i + 1);
        }
    }
    assert_true(str_eq(db_col_text(&kept, 0), S("a")));
    db_stmt_release(&kept);
    fixture_close(&fx);
}

void test_db__a_failed_fsync_breaks_the_connection(void **state)
{
    struct fixture fx;
    unsigned broken = 0;

    (void)state;
    fault_start(FAULT_SQLITE_SYNC);
    fixture_open(&fx);
    while (fault_next()) {
        enum err_code code = insert(fx.db, fault_points() ? "later" : "first", 1, NULL, &fx.err);
        fault_off();
        if (!db_is_broken(fx.db))
            continue;
        broken++;
        assert_int_equal(code, ERR_IO);
        assert_int_equal(insert(fx.db, "again", 1, NULL, &fx.err), ERR_IO);
        db_close(fx.db);
        assert_int_equal(db_open(fx.path, DB_WRITE, &fx.db, NULL), ERR_OK);
        assert_int_equal(insert(fx.db, "again", 1, NULL, &fx.err), ERR_OK);
        assert_int_equal(db_exec(fx.db, "DELETE FROM item", DB_NO_ARGS, NULL), ERR_OK);
    }
    assert_true(broken > 0);
    fixture_close(&fx);
}

/* Opening gives a working connection or an error, never half of one. */
void test_db__open_without_memory(void **state)
{
    struct fixture fx;
    unsigned failed = 0;

    (void)state;
    fault_start(FAULT_SQLITE_MEM);
    fixture_open(&fx);
    while (fault_next()) {
        struct db *other = NULL;
        enum err_code code = db_open(fx.path, DB_WRITE, &other, &fx.err);
        fault_off();
        assert_int_equal(code == ERR_OK, other != NULL);
        assert_true(code == ERR_OK || code == ERR_UNAVAILABLE);
        failed += code != ERR_OK;
        if (other)
            assert_int_equal(count(other), 0);
        db_close(other);
    }
    assert_true(failed > 0);
    fixture_close(&fx);
}

/* The counter is shared by processes, and a forgotten transaction or a leaked statement ends the program. */
void test_db__the_generation_crosses_processes(void **state)
{
    AUTO_TMPDIR dir;
    struct generation *gen = NULL;
    int status = -1;

    (void)state;
    tmpdir_init(&dir);
    const char *path = tmpdir_path(&dir, "g");
    assert_int_equal(generation_open(path, &gen, NULL), ERR_OK);
    uint64_t before = generation_get(gen);
    pid_t child = fork();
    if (child == 0) {
        struct generation *theirs = NULL;
        if (generation_open(path, &theirs, NULL) != ERR_OK)
            _exit(1);
        generation_bump(theirs);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(generation_get(gen), before + 1);
    generation_close(gen);
}

static void begin_twice(void *arg)
{
    struct fixture *fx = arg;

    if (tx_begin_write(fx->db, NULL) == ERR_OK && tx_begin_write(fx->db, NULL) == ERR_OK)
        tx_rollback(fx->db);
}

static void close_with_a_statement(void *arg)
{
    struct fixture *fx = arg;
    struct db_stmt st = DB_STMT_INIT;

    if (db_query(fx->db, SQL_ALL, DB_NO_ARGS, &st, NULL) == ERR_OK)
        db_close(fx->db);
}

static void bind_too_few(void *arg)
{
    struct fixture *fx = arg;

    err_ignore(db_exec(fx->db, SQL_INSERT, DB_ARGS(db_text(S("a"))), NULL)); /* ends before it returns */
}

void test_db__misuse_is_caught(void **state)
{
    struct fixture fx;

    (void)state;
    fixture_open(&fx);
    expect_panic(begin_twice, &fx, "!db->tx_file");
    expect_panic(close_with_a_statement, &fx, "!db->slots[i].busy");
    expect_panic(bind_too_few, &fx, "count == sqlite3_bind_parameter_count(stmt)");
    fixture_close(&fx);
}
