/* A data directory: who may read it, whether there is room, who holds it, and whether control.db and the disk
 * agree. No tenant's file is opened here. */
#define _GNU_SOURCE /* statfs beside strict C */
#include "base/check.h"
#include "base/limits.h"
#include "cli.h"
#include "doctor.h"
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* --- Directory and disk --- */

static void check_mode(struct doctor *d, const char *name)
{
    char path[FS_PATH_MAX];
    struct stat st;

    fs_join(path, d->data, name);
    if (lstat(path, &st) == 0 && (st.st_mode & 077) != 0)
        doctor_bad(d, "directory", "chmod go= on it: nobody but the server's user needs it",
            "%s is open to others (mode %03o)", name, (unsigned)(st.st_mode & 0777));
}

/* false: nothing else can be looked at. */
static bool check_directory(struct doctor *d)
{
    struct stat st;

    if (strlen(d->data) > FS_PATH_MAX / 2 || stat(d->data, &st) != 0) {
        doctor_bad(d, "directory", "name the directory that serve was given", "%s cannot be found", d->data);
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        doctor_bad(
            d, "directory", "name the directory that serve was given", "%s is not a directory", d->data);
        return false;
    }
    if (st.st_uid != geteuid()) { /* files made here by another user would lock the server out */
        doctor_bad(d, "directory", "run this as the user that the server runs as",
            "%s belongs to user %u, this is user %u", d->data, (unsigned)st.st_uid, (unsigned)geteuid());
        return false;
    }
    if (access(d->data, R_OK | W_OK | X_OK) != 0)
        doctor_bad(d, "directory", "remount it for writing, or give the user its rights back",
            "%s cannot be written", d->data);
    unsigned before = d->bad;
    static const char *const ENTRIES[] = {
        ".", "control.db", "control.gen", "audit.key", "audit.head", "lock", "db", "trash"};
    for (size_t i = 0; i < ARRAY_LEN(ENTRIES); i++)
        check_mode(d, ENTRIES[i]);
    if (d->bad == before)
        doctor_ok(d, "directory", "%s is private and writable", d->data);
    return true;
}

static void check_space(struct doctor *d)
{
    uint64_t bytes_free, total;
    struct err err = ERR_INIT;

    if (fs_free_bytes(d->data, &bytes_free, &total, &err) != ERR_OK) {
        doctor_bad(d, "disk", "look at the disk", "%s", err.message);
        return;
    }
    unsigned long long mib = bytes_free >> 20;
    if (bytes_free < (uint64_t)LIMIT_DISK_LOW_BYTES)
        doctor_bad(
            d, "disk", "make room: below this writes are refused with 507", "only %llu MiB are free", mib);
    else if (bytes_free < total / 20)
        doctor_note(
            d, "disk", "make room before it is full", "%llu MiB are free, less than a twentieth", mib);
    else
        doctor_ok(d, "disk", "%llu MiB are free", mib);
}

/* SQLite's log needs shared memory and honest locks; file systems over a network have neither. */
static void check_file_system(struct doctor *d)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } REMOTE[] = {{0x6969, "NFS"}, {0xff534d42, "CIFS"}, {0xfe534d42, "SMB"}, {0x517b, "SMB"},
        {0x01021997, "9P"}, {0x5346414f, "AFS"}};
    struct statfs st;

    if (statfs(d->data, &st) != 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(REMOTE); i++)
        if ((unsigned long)st.f_type == REMOTE[i].magic)
            doctor_bad(d, "disk", "move the data to a local disk",
                "the directory lies on a network file system (%s)", REMOTE[i].name);
}

static void check_lock(struct doctor *d)
{
    char path[FS_PATH_MAX];
    int64_t pid;
    struct err err = ERR_INIT;

    fs_join(path, d->data, "lock");
    if (fs_lock_holder(path, &pid, &err) != ERR_OK)
        doctor_bad(d, "server", "look at the file's owner and mode", "%s", err.message);
    else if (pid > 0)
        doctor_ok(d, "server", "running as process %lld", (long long)pid);
    else
        doctor_ok(d, "server", pid ? "running" : "not running");
}

/* --- Registry against disk --- */

static const struct registry_entry *find_entry(const struct doctor *d, const char *id)
{
    for (size_t i = 0; i < d->database_count; i++) /* sorted by id, but a few thousand at most */
        if (strcmp(d->databases[i].id.text, id) == 0)
            return &d->databases[i];
    return NULL;
}

static void check_strays(struct doctor *d, const char *folder)
{
    char path[FS_PATH_MAX];
    const struct dirent *entry;

    fs_join(path, d->data, folder);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && !find_entry(d, entry->d_name))
            doctor_note(d, "databases", "nothing uses it: keep a copy, then remove it",
                "%s/%s is in no register", folder, entry->d_name);
    (void)closedir(dir); /* only read */
}

static void check_entry(struct doctor *d, const struct registry_entry *e)
{
    char path[FS_PATH_MAX];

    switch (e->status) {
    case REGISTRY_HEALTHY:
        registry_path(path, d->data, id_str(&e->id));
        if (!fs_exists(path))
            doctor_bad(d, "databases", "put the directory back from a backup, or delete the database",
                "%s/%s (%s) has lost its directory", e->namespace_slug, e->slug, e->id.text);
        break;
    case REGISTRY_DELETED: break;
    case REGISTRY_PROVISIONING:
    case REGISTRY_DELETING:
    case REGISTRY_RESTORING:
    case REGISTRY_PURGING:
    case REGISTRY_STATUS_COUNT:
        doctor_note(d, "databases",
            "the next start of the server finishes it; if it does not, the server's log says why",
            "%s/%s (%s) is still %s", e->namespace_slug, e->slug, e->id.text,
            registry_status_name(e->status));
    }
}

static void check_registry(struct doctor *d, struct db *db)
{
    struct registry_entry *rows = NULL;
    struct err err = ERR_INIT;
    unsigned before = d->bad + d->notes;

    if (registry_list_all(db, &d->arena, &rows, &d->database_count, &err) != ERR_OK) {
        doctor_bad(d, "databases", "restore control.db from a backup", "%s", err.message);
        return;
    }
    d->databases = rows;
    for (size_t i = 0; i < d->database_count; i++)
        check_entry(d, &rows[i]);
    check_strays(d, "db");
    check_strays(d, "trash");
    if (d->bad + d->notes == before)
        doctor_ok(d, "databases", "%zu in the register, as on disk", d->database_count);
}

static void check_control(struct doctor *d)
{
    struct control control;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = cli_open(d->data, DB_READ, &control, &db, &err);

    if (code) {
        doctor_bad(d, "control",
            code == ERR_CORRUPT ? "stop the server, keep the file, restore control.db from a backup"
                                : "see the message",
            "%s", err.message);
        return;
    }
    if (db_check_integrity(db, &err) == ERR_OK)
        doctor_ok(d, "control", "control.db is whole");
    else
        doctor_bad(d, "control", "stop the server, keep the file, restore control.db from a backup", "%s",
            err.message);
    check_registry(d, db);
    cli_close(&control, db);
}

void doctor_data(struct doctor *d)
{
    if (!check_directory(d))
        return;
    check_space(d);
    check_file_system(d);
    check_lock(d);
    check_control(d);
}
