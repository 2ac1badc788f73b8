/* The first start of a data directory. */
#define _GNU_SOURCE /* readdir's d_name beside strict C */
#include "bootstrap/bootstrap.h"
#include "account/account.h"
#include "audit/checkpoint.h"
#include "base/check.h"
#include "base/fs.h"
#include "crypto/password.h"
#include "registry/registry.h"
#include "sqlite/control.h"
#include "sqlite/migrate.h"
#include "tenant/member.h"
#include "token/token.h"
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define TEMP_DIR      "init.tmp"
#define TOKEN_OF_INIT "first token"

enum { DIRECTORY_MODE = 0700 };

/* What an attempt that died before its rename, or the making of a file system, may leave. */
static const char *const HARMLESS[] = {
    ".", "..", "lock", "control.gen", "audit.key", "audit.pub", TEMP_DIR, "lost+found"};

static bool harmless(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(HARMLESS); i++)
        if (strcmp(name, HARMLESS[i]) == 0)
            return true;
    return false;
}

static bool only_harmless(DIR *dir)
{
    const struct dirent *entry;

    while ((entry = readdir(dir)) != NULL)
        if (!harmless(entry->d_name))
            return false;
    return true;
}

static enum err_code about_dir(
    struct err *err, const char *data_dir, enum err_code code, const struct err *cause)
{
    return err_set(err, code, "the data directory %s: %s", data_dir, cause->message);
}

static enum err_code in_use(struct err *err, const char *data_dir, const char *lock)
{
    int64_t pid = -1;

    if (fs_lock_holder(lock, &pid, NULL) == ERR_OK && pid > 0)
        return err_set(err, ERR_CONFLICT, "the data directory %s is in use by process %lld: end it first",
            data_dir, (long long)pid);
    return err_set(
        err, ERR_CONFLICT, "the data directory %s is in use by another process: end it first", data_dir);
}

enum err_code bootstrap_look(const char *data_dir, enum bootstrap_state *ret, struct err *err)
{
    char path[FS_PATH_MAX];
    struct err cause = ERR_INIT;

    if (strlen(data_dir) > FS_PATH_MAX / 2 || data_dir[0] == '\0')
        return err_field(err, "/data", "must be a path of at most %d bytes", FS_PATH_MAX / 2);
    fs_join(path, data_dir, "control.db");
    if (fs_exists(path)) {
        *ret = BOOTSTRAP_READY;
        return ERR_OK;
    }
    DIR *dir = opendir(data_dir);
    if (!dir && errno != ENOENT) {
        err_errno(&cause, ERR_IO, "it cannot be used");
        return about_dir(err, data_dir, ERR_IO, &cause);
    }
    *ret = !dir || only_harmless(dir) ? BOOTSTRAP_EMPTY : BOOTSTRAP_FOREIGN;
    if (dir)
        (void)closedir(dir); /* only read */
    return ERR_OK;
}

enum err_code bootstrap_lock(const char *data_dir, int *ret_fd, struct err *err)
{
    char path[FS_PATH_MAX];
    struct err cause = ERR_INIT;
    enum err_code code = fs_mkdir_p(data_dir, DIRECTORY_MODE, &cause);

    if (code)
        return about_dir(err, data_dir, code, &cause);
    fs_join(path, data_dir, "lock");
    code = fs_lock(path, ret_fd, &cause);
    if (code == ERR_CONFLICT)
        return in_use(err, data_dir, path);
    return code ? about_dir(err, data_dir, code, &cause) : ERR_OK;
}

enum err_code bootstrap_check(const struct bootstrap_new *in, struct err *err)
{
    enum err_code code = account_check_email(in->email, err);

    if (!code)
        code = password_check(in->password, in->email, "/password", err);
    return code ? code : tenant_check_slug(in->namespace_slug, err);
}

static enum err_code add_token(struct db *db, const struct actor *by, const struct tenant *tenant,
    struct bootstrap_result *out, struct err *err)
{
    AUTO_ARENA arena;
    struct token row;
    struct token_new in = {.namespace_id = tenant->id, .name = S(TOKEN_OF_INIT), .role = WIRE_ROLE_ADMIN};

    arena_init(&arena, 65536);
    return token_create(db, by, &arena, &in, &row, &out->token, err);
}

