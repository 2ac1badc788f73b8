/* What was merged of a branch. */
#define _GNU_SOURCE /* link, opendir */
#include "branch/merged.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/branch_base.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MODE = 0600,
    DIRECTORY_MODE = 0700,
    NAME_MAX_BYTES = 160,
    FILES_MAX = 400,
    YOUNG_MS = 900000, /* a merge that has not reached the parent's engine by then does not any more */
};

/* --- The mark --- */

enum err_code merged_mark(const char *dir, bool rows, const struct id *start, struct err *err)
{
    char path[FS_PATH_MAX], text[ID_MAX + 16];

    fs_join(path, dir, BASE_MARK);
    str_print(text, sizeof text, "%s %s\n", rows ? BASE_MARK_ROWS : BASE_MARK_SCHEMA, start->text);
    return fs_write_new(path, str_of(text), FILE_MODE, err);
}

enum err_code merged_read_mark(const char *dir, struct merged_start *ret, struct err *err)
{
    char path[FS_PATH_MAX];
    AUTO_STRBUF text;
    struct str rest, kind;

    *ret = (struct merged_start){.start = {.text = ""}};
    strbuf_init(&text, 200);
    fs_join(path, dir, BASE_MARK);
    enum err_code code = fs_read_all(path, 100, &text, err);
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    rest = str_trim(strbuf_str(&text));
    if (code || !str_cut(&rest, ' ', &kind) || !id_valid(rest, "db"))
        return code;
    memcpy(ret->start.text, rest.ptr, rest.len);
    ret->rows = str_eq(kind, S(BASE_MARK_ROWS));
    return ERR_OK;
}

/* --- Names --- */

struct merge_file {
    char name[NAME_MAX_BYTES];
    struct str start, proposal; /* views of it */
    bool done;
};

/* "db_…-0001764000000-prop_….set"; what is anything else is nobody's. */
static bool parse(struct merge_file *f, const char *name)
{
    struct str rest, time;
    size_t len = strlen(name);

    if (len >= sizeof f->name)
        return false;
    memcpy(f->name, name, len + 1);
    rest = str_of(f->name);
    f->done = str_ends(rest, S(".done"));
    if (!f->done && !str_ends(rest, S(".set")))
        return false;
    rest = str_slice(rest, 0, rest.len - (f->done ? 5 : 4));
    if (!str_cut(&rest, '-', &f->start) || !str_cut(&rest, '-', &time))
        return false;
    f->proposal = rest;
    return id_valid(f->start, "db") && id_valid(f->proposal, "prop");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct merge_file *)a)->name, ((const struct merge_file *)b)->name);
}

static void merged_dir(char out[FS_PATH_MAX], const char *data_dir, const struct id *branch)
{
    char dir[FS_PATH_MAX];

    registry_path(dir, data_dir, id_str(branch));
    fs_join(out, dir, BASE_MERGED);
}

static enum err_code list_files(
    const char *dir, struct arena *a, struct merge_file **ret, size_t *ret_count, struct err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    *ret_count = 0;
    if (!d)
        return errno == ENOENT ? ERR_OK : err_errno(err, ERR_IO, "read what was merged");
    *ret = arena_alloc(a, FILES_MAX * sizeof **ret);
    while (*ret && *ret_count < FILES_MAX && (e = readdir(d)))
        *ret_count += parse(&(*ret)[*ret_count], e->d_name);
    (void)closedir(d); /* it was read only */
    if (!*ret)
        return err_set(err, ERR_TOO_LARGE, "the request is too large");
    for (size_t i = 0; i < *ret_count; i++) /* copies of the sort's have other addresses */
        (*ret)[i].start = (*ret)[i].proposal = STR_EMPTY;
    qsort(*ret, *ret_count, sizeof **ret, by_name);
    for (size_t i = 0; i < *ret_count; i++) {
        char name[NAME_MAX_BYTES];
        memcpy(name, (*ret)[i].name, sizeof name);
        (void)parse(&(*ret)[i], name); /* it was good before */
    }
    return ERR_OK;
}

/* --- What became of them --- */

static bool is_young(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && (int64_t)st.st_mtime * 1000 > clock_wall_ms() - YOUNG_MS;
}

static enum err_code settle(
    const char *dir, struct merge_file *f, merge_state_fn *ask, void *arg, struct err *err)
{
    char path[FS_PATH_MAX], to[FS_PATH_MAX], name[NAME_MAX_BYTES + 8];
    enum merge_state state = MERGE_UNKNOWN;
    enum err_code code = ask(arg, f->proposal, &state, err);

    fs_join(path, dir, f->name);
    if (code || state == MERGE_WAITS || (state == MERGE_UNKNOWN && is_young(path)))
        return code;
    if (state != MERGE_APPLIED) {
        (void)unlink(path); /* what stays is asked about again */
        return ERR_OK;
    }
    str_print(name, sizeof name, "%.*sdone", (int)(strlen(f->name) - 3), f->name);
    fs_join(to, dir, name);
    code = fs_rename(path, to, err);
    if (code)
        return code == ERR_NOT_FOUND ? ERR_OK : code; /* somebody else did it */
    str_print(f->name, sizeof f->name, "%s", name);
    f->done = true;
    return ERR_OK;
}

