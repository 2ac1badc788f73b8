/* Passwords: known answers, form, damaged hashes, equal work. */
#include "base/clock.h"
#include "crypto/password.h"
#include "lib/unit.h"

#define KNOWN                                                                                                \
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" /* of the         \
                                                                                              reference's    \
                                                                                              tests */

void test_password__verifies_a_known_answer(void **state)
{
    (void)state;
    assert_true(password_verify(KNOWN, S("password")));
    assert_false(password_verify(KNOWN, S("passwore")));
    assert_false(password_verify(KNOWN, S("password ")));
    assert_false(password_verify(KNOWN, S("")));
    assert_true(password_needs_rehash(KNOWN)); /* 256 KiB is less than today's */
}

void test_password__hashes_and_verifies(void **state)
{
    char hash[PASSWORD_HASH_MAX], again[PASSWORD_HASH_MAX];
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(password_hash(S("correct horse"), hash, &err), ERR_OK);
    assert_int_equal(password_hash(S("correct horse"), again, &err), ERR_OK);
    assert_true(str_starts(str_of(hash), S("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_string_not_equal(hash, again); /* a salt each */
    assert_true(password_verify(hash, S("correct horse")));
    assert_false(password_verify(hash, S("correct horsf")));
    assert_false(password_needs_rehash(hash));
}

void test_password__rules(void **state)
{
    static char long_enough[256], too_long[257];
    static const char LENGTH[] = "at least 15 characters", BYTES[] = "at most 256 bytes", UTF8[] = "UTF-8",
                      EASY[] = "everybody tries first";
    const struct {
        struct str password;
        const char *why; /* NULL: fine */
    } ROWS[] = {
        {S("correct horse battery"), NULL},
        {S("k7mw-3fq9-xyz2-8hnp-4tqa"), NULL},
        {S("a password that only tests use"), NULL},
        {S("\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c "
           "\xd0\xb4\xd0\xbb\xd0\xb8\xd0\xbd\xd0\xbd\xd1\x8b\xd0\xb9"),
            LENGTH},
        {S("\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c "
           "\xd0\xb4\xd0\xbb\xd0\xb8\xd0\xbd\xd0\xbd\xd1\x8b\xd0\xb9 \xd0\xb8"),
            NULL},
        {S("fourteen chars"), LENGTH},
        {S(""), LENGTH},
        {str_make(too_long, sizeof too_long), BYTES},
        {str_make(long_enough, sizeof long_enough), EASY}, /* one character, however often */
        {S("invalid \xff text of length"), UTF8},
        {S("passwordpassword"), EASY},
        {S("Password123456!!"), EASY},
        {S("P@ssw0rd Welcome 2026"), EASY},
        {S("qwertyuiopasdfgh"), EASY},
        {S("123456789012345678"), EASY},
        {S("abababababababab"), EASY},
        {S("ada.lovelace ada.lovelace"), EASY},
        {S("lovelace@example.com"), EASY},
        {S("lovelace counts engines"), NULL},
    };
    (void)state;
    memset(long_enough, 'p', sizeof long_enough);
    memset(too_long, 'p', sizeof too_long);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct err err = ERR_INIT;
        enum err_code code =
            password_check(ROWS[i].password, S("Ada.Lovelace@example.com"), "/newPassword", &err);
        expect_row(code == (ROWS[i].why ? ERR_INVALID : ERR_OK), ROWS[i].password.ptr);
        if (ROWS[i].why)
            expect_row(strstr(err.message, ROWS[i].why) != NULL && strcmp(err.pointer, "/newPassword") == 0,
                err.message);
    }
}

void test_password__refuses_damaged_hashes(void **state)
{
    static const char *const ROWS[] = {
        "",
        "x",
        "$argon2id$",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=2097152,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=99999,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1,x=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR",
        "$argon2id$v=19$m=256,t=2,p=1$$",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(!password_verify(ROWS[i], S("password")), ROWS[i]);
    assert_true(password_needs_rehash("garbage"));
    assert_true(password_needs_rehash("$argon2id$v=19$m=19456,t=1,p=1$c29tZXNhbHQ$x"));
    assert_false(password_needs_rehash("$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQ$x"));
}

void test_password__does_the_same_work_without_an_account(void **state)
{
    char hash[PASSWORD_HASH_MAX];
    int64_t best[2] = {INT64_MAX, INT64_MAX};
    (void)state;
    assert_int_equal(password_hash(S("correct horse"), hash, NULL), ERR_OK);
    for (int i = 0; i < 10; i++) {
        int64_t start = clock_mono_us();
        assert_false(password_verify(i % 2 ? hash : NULL, S("another horse")));
        int64_t took = clock_mono_us() - start;
        best[i % 2] = took < best[i % 2] ? took : best[i % 2];
    }
    assert_true(best[0] > best[1] / 4 &&
                best[0] < best[1] * 4); /* within what a busy machine adds; no answer is free */
}

void test_password__generates_readable_ones(void **state)
{
    AUTO_SECRET a = SECRET_INIT, b = SECRET_INIT;
    (void)state;
    password_generate(&a);
    password_generate(&b);
    struct str text = secret_reveal(&a);
    assert_int_equal(text.len, 24);
    assert_false(str_eq(text, secret_reveal(&b)));
    for (size_t i = 0; i < text.len; i++)
        assert_true(
            i % 5 == 4 ? text.ptr[i] == '-' : strchr("abcdefghjkmnpqrstuvwxyz23456789", text.ptr[i]) != NULL);
    assert_int_equal(password_check(text, STR_EMPTY, "/password", NULL), ERR_OK);
}
