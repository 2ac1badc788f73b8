/* See archive.h. */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "branch/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COLUMNS    "SELECT id, database_id, label, bytes, created_at FROM archive"
#define SQL_INSERT "INSERT INTO archive(id, database_id, label, bytes, created_at) VALUES(?1, ?2, ?3, ?4, ?5)"
#define SQL_GET    COLUMNS " WHERE database_id = ?1 AND id = ?2"
#define SQL_LIST   COLUMNS " WHERE database_id = ?1 AND (?2 = '' OR id < ?2) ORDER BY id DESC LIMIT ?3"
#define SQL_COUNT  "SELECT count(*) FROM archive WHERE database_id = ?1"
#define SQL_DELETE "DELETE FROM archive WHERE id = ?1"
#define SQL_KNOWN  "SELECT 1 FROM archive WHERE id = ?1"
#define ENDING     ".sql"

/* --- Files --- */

void archive_dir(char out[FS_PATH_MAX], const char *data_dir)
{
    fs_join(out, data_dir, "archives");
}

static void path_of(char out[FS_PATH_MAX], const char *data_dir, struct str id)
{
    char dir[FS_PATH_MAX], name[ID_MAX + sizeof ENDING];

    CHECK(id_valid(id, "arch"));
    archive_dir(dir, data_dir);
    str_print(name, sizeof name, STR_FMT ENDING, STR_ARG(id));
    fs_join(out, dir, name);
}

static void remove_file(const char *data_dir, struct str id)
{
    char path[FS_PATH_MAX];

    path_of(path, data_dir, id);
    (void)unlink(path); /* what stays is removed by the next cleaning */
}

/* The name is as durable as the dump when this returns. */
static enum err_code publish(const char *data_dir, struct str id, struct spool *dump, struct err *err)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];

    archive_dir(dir, data_dir);
    path_of(path, data_dir, id);
    enum err_code code = spool_publish(dump, path, err);
    return code ? code : fs_sync_dir(dir, err);
}

enum err_code archive_open(const char *data_dir, const struct archive *a, int *ret_fd, struct err *err)
{
    char path[FS_PATH_MAX];
    struct stat st;

    path_of(path, data_dir, id_str(&a->id));
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT)
        return err_errno(err, ERR_IO, "open the archive");
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != a->bytes)
        return err_set(err, ERR_CORRUPT, "the file of the archive is missing, or is not what was kept");
    *ret_fd = fd_take(&fd);
    return ERR_OK;
}

/* --- Rows --- */

static void map(const struct db_stmt *st, struct archive *a)
{
    DB_COL_COPY(st, 0, a->id.text);
    DB_COL_COPY(st, 1, a->database_id.text);
    DB_COL_COPY(st, 2, a->label);
    a->bytes = db_col_int(st, 3);
    a->created_at = db_col_int(st, 4);
}

static enum err_code audit(struct db *db, const struct actor *by, enum audit_action action,
    const struct registry_entry *e, const struct archive *a, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = action,
            .namespace_id = &e->namespace_id,
            .target_id = id_str(&e->id),
            .target_name = str_of(e->slug),
            .after =
                AUDIT_VALUES(audit_text("archive", id_str(&a->id)), audit_text("label", str_of(a->label)))},
        err);
}

enum err_code archive_check_room(struct db *db, const struct id *database_id, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code = db_query_one(db, SQL_COUNT, DB_ARGS(db_text(id_str(database_id))), &st, err);

    if (code || db_col_int(&st, 0) < LIMIT_ARCHIVES_PER_DATABASE)
        return code;
    return err_set(err, ERR_CONFLICT, "this database has its %d archives; delete one first",
        (int)LIMIT_ARCHIVES_PER_DATABASE);
}

static enum err_code put_tx(struct db *db, const struct actor *by, const struct archive *a, struct err *err)
{
    struct registry_entry e;
    enum err_code code = registry_get_by_id(db, &a->database_id, &e, err);