static enum err_code fill(struct db *db, const struct bootstrap_new *in, const char *password_hash_text,
    struct bootstrap_result *out, struct err *err)
{
    struct account owner;
    struct tenant tenant;
    struct registry_entry database;
    enum err_code code = account_create(db, in->by,
        &(struct account_new){.email = in->email, .name = STR_EMPTY, .hash = password_hash_text}, &owner,
        err);

    if (!code)
        code = tenant_create(db, in->by, in->namespace_slug, STR_EMPTY, &tenant, err);
    if (!code)
        code = member_add(db, in->by, &tenant.id, &owner.id, MEMBER_OWNER, err);
    if (!code)
        code = registry_create_intent(
            db, in->by, &tenant.id, S(BOOTSTRAP_DATABASE), STR_EMPTY, S("auto"), &database, err);
    if (!code)
        code = add_token(db, in->by, &tenant, out, err);
    if (!code)
        memcpy(out->namespace_slug, tenant.slug, sizeof tenant.slug);
    return code;
}

static enum err_code fill_control_db(struct db *db, const struct bootstrap_new *in, const char *hash,
    struct bootstrap_result *out, struct err *err)
{
    enum err_code code = migrate_run(db, migrations_control, err);

    if (!code)
        code = tx_begin_write(db, err);
    return code ? code : tx_end(db, fill(db, in, hash, out, err), err);
}

/* Closing writes the log back into the file and removes it, so that one rename moves everything. */
static enum err_code build(
    const char *path, const struct bootstrap_new *in, struct bootstrap_result *out, struct err *err)
{
    char hash[PASSWORD_HASH_MAX], log[FS_PATH_MAX];
    struct db *db = NULL;
    enum err_code code = password_hash(in->password, hash, err);

    if (!code)
        code = db_open(path, DB_CREATE, &db, err);
    if (code)
        return code;
    code = fill_control_db(db, in, hash, out, err);
    db_close(db);
    fs_join(log, in->data_dir, TEMP_DIR "/control.db-wal");
    if (!code && fs_exists(log))
        return err_set(err, ERR_IO, "the new control database could not be written back from its log");
    return code;
}

static enum err_code build_and_rename(
    const struct bootstrap_new *in, struct bootstrap_result *out, struct err *err)
{
    char temp[FS_PATH_MAX], built[FS_PATH_MAX], final[FS_PATH_MAX];

    fs_join(temp, in->data_dir, TEMP_DIR);
    fs_join(built, temp, "control.db");
    fs_join(final, in->data_dir, "control.db");
    enum err_code code = fs_remove_tree(temp, err);
    if (!code)
        code = fs_mkdir_p(temp, DIRECTORY_MODE, err);
    if (!code)
        code = build(built, in, out, err);
    if (!code)
        code = fs_rename(built, final, err);
    err_ignore(fs_remove_tree(temp, NULL)); /* what stays is removed by the next attempt, or is harmless */
    return code;
}

/* Makes the directory of `main` and the key that signs the audit log. Whatever fails here is done at the
 * server's start. */
static void provision(const char *data_dir)
{
    struct control control;
    struct db *db = NULL;
    struct registry_recovery recovery;
    struct audit_start audit;
    const struct registry_disk disk = {.data_dir = data_dir};

    if (control_open(data_dir, CONTROL_CURRENT, &control, NULL) != ERR_OK)
        return;
    if (control_connect(&control, DB_WRITE, &db, NULL) == ERR_OK) {
        err_ignore(registry_recover(db, &disk, &recovery, NULL)); /* see above */
        err_ignore(audit_begin(db, data_dir, &audit, NULL));      /* as above */
        db_close(db);
    }
    control_close(&control);
}

enum err_code bootstrap_run(const struct bootstrap_new *in, struct bootstrap_result *ret, struct err *err)
{
    enum bootstrap_state state;
    struct bootstrap_result out = {.token = SECRET_INIT};
    enum err_code code = bootstrap_check(in, err);

    if (!code)
        code = bootstrap_look(in->data_dir, &state, err);
    if (code)
        return code;
    if (state != BOOTSTRAP_EMPTY)
        return err_set(err, ERR_CONFLICT, "the data directory is in use already; nothing was changed");
    if (chmod(in->data_dir, DIRECTORY_MODE) != 0)
        return err_errno(err, ERR_IO, "closing the data directory to others");
    code = build_and_rename(in, &out, err);
    if (code) {
        secret_release(&out.token);
        return code;
    }
    provision(in->data_dir);
    *ret = out;
    secret_release(&out.token);
    return ERR_OK;
}
