/* The directory of signing keys: who signs when, when a key comes and goes, and what is on disk. */
#include "crypto/keyring.h"
#include "base/limits.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#define T0     1800000000000
#define CLAIMS "{\"iss\":\"x\"}"

static struct tmpdir dir;

static void begin(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(keyring_rotate(dir.path, T0, NULL), ERR_OK);
}

static unsigned count_files(void)
{
    unsigned n = 0;
    DIR *d = opendir(tmpdir_path(&dir, KEYRING_DIR));
    for (struct dirent *e; (e = readdir(d));)
        n += str_ends(str_of(e->d_name), S(".pem")); /* the secrets of mac_ring.h stand beside them */
    assert_int_equal(closedir(d), 0);
    return n;
}

static void sign_at(enum jose_alg alg, int64_t now_ms, struct strbuf *token, char ret_kid[JOSE_KID_SIZE])
{
    AUTO_ARENA a;
    struct jose_head head;
    arena_init(&a, 100000);
    strbuf_init(token, 20000);
    assert_int_equal(keyring_sign(dir.path, alg, now_ms, S(CLAIMS), token, NULL), ERR_OK);
    assert_int_equal(jose_read_head(&a, strbuf_str(token), "JWT", &head, NULL), ERR_OK);
    assert_int_equal(head.alg, alg);
    memcpy(ret_kid, head.kid.ptr, JOSE_KID_SIZE - 1);
    ret_kid[JOSE_KID_SIZE - 1] = '\0';
}

static enum err_code verify(const struct strbuf *token)
{
    AUTO_ARENA a;
    const struct jsonr_value *claims;
    arena_init(&a, 100000);
    return keyring_verify(dir.path, KEYRING_ID_TOKEN, &a, strbuf_str(token), &claims, NULL);
}

