/* What a branch began with. */
#define _GNU_SOURCE /* copy_file_range, O_NOFOLLOW */
#include "engine/base.h"
#include "base/fs.h"
#include "engine/engine_dir.h"
#include "engine/engine_state.h"
#include "engine/main_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PIECE_BYTES = 8 << 20, MARK_MAX = 100, FILE_MODE = 0600 };

static void path_of(const struct engine *eng, const char *name, char out[FS_PATH_MAX])
{
    fs_join(out, eng->cfg.dir, name);
}

static bool exists(const struct engine *eng, const char *name)
{
    char path[FS_PATH_MAX];
    path_of(eng, name, path);
    return access(path, F_OK) == 0;
}

/* --- The mark --- */

static enum base_kind read_mark(const struct engine *eng, char ret_id[ID_MAX])
{
    char path[FS_PATH_MAX], text[MARK_MAX];
    ret_id[0] = '\0';
    path_of(eng, BASE_MARK, path);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    struct str rest = str_trim(str_make(text, n > 0 ? (size_t)n : 0)), kind;
    if (!str_cut(&rest, ' ', &kind) || !id_valid(rest, "db"))
        return BASE_NONE;
    memcpy(ret_id, rest.ptr, rest.len);
    ret_id[rest.len] = '\0';
    if (str_eq(kind, S(BASE_MARK_ROWS)))
        return BASE_ROWS;
    return str_eq(kind, S(BASE_MARK_SCHEMA)) ? BASE_SCHEMA : BASE_NONE;
}

/* --- Keeping it --- */

void base_start(struct engine *eng)
{
    char id[ID_MAX];
    eng->base = (struct base_keeper){.to = -1};
    eng->base.keeps =
        eng->cfg.mode == ENGINE_WRITER && read_mark(eng, id) == BASE_ROWS && !exists(eng, BASE_KEPT);
}

void base_stop(struct engine *eng)
{
    fd_close(&eng->base.to);
}

static bool begin(struct engine *eng)
{
    char path[FS_PATH_MAX];
    struct base_keeper *k = &eng->base;
    path_of(eng, BASE_COPY, path);
    k->at = 0;
    k->to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    return k->to >= 0 && main_file(eng) >= 0;
}

/* The copy counts from now on; then SQLite may write main.db, also when it closes it. */
static bool settle(struct engine *eng)
{
    char path[FS_PATH_MAX];
    path_of(eng, BASE_KEPT, path);
    if (fsync(eng->base.to) || fs_sync_dir(eng->cfg.dir, NULL))
        return false;
    AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    return fd >= 0 && fsync(fd) == 0 && fs_sync_dir(eng->cfg.dir, NULL) == ERR_OK;
}

static void let_main_go(struct engine *eng)
{
    fd_close(&eng->base.to);
    eng->base.keeps = false;
    (void)sqlite3_db_config(eng->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL); /* a known switch */
}

/* Without the mark nobody believes a copy that was cut short. */
static void give_up(struct engine *eng)
{
    char path[FS_PATH_MAX];
    path_of(eng, BASE_MARK, path);
    if (unlink(path) == 0 && fs_sync_dir(eng->cfg.dir, NULL) == ERR_OK)
        let_main_go(eng);
    fd_close(&eng->base.to);
    path_of(eng, BASE_COPY, path);
    (void)unlink(path); /* perhaps there is none */
}

bool base_allows_checkpoint(struct engine *eng)
{
    struct base_keeper *k = &eng->base;
    if (!k->keeps)
        return true;
    bool good = k->to >= 0 || begin(eng);
    ssize_t n = good ? copy_file_range(main_file(eng), &k->at, k->to, NULL, PIECE_BYTES, 0) : -1;
    if (n > 0 || (n < 0 && good && errno == EINTR))
        return false; /* the next piece comes with the next turn */
    if (n == 0 && settle(eng))
        let_main_go(eng);
    else
        give_up(eng);
    return !k->keeps;
}

/* --- Reading it --- */

/* The path as a URI, which alone can say that nobody changes the file: no lock is taken, no log is read. */
static void put_uri(struct strbuf *out, const char *path)
{
    strbuf_add_cstr(out, "file:");
    for (; *path; path++) {
        bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
                     (*path >= '0' && *path <= '9') || strchr("/._-", *path);
        if (plain)
            strbuf_add_char(out, *path);
        else
            strbuf_addf(out, "%%%02x", (unsigned)(unsigned char)*path);
    }
    strbuf_add_cstr(out, "?immutable=1");
}

static enum err_code open_file(struct op *op, struct base *b, struct err *err)
{
    char path[FS_PATH_MAX];
    AUTO_STRBUF uri;
    strbuf_init(&uri, (size_t)4 * FS_PATH_MAX);
    path_of(op->eng, b->of_main ? "main.db" : BASE_COPY, path);
    put_uri(&uri, path);
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_URI;
    int rc = sqlite3_open_v2(strbuf_cstr(&uri), &b->db, flags, VFS_NAME);
    enum err_code code = rc == SQLITE_OK
                             ? engine_recipe(op->eng, b->db, err)
                             : err_set(err, ERR_UNAVAILABLE, "what the branch began with cannot be opened");
    if (!code)
        engine_watch_time(op->eng, b->db);
    return code;
}

enum err_code base_open(struct op *op, struct base *ret, struct err *err)
{
    *ret = (struct base){.db = NULL};
    ret->kind = read_mark(op->eng, ret->id);
    if (ret->kind != BASE_ROWS)
        return ERR_OK;
    ret->of_main = !exists(op->eng, BASE_KEPT);
    enum err_code code = open_file(op, ret, err);
    if (code)
        base_close(ret);
    return code;
}

bool base_stood(struct op *op, const struct base *b)
{
    return !b->of_main || !exists(op->eng, BASE_KEPT);
}

void base_close(struct base *b)
{
    (void)sqlite3_close(b->db); /* whoever read has finished its statements */
    b->db = NULL;
}
