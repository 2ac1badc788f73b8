/* Password hashing by libargon2. */
#include "crypto/password.h"
#include "base/check.h"
#include "base/giveway.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rand.h"
#include <argon2.h>

enum { SALT_BYTES = 16, HASH_BYTES = 32, LANES = 1, MEMORY_MOST_KIB = 1 << 20, PASSES_MOST = 64 };

enum err_code password_hash(struct str password, char ret_hash[PASSWORD_HASH_MAX], struct err *err)
{
    unsigned char salt[SALT_BYTES];
    CHECK(password.len <= (size_t)LIMIT_PASSWORD_BYTES_MAX);
    rand_bytes(salt, sizeof salt);
    struct giveway way;
    giveway_begin(&way);
    int status = argon2id_hash_encoded((uint32_t)LIMIT_ARGON2_PASSES, (uint32_t)LIMIT_ARGON2_KIB, LANES,
        password.ptr, password.len, salt, sizeof salt, HASH_BYTES, ret_hash, PASSWORD_HASH_MAX);
    giveway_end(&way);
    if (status == ARGON2_MEMORY_ALLOCATION_ERROR)
        return err_set(err, ERR_BUSY, "not enough memory to hash a password now; try again");
    CHECK(status == ARGON2_OK);
    return ERR_OK;
}

struct cost {
    int64_t kib, passes, lanes;
};

/* Takes "m=19456" off the front of "m=19456,t=2,p=1". */
static bool take_number(struct str *rest, struct str name, int64_t *ret)
{
    struct str part;
    return str_cut(rest, ',', &part) && str_starts(part, name) &&
           str_to_i64(str_slice(part, name.len, part.len), 1, INT32_MAX, ret);
}

/* The cost numbers of a PHC string: "$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>". */
static bool read_cost(const char *hash, struct cost *ret)
{
    static const struct str START = {"$argon2id$v=19$", 15};
    struct str text = str_of(hash), numbers;
    if (!str_starts(text, START))
        return false;
    text = str_slice(text, START.len, text.len);
    return str_cut(&text, '$', &numbers) && take_number(&numbers, S("m="), &ret->kib) &&
           take_number(&numbers, S("t="), &ret->passes) && take_number(&numbers, S("p="), &ret->lanes) &&
           !numbers.ptr;
}

/* A stored hash may be damaged, but must not be able to ask for any amount of memory and time. */
static bool cost_is_sane(const char *hash)
{
    struct cost c;
    return read_cost(hash, &c) && c.kib <= MEMORY_MOST_KIB && c.passes <= PASSES_MOST && c.lanes == LANES;
}

/* Does the work of a verification and throws the result away. */
static void verify_nothing(void)
{
    static const char PASSWORD[] = "no account", SALT[SALT_BYTES] = "sixteen bytes..";
    unsigned char hash[HASH_BYTES];
    struct giveway way;
    giveway_begin(&way);
    int status = argon2id_hash_raw((uint32_t)LIMIT_ARGON2_PASSES, (uint32_t)LIMIT_ARGON2_KIB, LANES, PASSWORD,
        sizeof PASSWORD, SALT, sizeof SALT, hash, sizeof hash);
    giveway_end(&way);
    (void)status; /* out of memory answers faster, but then for everyone */
}

bool password_verify(const char *hash, struct str password)
{
    if (!hash || !cost_is_sane(hash) || password.len > (size_t)LIMIT_PASSWORD_BYTES_MAX) {
        verify_nothing();
        return false;
    }
    struct giveway way;
    giveway_begin(&way);
    bool same = argon2id_verify(hash, password.ptr, password.len) == ARGON2_OK;
    giveway_end(&way);
    return same;
}

bool password_needs_rehash(const char *hash)
{
    struct cost c;
    return !read_cost(hash, &c) || c.kib < LIMIT_ARGON2_KIB || c.passes < LIMIT_ARGON2_PASSES ||
           c.lanes != LANES;
}

void password_generate(struct secret *ret)
{
    enum { GROUPS = 5, PER_GROUP = 4 };
    static const char ALPHABET[] = "abcdefghjkmnpqrstuvwxyz23456789";
    char text[GROUPS * (PER_GROUP + 1)];
    char *p = text;
    for (int i = 0; i < GROUPS * PER_GROUP; i++) {
        if (i > 0 && i % PER_GROUP == 0)
            *p++ = '-';
        *p++ = ALPHABET[rand_below(sizeof ALPHABET - 1)];
    }
    CHECK(secret_set(ret, str_make(text, (size_t)(p - text))));
    mem_wipe(text, sizeof text);
}
