/* The files of the audit key. */
#define _GNU_SOURCE /* O_NOFOLLOW and O_CLOEXEC beside strict C */
#include "audit/key.h"

#include "audit/chain.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PUBLIC_FILE_MAX = 8192, FILE_MODE = 0600 };

void audit_key_id(const struct sign_key *key, char out[AUDIT_KEY_ID_SIZE])
{
    char hex[AUDIT_HEX_SIZE];
    struct digest digest = sign_key_digest(key);

    audit_hex(&digest, hex);
    memcpy(out, hex, AUDIT_KEY_ID_SIZE - 1);
    out[AUDIT_KEY_ID_SIZE - 1] = '\0';
}

/* Straight into memory that is wiped. */
static enum err_code read_secret(const char *path, struct secret *ret, struct err *err)
{
    AUTO_FD fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char bytes[SECRET_MAX];

    if (fd < 0)
        return err_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "opening " AUDIT_KEY_FILE);
    ssize_t n = read(fd, bytes, sizeof bytes);
    bool taken = n > 0 && secret_set(ret, str_make(bytes, (size_t)n));
    mem_wipe(bytes, sizeof bytes);
    return taken ? ERR_OK : err_set(err, ERR_INVALID, AUDIT_KEY_FILE " holds no key");
}

enum err_code audit_key_load(const char *data_dir, struct sign_key **ret, struct err *err)
{
    AUTO_SECRET pem = SECRET_INIT;
    char path[FS_PATH_MAX];

    fs_join(path, data_dir, AUDIT_KEY_FILE);
    struct err why = ERR_INIT;
    enum err_code code = read_secret(path, &pem, err);
    if (code)
        return code;
    code = sign_key_read(&pem, ret, &why);
    return code ? err_set(err, code, AUDIT_KEY_FILE ": %s", why.message) : ERR_OK;
}

/* Behind the public keys that are there already. */
static enum err_code write_public(const char *data_dir, const struct sign_key *key, struct err *err)
{
    AUTO_STRBUF text;
    char path[FS_PATH_MAX];
    enum err_code code = ERR_OK;

    strbuf_init(&text, (size_t)2 * PUBLIC_FILE_MAX);
    fs_join(path, data_dir, AUDIT_PUBLIC_FILE);
    if (fs_exists(path))
        code = fs_read_all(path, PUBLIC_FILE_MAX, &text, err);
    sign_key_write_public(key, &text);
    return code ? code : fs_write_atomic(path, strbuf_str(&text), FILE_MODE, err);
}

/* The public half first: what a crash leaves is a public key that never signed anything. */
static enum err_code make_pair(const char *data_dir, struct err *err)
{
    AUTO_SECRET pem = SECRET_INIT;
    char path[FS_PATH_MAX];
    struct sign_key *key = sign_key_generate();
    enum err_code code = write_public(data_dir, key, err);

    sign_key_write(key, &pem);
    sign_key_free(key);
    fs_join(path, data_dir, AUDIT_KEY_FILE);
    return code ? code : fs_write_atomic(path, secret_reveal(&pem), FILE_MODE, err);
}

enum err_code audit_key_ensure(const char *data_dir, struct err *err)
{
    char path[FS_PATH_MAX];
    struct sign_key *key = NULL;
    enum err_code code = audit_key_load(data_dir, &key, err);

    if (code == ERR_NOT_FOUND)
        return make_pair(data_dir, err);
    if (code)
        return code;
    fs_join(path, data_dir, AUDIT_PUBLIC_FILE);
    code = fs_exists(path) ? ERR_OK : write_public(data_dir, key, err);
    sign_key_free(key);
    return code;
}

enum err_code audit_keys_load(const char *path, struct audit_keys *ret, struct err *err)
{
    AUTO_STRBUF text;
    struct audit_keys keys = {.count = 0};
    struct err end = ERR_INIT;

    strbuf_init(&text, PUBLIC_FILE_MAX);
    enum err_code code = fs_read_all(path, PUBLIC_FILE_MAX, &text, err);
    if (code)
        return code;
    struct str rest = strbuf_str(&text);
    while (!code && keys.count < AUDIT_KEYS_MAX) {
        code = sign_key_read_public(&rest, &keys.keys[keys.count], &end);
        keys.count += !code;
    }
    if (keys.count && (!code || code == ERR_NOT_FOUND)) {
        *ret = keys;
        return ERR_OK;
    }
    audit_keys_release(&keys);
    return err_set(err, ERR_INVALID, "the file of public keys: %s", end.message);
}

void audit_keys_release(struct audit_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        sign_key_free(keys->keys[i]);
    keys->count = 0;
}

const struct sign_key *audit_keys_find(const struct audit_keys *keys, struct str id)
{
    char own[AUDIT_KEY_ID_SIZE];

    for (size_t i = 0; i < keys->count; i++) {
        audit_key_id(keys->keys[i], own);
        if (str_eq(id, str_of(own)))
            return keys->keys[i];
    }
    return NULL;
}
