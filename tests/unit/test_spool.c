/* Files without a name: what is seen in their directory, and what is left. */
#include "base/spool.h"
#include "base/fs.h"
#include "base/strbuf.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static unsigned entries(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

void test_spool__has_no_name_until_it_is_published(void **state)
{
    struct tmpdir dir;
    struct spool s = SPOOL_INIT;
    struct err err = ERR_INIT;
    struct stat st;
    AUTO_STRBUF text;
    (void)state;
    tmpdir_init(&dir);
    strbuf_init(&text, 100);
    const char *below = tmpdir_path(&dir, "new/below"), *path = tmpdir_path(&dir, "new/below/whole");
    assert_int_equal(spool_open(&s, below, &err), ERR_OK);
    assert_int_equal(spool_write(&s, S("one "), &err), ERR_OK);
    assert_int_equal(spool_write(&s, S(""), &err), ERR_OK);
    assert_int_equal(spool_write(&s, S("two"), &err), ERR_OK);
    assert_int_equal(s.bytes, 7);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(entries(below), s.name ? 1 : 0);
    assert_int_equal(spool_publish(&s, path, &err), ERR_OK);
    assert_int_equal(s.fd, -1);
    assert_int_equal(s.bytes, 7);
    assert_int_equal(entries(below), 1);
    assert_int_equal(fs_read_all(path, 100, &text, &err), ERR_OK);
    assert_string_equal(strbuf_cstr(&text), "one two");
    tmpdir_release(&dir);
}

void test_spool__leaves_nothing_when_it_is_given_up(void **state)
{
    struct tmpdir dir;
    struct spool s = SPOOL_INIT;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(spool_open(&s, dir.path, &err), ERR_OK);
    assert_int_equal(spool_write(&s, S("x"), &err), ERR_OK);
    spool_close(&s);
    spool_close(&s);
    assert_int_equal(entries(dir.path), 0);
    tmpdir_release(&dir);
}

void test_spool__a_taken_name_and_a_missing_folder_are_errors(void **state)
{
    struct tmpdir dir;
    struct spool s = SPOOL_INIT;
    struct err err = ERR_INIT;
    (void)state;
    tmpdir_init(&dir);
    const char *taken = tmpdir_path(&dir, "taken");
    assert_int_equal(fs_write_atomic(taken, S("old"), 0600, &err), ERR_OK);
    assert_int_equal(spool_open(&s, taken, &err), ERR_CONFLICT); /* no folder */
    assert_int_equal(s.fd, -1);
    assert_int_equal(spool_open(&s, dir.path, &err), ERR_OK);
    assert_int_equal(spool_publish(&s, taken, &err), ERR_IO);
    assert_int_equal(spool_publish(&s, tmpdir_path(&dir, "no/where"), &err), ERR_IO);
    spool_close(&s);
    assert_int_equal(entries(dir.path), 1);
    tmpdir_release(&dir);
}
