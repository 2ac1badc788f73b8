/* See mac_ring.h. */
#define _GNU_SOURCE /* O_NOFOLLOW and O_CLOEXEC beside strict C */
#include "crypto/mac_ring.h"

#include "base/check.h"
#include "base/enc.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypto/keyring.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PRIVATE_MODE = 0600, DIR_MODE = 0700, NAME_SIZE = 64, HEX_BYTES = 2 * DIGEST_BYTES };

#define PREFIX      S("HS256-")
#define SUFFIX      S(".key")
#define MADE_AT_MAX 9999999999999 /* thirteen digits */

/* "HS256-1800000000000-0123…ef.key"; anything else is none of ours. */
static bool parse_name(struct str name, char ret_kid[MAC_KID_SIZE], int64_t *ret_made_ms)
{
    struct str made;

    if (!str_starts(name, PREFIX) || !str_ends(name, SUFFIX) || name.len < PREFIX.len + SUFFIX.len)
        return false;
    struct str rest = str_slice(name, PREFIX.len, name.len - SUFFIX.len);
    if (!str_cut(&rest, '-', &made) || !str_to_i64(made, 0, MADE_AT_MAX, ret_made_ms) || !rest.ptr)
        return false;
    if (rest.len != MAC_KID_SIZE - 1)
        return false;
    memcpy(ret_kid, rest.ptr, rest.len);
    ret_kid[rest.len] = '\0';
    return true;
}

static void path_of(char out[FS_PATH_MAX], const char *data_dir, int64_t made_ms, const char *kid)
{
    char dir[FS_PATH_MAX], name[NAME_SIZE];

    fs_join(dir, data_dir, KEYRING_DIR);
    str_print(name, sizeof name, "HS256-%013lld-%s.key", (long long)made_ms, kid);
    fs_join(out, dir, name);
}

/* Does a key come before another: newer, or made in the same moment and of a greater name. */
static bool comes_before(int64_t made_ms, const char *kid, const struct mac_ring *r, size_t i)
{
    return made_ms != r->made_ms[i] ? made_ms > r->made_ms[i] : strcmp(kid, r->keys[i].kid) > 0;
}

/* Puts it where its age says; the oldest falls off the end. */
static void insert(struct mac_ring *r, const char *kid, int64_t made_ms)
{
    size_t at = 0;

    while (at < r->count && !comes_before(made_ms, kid, r, at))
        at++;
    if (at == MAC_RING_MAX)
        return;
    if (r->count < MAC_RING_MAX)
        r->count++;
    for (size_t i = r->count - 1; i > at; i--) {
        r->keys[i] = r->keys[i - 1];
        r->made_ms[i] = r->made_ms[i - 1];
    }
    memcpy(r->keys[at].kid, kid, MAC_KID_SIZE);
    r->made_ms[at] = made_ms;
}

/* Names alone. */
static enum err_code list(const char *data_dir, struct mac_ring *ret, struct err *err)
{
    char path[FS_PATH_MAX], kid[MAC_KID_SIZE];
    int64_t made_ms;

    *ret = (struct mac_ring){.count = 0};
    fs_join(path, data_dir, KEYRING_DIR);
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? ERR_OK : err_errno(err, ERR_IO, "reading the keys of sessions");
    for (struct dirent *e; (e = readdir(dir));)
        if (parse_name(str_of(e->d_name), kid, &made_ms))
            insert(ret, kid, made_ms);
    (void)closedir(dir); /* a directory that was only read */
    return ERR_OK;
}

/* --- One secret --- */

/* Straight into memory that is wiped. */
static enum err_code read_secret(const char *path, unsigned char out[DIGEST_BYTES], struct err *err)
{
    char text[HEX_BYTES + 1];
    size_t len = 0;
    AUTO_FD fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (n < 0)
        return err_errno(err, ERR_IO, "reading a key of sessions");
    bool good = n == HEX_BYTES && dec_hex(str_make(text, (size_t)n), out, DIGEST_BYTES, &len);
    mem_wipe(text, sizeof text);
    return good && len == DIGEST_BYTES
               ? ERR_OK
               : err_set(err, ERR_CORRUPT, "a file of the keys of sessions holds none");
}