static enum err_code gather(
    const char *dir, struct arena *a, merge_state_fn *ask, void *arg, struct merged *m, struct err *err)
{
    struct merge_file *files;
    size_t count;
    AUTO_STRBUF names;
    enum err_code code = list_files(dir, a, &files, &count, err);

    strbuf_init(&names, (size_t)FILES_MAX * NAME_MAX_BYTES);
    for (size_t i = 0; i < count && !code; i++) {
        struct merge_file *f = &files[i];
        if (!str_eq(f->start, id_str(&m->start)))
            continue;
        if (!f->done)
            code = settle(dir, f, ask, arg, err);
        if (!f->done)
            continue;
        if (names.len)
            strbuf_add_char(&names, ',');
        strbuf_add_cstr(&names, f->name);
    }
    m->names = arena_copy(a, strbuf_str(&names));
    return code;
}

enum err_code merged_read(const char *data_dir, struct arena *a, const struct id *branch, merge_state_fn *ask,
    void *arg, struct merged *ret, struct err *err)
{
    char dir[FS_PATH_MAX], merged[FS_PATH_MAX];
    struct merged_start mark;

    *ret = (struct merged){.names = STR_EMPTY};
    registry_path(dir, data_dir, id_str(branch));
    merged_dir(merged, data_dir, branch);
    enum err_code code = merged_read_mark(dir, &mark, err);
    ret->start = mark.start;
    if (!code && ret->start.text[0])
        code = gather(merged, a, ask, arg, ret, err);
    return !code && !ret->names.ptr ? err_set(err, ERR_TOO_LARGE, "the request is too large") : code;
}

/* --- Keeping --- */

static void shown_path(
    char out[FS_PATH_MAX], const char *data_dir, const struct id *parent, struct str proposal)
{
    char dir[FS_PATH_MAX], name[NAME_MAX_BYTES];

    registry_path(dir, data_dir, id_str(parent));
    str_print(name, sizeof name, "in/" STR_FMT ".set", STR_ARG(proposal));
    fs_join(out, dir, name);
}

static void set_path(char out[FS_PATH_MAX], const char *data_dir, const struct id *branch, struct str set)
{
    char dir[FS_PATH_MAX], name[NAME_MAX_BYTES];

    registry_path(dir, data_dir, id_str(branch));
    str_print(name, sizeof name, "out/" STR_FMT ".set", STR_ARG(set));
    fs_join(out, dir, name);
}

static enum err_code show(
    const char *from, const char *data_dir, const struct id *parent, struct str proposal, struct err *err)
{
    char dir[FS_PATH_MAX], in[FS_PATH_MAX], to[FS_PATH_MAX];

    registry_path(dir, data_dir, id_str(parent));
    fs_join(in, dir, "in");
    shown_path(to, data_dir, parent, proposal);
    enum err_code code = fs_mkdir_p(in, DIRECTORY_MODE, err);
    if (!code && link(from, to) != 0)
        code = err_errno(err, ERR_IO, "hand the changes of the branch on");
    return code;
}

enum err_code merged_keep(const char *data_dir, const struct id *branch, const struct id *start,
    struct str set, const struct id *parent, struct str proposal, struct err *err)
{
    char dir[FS_PATH_MAX], from[FS_PATH_MAX], to[FS_PATH_MAX], name[NAME_MAX_BYTES];

    merged_dir(dir, data_dir, branch);
    set_path(from, data_dir, branch, set);
    str_print(name, sizeof name, "%s-%013lld-" STR_FMT ".set", start->text, (long long)clock_wall_ms(),
        STR_ARG(proposal));
    fs_join(to, dir, name);
    enum err_code code = fs_mkdir_p(dir, DIRECTORY_MODE, err);
    if (!code)
        code = fs_rename(from, to, err);
    return code ? code : show(to, data_dir, parent, proposal, err);
}

static void forget(const char *data_dir, const struct id *branch, const struct id *start, struct str proposal)
{
    AUTO_ARENA a;
    struct merge_file *files;
    size_t count;
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];

    arena_init(&a, 1 << 20);
    merged_dir(dir, data_dir, branch);
    if (list_files(dir, &a, &files, &count, NULL))
        return; /* it is asked about later */
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(files[i].start, id_str(start)) || !str_eq(files[i].proposal, proposal))
            continue;
        fs_join(path, dir, files[i].name);
        (void)unlink(path); /* likewise */
    }
}

void merged_shown(const char *data_dir, const struct id *branch, const struct id *start,
    const struct id *parent, struct str proposal, bool keep)
{
    char path[FS_PATH_MAX];

    shown_path(path, data_dir, parent, proposal);
    (void)unlink(path); /* the next start removes what stays */
    if (!keep)
        forget(data_dir, branch, start, proposal);
}

void merged_drop_set(const char *data_dir, const struct id *branch, struct str set)
{
    char path[FS_PATH_MAX];

    set_path(path, data_dir, branch, set);
    (void)unlink(path); /* perhaps it was handed on */
}
