/* Files on a real file system: all or nothing under every failing call, locks, trees with links that lead
 * away. */
#define _GNU_SOURCE /* symlink, mkfifo beside strict C */
#include "base/fs.h"
#include "lib/faultio.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t count_entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    assert_int_equal(closedir(dir), 0);
    return n - 2;
}

static void put(const char *path, const char *text)
{
    struct err err = ERR_INIT;
    if (fs_write_atomic(path, str_of(text), 0600, &err))
        fail_msg("%s", err.message);
}

static void expect_content(const char *path, const char *want)
{
    AUTO_STRBUF got;
    strbuf_init(&got, 10000);
    assert_int_equal(fs_read_all(path, 10000, &got, NULL), ERR_OK);
    expect_str(strbuf_str(&got), want);
}

void test_fs__joins(void **state)
{
    char out[FS_PATH_MAX];
    (void)state;
    fs_join(out, "/data/db", "main.db");
    assert_string_equal(out, "/data/db/main.db");
}

static void join_too_long(void *arg)
{
    char out[FS_PATH_MAX], name[FS_PATH_MAX];
    (void)arg;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    fs_join(out, "d", name);
}

void test_fs__aborts_on_a_path_that_does_not_fit(void **state)
{
    (void)state;
    expect_panic(join_too_long, NULL, "FS_PATH_MAX");
}

