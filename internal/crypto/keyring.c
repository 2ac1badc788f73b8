/* The directory of signing keys. */
#define _GNU_SOURCE /* O_NOFOLLOW and O_CLOEXEC beside strict C */
#include "crypto/keyring.h"

#include "base/check.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/mac_ring.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PRIVATE_MODE = 0600, DIR_MODE = 0700, NAME_SIZE = 80 };

#define TYP         "JWT"
#define MADE_AT_MAX 9999999999999 /* thirteen digits */

struct entry {
    char name[NAME_SIZE];
    enum jose_alg alg;
    int64_t made_ms;
    struct str kid; /* part of name */
};

struct ring {
    char dir[FS_PATH_MAX];
    struct entry keys[KEYRING_KEYS_MAX]; /* by the time they were made */
    size_t count;
};

/* --- The directory --- */

/* "RS256-1800000000000-0123…ef.pem"; anything else is none of ours. */
static bool parse_name(const char *name, struct entry *ret)
{
    struct str rest = str_of(name), part;

    if (rest.len >= NAME_SIZE || !str_ends(rest, S(".pem")))
        return false;
    memcpy(ret->name, name, rest.len + 1);
    rest = str_slice(str_of(ret->name), 0, rest.len - 4);
    if (!str_cut(&rest, '-', &part) || !jose_alg_parse(part, &ret->alg) || !rest.ptr)
        return false;
    if (!str_cut(&rest, '-', &part) || !str_to_i64(part, 0, MADE_AT_MAX, &ret->made_ms) || !rest.ptr)
        return false;
    ret->kid = rest;
    return rest.len == JOSE_KID_SIZE - 1;
}

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->made_ms != y->made_ms)
        return x->made_ms < y->made_ms ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void repoint(struct ring *r)
{
    for (size_t i = 0; i < r->count; i++) {
        size_t len = strlen(r->keys[i].name);
        r->keys[i].kid = str_slice(str_of(r->keys[i].name), len - 4 - (JOSE_KID_SIZE - 1), len - 4);
    }
}

static enum err_code list(const char *data_dir, struct ring *ret, struct err *err)
{
    enum err_code rc = ERR_OK;

    ret->count = 0;
    fs_join(ret->dir, data_dir, KEYRING_DIR);
    DIR *dir = opendir(ret->dir);
    if (!dir)
        return errno == ENOENT ? ERR_OK : err_errno(err, ERR_IO, "reading the signing keys");
    for (struct dirent *e; !rc && (e = readdir(dir));) {
        struct entry one;
        if (!parse_name(e->d_name, &one))
            continue;
        if (ret->count == KEYRING_KEYS_MAX)
            rc = err_set(err, ERR_CONFLICT, "there are more than %d signing keys", KEYRING_KEYS_MAX);
        else
            ret->keys[ret->count++] = one;
    }
    (void)closedir(dir); /* a directory that was only read */
    qsort(ret->keys, ret->count, sizeof ret->keys[0], by_age);
    repoint(ret);
    return rc;
}

/* --- One key --- */

/* Straight into memory that is wiped. */
static enum err_code read_key(
    const struct ring *r, const struct entry *e, struct jose_key **ret, struct err *err)
{
    char path[FS_PATH_MAX], text[JOSE_PEM_MAX];

    fs_join(path, r->dir, e->name);
    AUTO_FD fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        return err_errno(err, ERR_IO, "reading a signing key");
    enum err_code rc = jose_key_read(str_make(text, (size_t)n), ret, err);
    mem_wipe(text, sizeof text);
    if (rc || (jose_key_alg(*ret) == e->alg && str_eq(e->kid, str_of(jose_key_kid(*ret)))))
        return rc;
    jose_key_free(*ret);
    *ret = NULL;
    return err_set(err, ERR_CORRUPT, "a signing key is not the one its file is named after");
}

static enum err_code make_key(const struct ring *r, enum jose_alg alg, int64_t made_ms, struct err *err)
{
    AUTO_STRBUF pem;
    char path[FS_PATH_MAX], name[NAME_SIZE];
    struct jose_key *key = jose_key_generate(alg);

    strbuf_init(&pem, (size_t)2 * JOSE_PEM_MAX);
    jose_key_write_private(key, &pem);
    str_print(
        name, sizeof name, "%s-%013lld-%s.pem", jose_alg_name(alg), (long long)made_ms, jose_key_kid(key));
    jose_key_free(key);
    fs_join(path, r->dir, name);
    enum err_code rc = fs_mkdir_p(r->dir, DIR_MODE, err);
    if (!rc)
        rc = fs_write_atomic(path, strbuf_str(&pem), PRIVATE_MODE, err);
    mem_wipe(pem.buf, pem.cap);
    return rc;
}

static enum err_code remove_key(const struct ring *r, const struct entry *e, struct err *err)
{
    char path[FS_PATH_MAX];

    fs_join(path, r->dir, e->name);
    return fs_remove_tree(path, err);
}

/* --- What a key is for --- */

static bool signs(const struct entry *e, int64_t now_ms)
{
    return e->made_ms + LIMIT_SIGNING_KEY_AHEAD_MS <= now_ms;
}