void test_keyring__one_of_each_at_the_start_for_the_owner_alone(void **state)
{
    begin(state);
    struct stat st;
    assert_int_equal(count_files(), 2);
    assert_int_equal(stat(tmpdir_path(&dir, KEYRING_DIR), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    DIR *d = opendir(tmpdir_path(&dir, KEYRING_DIR));
    for (struct dirent *e; (e = readdir(d));) {
        char path[FS_PATH_MAX];
        if (e->d_name[0] == '.')
            continue;
        fs_join(path, tmpdir_path(&dir, KEYRING_DIR), e->d_name);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(closedir(d), 0);
    assert_int_equal(keyring_rotate(dir.path, T0 + 1, NULL), ERR_OK);
    assert_int_equal(count_files(), 2);
    tmpdir_release(&dir);
}

void test_keyring__a_new_key_is_published_before_it_signs_and_an_old_one_stays_for_its_tokens(void **state)
{
    begin(state);
    AUTO_STRBUF a, b, c;
    char first[JOSE_KID_SIZE], kid[JOSE_KID_SIZE];
    int64_t due = T0 + LIMIT_SIGNING_KEY_MS, swap = due + LIMIT_SIGNING_KEY_AHEAD_MS;
    sign_at(JOSE_RS256, T0, &a, first);
    assert_int_equal(keyring_rotate(dir.path, due - 1, NULL), ERR_OK);
    assert_int_equal(count_files(), 2);
    assert_int_equal(keyring_rotate(dir.path, due, NULL), ERR_OK);
    assert_int_equal(count_files(), 4);
    sign_at(JOSE_RS256, swap - 1, &b, kid);
    assert_string_equal(kid, first);
    sign_at(JOSE_RS256, swap, &c, kid);
    assert_string_not_equal(kid, first);
    assert_int_equal(keyring_rotate(dir.path, swap + LIMIT_ASSERTION_MS - 1, NULL), ERR_OK);
    assert_int_equal(count_files(), 4);
    assert_int_equal(verify(&b), ERR_OK);
    assert_int_equal(keyring_rotate(dir.path, swap + LIMIT_ASSERTION_MS, NULL), ERR_OK);
    assert_int_equal(count_files(), 2);
    assert_int_equal(verify(&b), ERR_UNAUTHORIZED);
    assert_int_equal(verify(&c), ERR_OK);
    tmpdir_release(&dir);
}

void test_keyring__a_leaked_key_is_worth_nothing_at_once(void **state)
{
    begin(state);
    AUTO_STRBUF a, b;
    char first[JOSE_KID_SIZE], kid[JOSE_KID_SIZE];
    sign_at(JOSE_ES256, T0, &a, first);
    assert_int_equal(verify(&a), ERR_OK);
    assert_int_equal(keyring_replace(dir.path, T0 + 5, false, NULL), ERR_OK);
    assert_int_equal(count_files(), 4);
    assert_int_equal(verify(&a), ERR_OK);
    assert_int_equal(keyring_replace(dir.path, T0 + 10, true, NULL), ERR_OK);
    assert_int_equal(count_files(), 2);
    assert_int_equal(verify(&a), ERR_UNAUTHORIZED);
    sign_at(JOSE_ES256, T0 + 10, &b, kid);
    assert_string_not_equal(kid, first);
    assert_int_equal(verify(&b), ERR_OK);
    tmpdir_release(&dir);
}

void test_keyring__the_list_holds_every_key_and_nothing_private(void **state)
{
    begin(state);
    AUTO_STRBUF text;
    AUTO_ARENA a;
    struct jsonw w;
    const struct jsonr_value *root;
    arena_init(&a, 100000);
    strbuf_init(&text, 20000);
    jsonw_init(&w, &text);
    assert_int_equal(keyring_write_jwks(dir.path, &w, NULL), ERR_OK);
    assert_int_equal(jsonr_parse(&a, strbuf_str(&text), &root, NULL), ERR_OK);
    const struct jsonr_value *list = jsonr_member(root, S("keys"));
    assert_int_equal(jsonr_count(list), 2);
    for (const struct jsonr_value *k = jsonr_first(list); k; k = jsonr_next(k)) {
        assert_null(jsonr_member(k, S("d")));
        expect_str(jsonr_text(jsonr_member(k, S("use"))), "sig");
    }
    tmpdir_release(&dir);
}

void test_keyring__foreign_files_and_exchanged_keys(void **state)
{
    begin(state);
    AUTO_STRBUF token;
    char kid[JOSE_KID_SIZE], path[FS_PATH_MAX];
    static const char *const FOREIGN[] = {"README", "RS256-1-x.pem",
        "HS256-1800000000000-00000000000000000000000000000000.pem",
        "RS256-x-00000000000000000000000000000000.pem", ".RS256.pem"};
    for (size_t i = 0; i < ARRAY_LEN(FOREIGN); i++) {
        fs_join(path, tmpdir_path(&dir, KEYRING_DIR), FOREIGN[i]);
        assert_int_equal(fs_write_atomic(path, S("x"), 0600, NULL), ERR_OK);
    }
    sign_at(JOSE_RS256, T0, &token, kid);
    /* a key under another key's name */
    str_print(path, sizeof path, "%s/" KEYRING_DIR "/RS256-%013lld-%s.pem", dir.path, (long long)T0,
        "0123456789abcdef0123456789abcdef");
    char old[FS_PATH_MAX];
    str_print(old, sizeof old, "%s/" KEYRING_DIR "/RS256-%013lld-%s.pem", dir.path, (long long)T0, kid);
    assert_int_equal(rename(old, path), 0);
    strbuf_reset(&token);
    assert_int_equal(keyring_sign(dir.path, JOSE_RS256, T0, S(CLAIMS), &token, NULL), ERR_CORRUPT);
    tmpdir_release(&dir);
}

void test_keyring__a_token_is_good_for_its_own_use_alone(void **state)
{
    static const struct {
        const char *claims;
        bool id_token, assertion;
    } ROWS[] = {{"{\"iss\":\"x\"}", true, false}, {"{\"token_use\":\"agent_assertion\"}", false, true},
        {"{\"token_use\":\"other\"}", false, false}, {"{\"token_use\":null}", false, false},
        {"{\"token_use\":[\"agent_assertion\"]}", false, false}, {"{\"token_use\":\"\"}", false, false}};
    begin(state);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF token;
        AUTO_ARENA a;
        const struct jsonr_value *claims;
        arena_init(&a, 100000);
        strbuf_init(&token, 20000);
        assert_int_equal(
            keyring_sign(dir.path, JOSE_ES256, T0, str_of(ROWS[i].claims), &token, NULL), ERR_OK);
        expect_row((keyring_verify(dir.path, KEYRING_ID_TOKEN, &a, strbuf_str(&token), &claims, NULL) ==
                       ERR_OK) == ROWS[i].id_token,
            ROWS[i].claims);
        expect_row((keyring_verify(dir.path, KEYRING_ASSERTION, &a, strbuf_str(&token), &claims, NULL) ==
                       ERR_OK) == ROWS[i].assertion,
            ROWS[i].claims);
    }
    tmpdir_release(&dir);
}