    if (!code && e.status != REGISTRY_HEALTHY)
        code = err_set(err, ERR_NOT_FOUND, "the database was deleted meanwhile");
    if (!code)
        code = archive_check_room(db, &a->database_id, err);
    if (!code)
        code = db_exec(db, SQL_INSERT,
            DB_ARGS(db_text(id_str(&a->id)), db_text(id_str(&a->database_id)), db_text(str_of(a->label)),
                db_int(a->bytes), db_int(a->created_at)),
            err);
    return code ? code : audit(db, by, AUDIT_ARCHIVE_CREATED, &e, a, err);
}

enum err_code archive_put(struct db *db, const char *data_dir, const struct actor *by,
    const struct id *database_id, struct str label, struct spool *dump, struct archive *ret, struct err *err)
{
    *ret = (struct archive){.id = id_new("arch"),
        .database_id = *database_id,
        .bytes = (int64_t)dump->bytes,
        .created_at = clock_wall_ms()};
    str_print_cut(ret->label, sizeof ret->label, STR_FMT, STR_ARG(label));
    enum err_code code = publish(data_dir, id_str(&ret->id), dump, err);
    if (!code)
        code = tx_begin_write(db, err);
    if (!code)
        code = tx_end(db, put_tx(db, by, ret, err), err);
    if (code)
        remove_file(data_dir, id_str(&ret->id));
    return code;
}

enum err_code archive_get(
    struct db *db, const struct id *database_id, struct str id, struct archive *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    enum err_code code =
        db_query_one(db, SQL_GET, DB_ARGS(db_text(id_str(database_id)), db_text(id)), &st, err);

    if (code)
        return code == ERR_NOT_FOUND ? err_set(err, code, "There is no such archive of this database") : code;
    map(&st, ret);
    return ERR_OK;
}

enum err_code archive_list(struct db *db, struct arena *a, const struct id *database_id, struct str before,
    int64_t limit, struct archive_page *ret, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    *ret = (struct archive_page){.rows = arena_alloc(a, (size_t)limit * sizeof *ret->rows)};
    if (!ret->rows)
        return err_set(err, ERR_TOO_LARGE, "too many archives to list at once; ask for a smaller page");
    enum err_code code = db_query(
        db, SQL_LIST, DB_ARGS(db_text(id_str(database_id)), db_text(before), db_int(limit)), &st, err);
    while (!code && db_row(&st))
        map(&st, &ret->rows[ret->count++]);
    return code ? code : db_done(&st, err);
}

static enum err_code delete_tx(struct db *db, const struct actor *by, const struct registry_entry *e,
    struct str id, struct archive *ret, struct err *err)
{
    enum err_code code = archive_get(db, &e->id, id, ret, err);

    if (!code)
        code = db_exec(db, SQL_DELETE, DB_ARGS(db_text(id)), err);
    return code ? code : audit(db, by, AUDIT_ARCHIVE_DELETED, e, ret, err);
}

enum err_code archive_delete(struct db *db, const char *data_dir, const struct actor *by,
    const struct registry_entry *e, struct str id, struct archive *ret, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, delete_tx(db, by, e, id, ret, err), err);
    if (!code)
        remove_file(data_dir, id_str(&ret->id));
    return code;
}

/* --- Cleaning --- */

static enum err_code clean_one(
    struct db *db, const char *data_dir, struct str name, bool start, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;
    struct str id = str_slice(name, 0, name.len - (str_ends(name, S(ENDING)) ? strlen(ENDING) : 0));
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];

    if (start && id_valid(name, "sp")) { /* a spool of a file system without nameless files */
        archive_dir(dir, data_dir);
        fs_join(path, dir, name.ptr);
        (void)unlink(path); /* what stays is removed at the next start */
    }
    if (id.len == name.len || !id_valid(id, "arch"))
        return ERR_OK;
    enum err_code code = db_query_one(db, SQL_KNOWN, DB_ARGS(db_text(id)), &st, err);
    if (code == ERR_NOT_FOUND)
        remove_file(data_dir, id);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code archive_clean(struct db *db, const char *data_dir, bool start, struct err *err)
{
    char path[FS_PATH_MAX];
    enum err_code code = ERR_OK;

    archive_dir(path, data_dir);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && !code && (d = readdir(dir));)
        code = clean_one(db, data_dir, str_of(d->d_name), start, err);
    if (dir)
        (void)closedir(dir); /* a directory that was only read */
    return code;
}