void test_fs__makes_directories(void **state)
{
    AUTO_TMPDIR d;
    struct err err = ERR_INIT;
    struct stat st;
    (void)state;
    tmpdir_init(&d);
    const char *deep = tmpdir_path(&d, "a/b//c");
    assert_int_equal(fs_mkdir_p(deep, 0700, &err), ERR_OK);
    assert_int_equal(fs_mkdir_p(deep, 0700, &err), ERR_OK);
    assert_int_equal(fs_mkdir_p(tmpdir_path(&d, "a/"), 0700, &err), ERR_OK);
    assert_int_equal(stat(tmpdir_path(&d, "a/b"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    put(tmpdir_path(&d, "file"), "x");
    assert_int_equal(fs_mkdir_p(tmpdir_path(&d, "file"), 0700, &err), ERR_CONFLICT);
    expect_str(str_of(err.message), "cannot create directory file: File exists");
    assert_true(fs_mkdir_p(tmpdir_path(&d, "file/sub"), 0700, &err) != ERR_OK);
}

void test_fs__writes_and_reads_whole_files(void **state)
{
    AUTO_TMPDIR d;
    AUTO_STRBUF got, big;
    struct err err = ERR_INIT;
    struct stat st;
    (void)state;
    tmpdir_init(&d);
    const char *path = tmpdir_path(&d, "f");
    assert_false(fs_exists(path));
    assert_int_equal(fs_write_atomic(path, S("one"), 0640, &err), ERR_OK);
    assert_true(fs_exists(path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    put(path, "two");
    expect_content(path, "two");
    put(path, "");
    expect_content(path, "");
    strbuf_init(&big, 1 << 20);
    strbuf_init(&got, 1 << 20);
    strbuf_addf(&big, "%0200000d", 7); /* several reads */
    put(path, strbuf_cstr(&big));
    assert_int_equal(fs_read_all(path, 200000, &got, &err), ERR_OK);
    assert_true(str_eq(strbuf_str(&got), strbuf_str(&big)));
    assert_int_equal(count_entries(d.path), 1);
}

void test_fs__reads_up_to_a_limit(void **state)
{
    AUTO_TMPDIR d;
    AUTO_STRBUF got;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&d);
    put(tmpdir_path(&d, "f"), "12345");
    strbuf_init(&got, 100);
    strbuf_add_cstr(&got, "before ");
    assert_int_equal(fs_read_all(tmpdir_path(&d, "f"), 5, &got, &err), ERR_OK);
    expect_str(strbuf_str(&got), "before 12345");
    assert_int_equal(fs_read_all(tmpdir_path(&d, "f"), 4, &got, &err), ERR_TOO_LARGE);
    expect_str(str_of(err.message), "f is larger than 4 bytes");
    assert_int_equal(fs_read_all(tmpdir_path(&d, "absent"), 4, &got, &err), ERR_NOT_FOUND);
    expect_str(str_of(err.message), "cannot open absent: No such file or directory");
    assert_int_equal(fs_read_all(d.path, 4, &got, &err), ERR_IO); /* a directory */
}

/* Every call fails in turn: the file is the old one or the new one, whole, and nothing else is left in the
 * directory. */
void test_fs__write_is_all_or_nothing(void **state)
{
    static const struct {
        int error;
        enum err_code code;
    } ROWS[] = {{EIO, ERR_IO}, {ENOSPC, ERR_FULL}, {EDQUOT, ERR_FULL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_TMPDIR d;
        bool fired = true;
        int n = 0, kept = 0;
        tmpdir_init(&d);
        const char *path = tmpdir_path(&d, "f");
        while (fired) {
            put(path, "the old text");
            faultio_arm(++n, ROWS[i].error);
            enum err_code rc = fs_write_atomic(path, S("the new, longer text"), 0600, NULL);
            fired = faultio_disarm();
            assert_int_equal(rc, fired ? ROWS[i].code : ERR_OK);
            AUTO_STRBUF got;
            strbuf_init(&got, 100);
            assert_int_equal(fs_read_all(path, 100, &got, NULL), ERR_OK);
            bool old = str_eq(strbuf_str(&got), S("the old text"));
            assert_true(old || str_eq(strbuf_str(&got), S("the new, longer text")));
            kept += old;
            assert_int_equal(count_entries(d.path), 1);
        }
        assert_int_equal(
            n, 6); /* fchmod, write, fsync, rename, fsync of the directory, and the run without a failure */
        assert_int_equal(
            kept, 4); /* after the rename the new text is there, though not surely on disk: still an error */
    }
}

void test_fs__write_goes_on_after_a_short_one(void **state)
{
    AUTO_TMPDIR d;
    (void)state;
    tmpdir_init(&d);
    faultio_arm(2, FAULTIO_SHORT);
    put(tmpdir_path(&d, "f"), "a text of some length");
    assert_true(faultio_disarm());
    faultio_arm(2, EINTR);
    put(tmpdir_path(&d, "g"), "a text of some length");
    assert_true(faultio_disarm());
    expect_content(tmpdir_path(&d, "f"), "a text of some length");
    expect_content(tmpdir_path(&d, "g"), "a text of some length");
}

void test_fs__write_needs_a_directory(void **state)
{
    AUTO_TMPDIR d;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&d);
    assert_int_equal(fs_write_atomic(tmpdir_path(&d, "no/f"), S("x"), 0600, &err), ERR_NOT_FOUND);
    expect_str(str_of(err.message), "cannot create f: No such file or directory"); /* no path of the host */
}

void test_fs__renames_and_syncs_both_directories(void **state)
{
    AUTO_TMPDIR d;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&d);
    assert_int_equal(fs_mkdir_p(tmpdir_path(&d, "sub"), 0700, &err), ERR_OK);
    put(tmpdir_path(&d, "f"), "x");
    assert_int_equal(fs_rename(tmpdir_path(&d, "f"), tmpdir_path(&d, "sub/g"), &err), ERR_OK);
    expect_content(tmpdir_path(&d, "sub/g"), "x");
    assert_false(fs_exists(tmpdir_path(&d, "f")));
    assert_int_equal(fs_rename(tmpdir_path(&d, "f"), tmpdir_path(&d, "g"), &err), ERR_NOT_FOUND);
    int n = 0;
    bool fired = true;
    for (; fired; n++) {
        faultio_arm(n + 1, EIO);
        enum err_code rc = fs_rename(tmpdir_path(&d, "sub"), tmpdir_path(&d, "sub"), &err);
        fired = faultio_disarm();
        assert_int_equal(rc, fired ? ERR_IO : ERR_OK);
    }
    assert_int_equal(n, 3); /* rename, one directory, no failure */
}

void test_fs__removes_trees_and_follows_no_link(void **state)
{
    AUTO_TMPDIR d;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&d);
    assert_int_equal(fs_mkdir_p(tmpdir_path(&d, "kept"), 0700, &err), ERR_OK);
    put(tmpdir_path(&d, "kept/file"), "precious");
    assert_int_equal(fs_mkdir_p(tmpdir_path(&d, "tree/a/b"), 0700, &err), ERR_OK);
    put(tmpdir_path(&d, "tree/a/file"), "x");
    assert_int_equal(symlink(tmpdir_path(&d, "kept"), tmpdir_path(&d, "tree/a/b/dirlink")), 0);
    assert_int_equal(symlink(tmpdir_path(&d, "kept/file"), tmpdir_path(&d, "tree/filelink")), 0);
    assert_int_equal(symlink("nowhere", tmpdir_path(&d, "tree/dangling")), 0);
    assert_int_equal(mkfifo(tmpdir_path(&d, "tree/fifo"), 0600), 0);
    assert_int_equal(fs_remove_tree(tmpdir_path(&d, "tree"), &err), ERR_OK);
    assert_false(fs_exists(tmpdir_path(&d, "tree")));
    expect_content(tmpdir_path(&d, "kept/file"), "precious");
    assert_int_equal(symlink(tmpdir_path(&d, "kept"), tmpdir_path(&d, "toplink")), 0);
    assert_int_equal(fs_remove_tree(tmpdir_path(&d, "toplink"), &err), ERR_OK); /* the link itself goes */
    expect_content(tmpdir_path(&d, "kept/file"), "precious");
    assert_int_equal(fs_remove_tree(tmpdir_path(&d, "kept/file"), &err), ERR_OK);
    assert_int_equal(fs_remove_tree(tmpdir_path(&d, "never/was"), &err), ERR_OK);
    assert_int_equal(count_entries(d.path), 1);
}

void test_fs__refuses_to_remove_a_bottomless_tree(void **state)
{
    AUTO_TMPDIR d;
    AUTO_STRBUF path;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&d);
    strbuf_init(&path, FS_PATH_MAX);
    strbuf_add_cstr(&path, d.path);
    for (int i = 0; i < 70; i++)
        strbuf_add_cstr(&path, "/d");
    assert_int_equal(fs_mkdir_p(strbuf_cstr(&path), 0700, &err), ERR_OK);
    assert_int_equal(fs_remove_tree(tmpdir_path(&d, "d"), &err), ERR_IO);
    assert_non_null(strstr(err.message, "64 levels"));
    strbuf_truncate(&path, strlen(d.path) + strlen("/d") * 40);
    assert_int_equal(fs_remove_tree(strbuf_cstr(&path), &err), ERR_OK); /* its lower part is shallow enough */
}

void test_fs__measures_free_space(void **state)
{
    uint64_t free_bytes = 0, total = 0;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(fs_free_bytes("/", &free_bytes, &total, &err), ERR_OK);
    assert_true(total > 0 && free_bytes <= total);
    assert_int_equal(fs_free_bytes("/no/such/place", &free_bytes, &total, &err), ERR_NOT_FOUND);
}

/* A child takes the lock, says so, and holds it until it is killed. */
static pid_t lock_in_child(const char *path, int *ret_pipe)
{
    int fds[2];
    char byte;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd;
        bool locked = fs_lock(path, &fd, NULL) == ERR_OK;
        if (write(fds[1], locked ? "y" : "n", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    *ret_pipe = fds[0];
    return pid;
}

void test_fs__locks_name_their_holder_and_die_with_it(void **state)
{
    AUTO_TMPDIR d;
    struct err err = ERR_INIT;
    char want[100];
    int fd = -1, pipe_fd, status;
    (void)state;
    tmpdir_init(&d);
    const char *path = tmpdir_path(&d, "lock");
    pid_t pid = lock_in_child(path, &pipe_fd);
    assert_int_equal(fs_lock(path, &fd, &err), ERR_CONFLICT);
    assert_int_equal(fd, -1);
    assert_true(snprintf(want, sizeof want, "lock is held by process %ld", (long)pid) > 0);
    expect_str(str_of(err.message), want);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(fs_lock(path, &fd, &err), ERR_OK);
    assert_true(snprintf(want, sizeof want, "%ld\n", (long)getpid()) > 0);
    expect_content(path, want); /* nothing is left of the former, perhaps longer, number */
    int second = -1;
    assert_int_equal(fs_lock(path, &second, &err), ERR_CONFLICT); /* also within one process */
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fs_lock(path, &fd, &err), ERR_OK);
    fd_close(&fd);
    fd_close(&fd);
    (void)close(pipe_fd);
}

void test_fs__lock_failures_leave_no_lock(void **state)
{
    AUTO_TMPDIR d;
    int fd = -1;
    (void)state;
    tmpdir_init(&d);
    for (int n = 1; n <= 2; n++) {
        faultio_arm(n, ENOSPC);
        assert_int_equal(fs_lock(tmpdir_path(&d, "lock"), &fd, NULL), ERR_FULL);
        assert_true(faultio_disarm());
        assert_int_equal(fd, -1);
    }
    assert_int_equal(symlink("elsewhere", tmpdir_path(&d, "link")), 0);
    assert_int_equal(fs_lock(tmpdir_path(&d, "link"), &fd, NULL), ERR_IO);
    assert_false(fs_exists(tmpdir_path(&d, "elsewhere")));
    assert_int_equal(fs_lock(tmpdir_path(&d, "lock"), &fd, NULL), ERR_OK);
    fd_close(&fd);
}

void test_fs__lock_without_a_number_still_conflicts(void **state)
{
    AUTO_TMPDIR d;
    struct err err = ERR_INIT;
    int fd = -1, other = -1;
    (void)state;
    tmpdir_init(&d);
    assert_int_equal(fs_lock(tmpdir_path(&d, "lock"), &fd, &err), ERR_OK);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(fs_lock(tmpdir_path(&d, "lock"), &other, &err), ERR_CONFLICT);
    expect_str(str_of(err.message), "lock is held by another process");
    fd_close(&fd);
}
