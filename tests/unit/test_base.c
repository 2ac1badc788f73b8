/* What a branch began with, in a real engine: whatever it does to keep it, SQLite's locks stay. */
#include "base/fs.h"
#include "base/id.h"
#include "engine/branch_base.h"
#include "lib/engine_fixture.h"
#include "lib/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MANY "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000) "

/* https://www.sqlite.org/fileformat2.html and walformat.html: bytes that who uses the file holds a lock of.
 */
enum { SHARED_FIRST = 0x40000002, SHARED_COUNT = 510, INDEX_READERS = 123, INDEX_READER_COUNT = 5 };

static struct engine_fixture g_fx;

int setup_base(void **state)
{
    (void)state;
    engine_fixture_start(&g_fx);
    return 0;
}

int teardown_base(void **state)
{
    (void)state;
    return engine_fixture_stop(&g_fx);
}

static void path_of(const char *name, char out[FS_PATH_MAX])
{
    fs_join(out, g_fx.dir, name);
}

static bool exists(const char *name)
{
    char path[FS_PATH_MAX];
    path_of(name, path);
    return access(path, F_OK) == 0;
}

/* Who would be in the way of somebody else's write lock there; 0 nobody. */
static pid_t holder(const char *name, off_t first, off_t count)
{
    char path[FS_PATH_MAX];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
    path_of(name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETLK, &lock), 0);
    (void)close(fd);
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

static void expect_locks(const char *when)
{
    pid_t file = holder("main.db", SHARED_FIRST, SHARED_COUNT);
    pid_t index = holder("main.db-shm", INDEX_READERS, INDEX_READER_COUNT);
    if (file != g_fx.pid || index != g_fx.pid)
        fail_msg("%s: main.db is locked by %d, its log's index by %d, the engine is %d", when, (int)file,
            (int)index, (int)g_fx.pid);
}

/* The file as it stands by now is what a branch begins with. */
static void begin_branch(void)
{
    char path[FS_PATH_MAX], text[100];
    const struct id start = id_new("db");
    assert_int_equal(engine_fixture_end(&g_fx, false), 0);
    path_of(BASE_MARK, path);
    str_print(text, sizeof text, "%s %s\n", BASE_MARK_ROWS, start.text);
    assert_int_equal(fs_write_atomic(path, str_of(text), 0600, NULL), ERR_OK);
    engine_fixture_again(&g_fx, ENGINE_WRITER);
}

static void expect_changes(const char *counts)
{
    struct wire_call call = engine_call_new(WIRE_OP_BRANCH_CHANGES, "");
    struct engine_answer a = engine_ask(&g_fx, &call);
    assert_int_equal(a.head.status, 200);
    engine_expect(a.body, counts);
}

/* The kernel drops a process's locks of a file with the first descriptor of it that is closed. */
void test_base__keeping_it_keeps_the_locks(void **state)
{
    enum { WRITES_MAX = 100 };
    (void)state;
    (void)engine_ok(&g_fx, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    (void)engine_ok(&g_fx, MANY "INSERT INTO t SELECT x, hex(randomblob(1000)) FROM c");
    begin_branch();
    (void)engine_ok(&g_fx, "UPDATE t SET v = 'a' WHERE id = 1");
    expect_locks("at first");
    expect_changes("\"update\":1");
    expect_locks("main.db was opened as the base");
    size_t writes = 0;
    for (; writes < WRITES_MAX && !exists("base.kept"); writes++)
        (void)engine_ok(&g_fx, "UPDATE t SET v = hex(randomblob(1000)) WHERE id > 1000");
    assert_true(writes > 1 && writes < WRITES_MAX);
    (void)engine_ok(&g_fx, "UPDATE t SET v = 'b' WHERE id = 2000");
    expect_locks("the base was copied");
    expect_changes("\"update\":1001");
    expect_locks("base.db was opened as the base");
}