/* The newest one that was published for long enough, else the oldest there is. */
static const struct entry *signing_key(const struct ring *r, enum jose_alg alg, int64_t now_ms)
{
    const struct entry *found = NULL;

    for (size_t i = 0; i < r->count; i++)
        if (r->keys[i].alg == alg && (!found || signs(&r->keys[i], now_ms)))
            found = &r->keys[i];
    return found;
}

/* A newer one has signed for as long as the longest token holds. */
static bool is_over(const struct ring *r, const struct entry *e, int64_t now_ms)
{
    for (const struct entry *later = e + 1; later < r->keys + r->count; later++)
        if (later->alg == e->alg && signs(later, now_ms - LIMIT_ASSERTION_MS))
            return true;
    return false;
}

static bool is_due(const struct ring *r, enum jose_alg alg, int64_t now_ms)
{
    int64_t newest = INT64_MIN;

    for (size_t i = 0; i < r->count; i++)
        if (r->keys[i].alg == alg)
            newest = r->keys[i].made_ms;
    return newest == INT64_MIN || newest + LIMIT_SIGNING_KEY_MS <= now_ms;
}

enum err_code keyring_rotate(const char *data_dir, int64_t now_ms, struct err *err)
{
    struct ring r;
    enum err_code rc = list(data_dir, &r, err);

    for (unsigned alg = 0; !rc && alg < JOSE_ALG_COUNT; alg++)
        if (is_due(&r, (enum jose_alg)alg, now_ms))
            rc = make_key(&r, (enum jose_alg)alg, now_ms, err);
    for (size_t i = 0; !rc && i < r.count; i++)
        if (is_over(&r, &r.keys[i], now_ms))
            rc = remove_key(&r, &r.keys[i], err);
    return rc ? rc : mac_ring_rotate(data_dir, now_ms, err);
}

enum err_code keyring_replace(const char *data_dir, int64_t now_ms, bool at_once, struct err *err)
{
    struct ring r;
    enum err_code rc = list(data_dir, &r, err);

    for (unsigned alg = 0; !rc && alg < JOSE_ALG_COUNT; alg++)
        rc = make_key(&r, (enum jose_alg)alg, now_ms, err);
    for (size_t i = 0; !rc && at_once && i < r.count; i++)
        rc = remove_key(&r, &r.keys[i], err);
    return rc ? rc : mac_ring_replace(data_dir, now_ms, at_once, err);
}

/* --- Use --- */

enum err_code keyring_sign(const char *data_dir, enum jose_alg alg, int64_t now_ms, struct str claims,
    struct strbuf *out, struct err *err)
{
    struct ring r;
    struct jose_key *key = NULL;
    enum err_code rc = list(data_dir, &r, err);
    const struct entry *e = rc ? NULL : signing_key(&r, alg, now_ms);

    if (!rc && !e)
        rc = err_set(err, ERR_UNAVAILABLE, "there is no signing key");
    if (!rc)
        rc = read_key(&r, e, &key, err);
    if (!rc)
        rc = jose_sign(key, TYP, claims, out, err);
    jose_key_free(key);
    return rc;
}

static enum err_code check_use(const struct jsonr_value *claims, const char *use, struct err *err)
{
    const struct jsonr_value *v = jsonr_member(claims, S(KEYRING_USE_CLAIM));
    bool good = use[0] ? v && jsonr_kind(v) == JSONR_TEXT && str_eq(jsonr_text(v), str_of(use)) : v == NULL;

    return good ? ERR_OK : err_set(err, ERR_UNAUTHORIZED, "The JWT is refused: it is for another use");
}

enum err_code keyring_verify(const char *data_dir, const char *use, struct arena *a, struct str token,
    const struct jsonr_value **ret_claims, struct err *err)
{
    struct ring r;
    struct jose_head head;
    struct jose_key *key = NULL;
    enum err_code rc = jose_read_head(a, token, TYP, &head, err);

    if (!rc)
        rc = list(data_dir, &r, err);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && !key && i < r.count; i++)
        if (str_eq(r.keys[i].kid, head.kid))
            rc = read_key(&r, &r.keys[i], &key, err);
    if (!rc && !key)
        rc = err_set(err, ERR_UNAUTHORIZED, "The JWT is refused: its signature is not by the key it names");
    if (!rc)
        rc = jose_verify(key, a, token, TYP, ret_claims, err);
    if (!rc)
        rc = check_use(*ret_claims, use, err);
    jose_key_free(key);
    return rc;
}

enum err_code keyring_write_jwks(const char *data_dir, struct jsonw *w, struct err *err)
{
    struct ring r;
    enum err_code rc = list(data_dir, &r, err);

    if (rc)
        return rc;
    jsonw_object(w);
    jsonw_key(w, "keys");
    jsonw_array(w);
    for (size_t i = 0; !rc && i < r.count; i++) {
        struct jose_key *key = NULL;
        rc = read_key(&r, &r.keys[i], &key, err);
        if (!rc)
            jose_key_write_jwk(key, w);
        jose_key_free(key);
    }
    jsonw_array_end(w);
    jsonw_object_end(w);
    return rc;
}
