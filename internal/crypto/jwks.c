/* See jwks.h. */
#include "crypto/jwks.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include <stdatomic.h>

#define TREE_BYTES_EACH 64 /* of memory for a byte of text, at most: a set of "[[[[…" costs that */
#define TREE_BYTES_MORE (64 << 10)

struct jwks {
    atomic_uint refs;
    unsigned count;
    struct jose_key **keys;
};

struct jwks *jwks_ref(struct jwks *set)
{
    CHECK(atomic_fetch_add(&set->refs, 1) > 0);
    return set;
}

void jwks_unref(struct jwks *set)
{
    if (!set || atomic_fetch_sub(&set->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < set->count; i++)
        jose_key_free(set->keys[i]);
    mem_free(set->keys);
    mem_free(set);
}

unsigned jwks_count(const struct jwks *set)
{
    return set->count;
}

const struct jose_key *jwks_find(const struct jwks *set, struct str kid)
{
    for (unsigned i = 0; i < set->count; i++)
        if (str_eq(str_of(jose_key_kid(set->keys[i])), kid))
            return set->keys[i];
    return NULL;
}

static enum err_code add_key(struct jwks *set, const struct jsonr_value *jwk, struct err *err)
{
    struct jose_key *key = NULL;

    if (jose_key_read_jwk(jwk, &key, NULL))
        return ERR_OK; /* for somebody else */
    if (jwks_find(set, str_of(jose_key_kid(key)))) {
        jose_key_free(key);
        return err_set(err, ERR_INVALID, "The set of keys holds two of the same name");
    }
    set->keys[set->count++] = key;
    return ERR_OK;
}

static enum err_code add_all(struct jwks *set, const struct jsonr_value *keys, struct err *err)
{
    enum err_code rc = ERR_OK;

    for (const struct jsonr_value *v = jsonr_first(keys); v && !rc; v = jsonr_next(v))
        rc = add_key(set, v, err);
    if (!rc && set->count == 0)
        rc = err_set(err, ERR_INVALID, "The set of keys holds none for RS256 or ES256");
    return rc;
}

enum err_code jwks_read(struct str text, struct jwks **ret, struct err *err)
{
    AUTO_ARENA a;
    const struct jsonr_value *root, *keys = NULL;
    struct err why = ERR_INIT;

    arena_init(&a, text.len * TREE_BYTES_EACH + TREE_BYTES_MORE);
    if (!jsonr_parse(&a, text, &root, &why) && jsonr_kind(root) == JSONR_OBJECT)
        keys = jsonr_member(root, S("keys"));
    if (!keys || jsonr_kind(keys) != JSONR_ARRAY)
        return err_set(err, ERR_INVALID, "This is no set of keys: a JSON object with an array `keys`");
    if (jsonr_count(keys) > (size_t)LIMIT_JWKS_KEYS)
        return err_set(err, ERR_INVALID, "The set of keys holds more than %d of them", (int)LIMIT_JWKS_KEYS);
    struct jwks *set = MEM_NEW(struct jwks);
    atomic_init(&set->refs, 1);
    set->keys = mem_array((size_t)LIMIT_JWKS_KEYS, sizeof(struct jose_key *));
    enum err_code rc = add_all(set, keys, err);
    if (rc)
        jwks_unref(set);
    else
        *ret = set;
    return rc;
}