static enum err_code make_secret(const char *data_dir, int64_t made_ms, struct err *err)
{
    AUTO_STRBUF text;
    unsigned char bytes[DIGEST_BYTES], name[(MAC_KID_SIZE - 1) / 2];
    char path[FS_PATH_MAX], kid[MAC_KID_SIZE];

    strbuf_init(&text, HEX_BYTES);
    rand_bytes(name, sizeof name);
    enc_hex(&text, str_make(name, sizeof name));
    memcpy(kid, strbuf_cstr(&text), MAC_KID_SIZE);
    strbuf_reset(&text);
    rand_bytes(bytes, sizeof bytes);
    enc_hex(&text, str_make(bytes, sizeof bytes));
    mem_wipe(bytes, sizeof bytes);
    fs_join(path, data_dir, KEYRING_DIR);
    enum err_code rc = fs_mkdir_p(path, DIR_MODE, err);
    path_of(path, data_dir, made_ms, kid);
    if (!rc)
        rc = fs_write_atomic(path, strbuf_str(&text), PRIVATE_MODE, err);
    mem_wipe(text.buf, text.cap);
    return rc;
}

static enum err_code remove_secret(const char *data_dir, const struct mac_ring *r, size_t i, struct err *err)
{
    char path[FS_PATH_MAX];

    path_of(path, data_dir, r->made_ms[i], r->keys[i].kid);
    return fs_remove_tree(path, err);
}

/* HMAC(secret, purpose 0x00 scope): the purpose is a literal without a NUL, so no two places share a key. */
static void derive(struct mac_key *key, const char *purpose, struct str scope)
{
    AUTO_STRBUF place;

    strbuf_init(&place, 256);
    strbuf_add_cstr(&place, purpose);
    strbuf_add_char(&place, '\0');
    strbuf_add_str(&place, scope);
    CHECK(!strbuf_failed(&place));
    struct digest d = digest_hmac(str_make(key->bytes, sizeof key->bytes), strbuf_str(&place));
    memcpy(key->bytes, d.bytes, sizeof key->bytes);
    mem_wipe(&d, sizeof d);
}

/* --- The ring --- */

enum err_code mac_ring_read(
    const char *data_dir, const char *purpose, struct str scope, struct mac_ring *ret, struct err *err)
{
    char path[FS_PATH_MAX];
    enum err_code rc = list(data_dir, ret, err);

    for (size_t i = 0; !rc && i < ret->count; i++) {
        path_of(path, data_dir, ret->made_ms[i], ret->keys[i].kid);
        rc = read_secret(path, ret->keys[i].bytes, err);
        derive(&ret->keys[i], purpose, scope);
    }
    if (!rc && !ret->count)
        rc = err_set(err, ERR_UNAVAILABLE, "there is no key for sessions");
    if (rc)
        mem_wipe(ret, sizeof *ret);
    return rc;
}

enum err_code mac_ring_rotate(const char *data_dir, int64_t now_ms, struct err *err)
{
    struct mac_ring r;
    enum err_code rc = list(data_dir, &r, err);

    if (!rc && (!r.count || r.made_ms[0] + LIMIT_SIGNING_KEY_MS <= now_ms))
        rc = make_secret(data_dir, now_ms, err);
    for (size_t i = 1; !rc && i < r.count;
         i++) /* the one before it has signed for as long as a session holds */
        if (r.made_ms[i - 1] + LIMIT_END_SESSION_MS <= now_ms)
            rc = remove_secret(data_dir, &r, i, err);
    return rc;
}

enum err_code mac_ring_replace(const char *data_dir, int64_t now_ms, bool at_once, struct err *err)
{
    struct mac_ring r;
    enum err_code rc = list(data_dir, &r, err);

    if (!rc)
        rc = make_secret(data_dir, now_ms, err);
    for (size_t i = 0; !rc && at_once && i < r.count; i++)
        rc = remove_secret(data_dir, &r, i, err);
    return rc;
}
