/* Sessions of end users: what the server signs it reads again in its own place and time, and nothing else is
 * read. The forgeries are signed with the true key wherever a forger could gain by it, so that head and place
 * alone decide. */
#include "endpoint/session.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/jose.h"
#include "crypto/keyring.h"
#include "crypto/mac_ring.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <dirent.h>
#include <sys/stat.h>

#define T0      1800000000000
#define PURPOSE "end-user session"
#define TYP     "holdfast-session+jwt"
#define HOUR_S  3600

static struct tmpdir dir;
static const struct end_session_place HERE = {{"ns_one"}, {"db_one"}};

int setup_end_session(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    return mac_ring_rotate(dir.path, T0, NULL) ? -1 : 0;
}

int teardown_end_session(void **state)
{
    (void)state;
    tmpdir_release(&dir);
    return 0;
}

static void mint(const struct end_session_place *where, int64_t now_ms, int64_t lives_s, struct strbuf *out)
{
    strbuf_init(out, 20000);
    assert_int_equal(end_session_mint(dir.path, where, &(struct end_user){S("user_42"), S("a@example.com")},
                         now_ms, lives_s, out, NULL),
        ERR_OK);
}

static enum err_code verify(const struct end_session_place *where, int64_t now_ms, struct str token)
{
    AUTO_ARENA a;
    struct end_user who;
    struct err err = ERR_INIT;
    arena_init(&a, 200000);
    enum err_code rc = end_session_verify(dir.path, where, now_ms, &a, token, &who, &err);
    if (!rc)
        expect_str(who.user_id, "user_42");
    return rc;
}

void test_end_session__says_who_the_user_is(void **state)
{
    AUTO_STRBUF token;
    AUTO_ARENA a;
    struct end_user who;
    (void)state;
    arena_init(&a, 200000);
    mint(&HERE, T0, HOUR_S, &token);
    assert_int_equal(end_session_verify(dir.path, &HERE, T0 + 1, &a, strbuf_str(&token), &who, NULL), ERR_OK);
    expect_str(who.user_id, "user_42");
    expect_str(who.email, "a@example.com");
    strbuf_reset(&token);
    assert_int_equal(
        end_session_mint(dir.path, &HERE, &(struct end_user){S("\"x\\"), STR_EMPTY}, T0, 60, &token, NULL),
        ERR_OK);
    assert_int_equal(end_session_verify(dir.path, &HERE, T0, &a, strbuf_str(&token), &who, NULL), ERR_OK);
    expect_str(who.user_id, "\"x\\");
    expect_str(who.email, "");
}

void test_end_session__holds_in_its_place_and_time_alone(void **state)
{
    AUTO_STRBUF token;
    const struct end_session_place other_db = {{"ns_one"}, {"db_two"}}, other_ns = {{"ns_two"}, {"db_one"}};
    (void)state;
    mint(&HERE, T0, 60, &token);
    assert_int_equal(verify(&HERE, T0 + 59999, strbuf_str(&token)), ERR_OK);
    assert_int_equal(verify(&HERE, T0 + 60000, strbuf_str(&token)), ERR_UNAUTHORIZED); /* no skew */
    assert_int_equal(verify(&HERE, T0 - 120000, strbuf_str(&token)), ERR_UNAUTHORIZED);
    assert_int_equal(verify(&other_db, T0, strbuf_str(&token)), ERR_UNAUTHORIZED);
    assert_int_equal(verify(&other_ns, T0, strbuf_str(&token)), ERR_UNAUTHORIZED);
}

/* --- Forgeries --- */

static void add_part(struct strbuf *out, const char *text)
{
    if (out->len)
        strbuf_add_char(out, '.');
    enc_base64url(out, str_of(text));
}

/* `head` with %s for the kid of the true key; signed with that key, as HS256. */
static void forge(const char *head, const char *claims, struct strbuf *out)
{
    struct mac_ring ring;
    char text[400];
    strbuf_init(out, 20000);
    assert_int_equal(mac_ring_read(dir.path, PURPOSE, S("ns_one"), &ring, NULL), ERR_OK);
    const char *hole = strstr(head, "%s");
    if (hole)
        str_print(text, sizeof text, "%.*s%s%s", (int)(hole - head), head, ring.keys[0].kid, hole + 2);
    else
        str_print(text, sizeof text, "%s", head);
    add_part(out, text);
    add_part(out, claims);
    struct digest mac = digest_hmac(str_make(ring.keys[0].bytes, DIGEST_BYTES), strbuf_str(out));
    strbuf_add_char(out, '.');
    enc_base64url(out, digest_str(&mac));
    mem_wipe(&ring, sizeof ring);
}

#define HEAD "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}"
#define CLAIMS                                                                                               \
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"user_42\",\"iat\":1800000000,"           \
    "\"exp\":1800003600}"

static const char *const HEADS[] = {
    "{\"alg\":\"none\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"None\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS384\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS512\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"hs256\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
    "{\"alg\":\"HS256\",\"kid\":\"%s\"}",
    "{\"alg\":\"HS256\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS256\",\"kid\":\"0123456789abcdef0123456789abcdef\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS256\",\"kid\":\"../../etc/passwd\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS256\",\"kid\":\"' OR 1=1\",\"typ\":\"" TYP "\"}",
    "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\",\"jku\":\"https://x.example/k\"}",
    "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
    "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\",\"crit\":[\"b64\"],\"b64\":false}",
    "{\"alg\":\"HS256\",\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "{\"typ\":\"" TYP "\",\"alg\":\"HS256\",\"kid\":\"%s\"}",
    "{ \"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"" TYP "\"}",
    "[]",
    "",
};

void test_end_session__a_head_is_the_one_that_we_write(void **state)
{
    (void)state;
    AUTO_STRBUF good;
    forge(HEAD, CLAIMS, &good);
    assert_int_equal(verify(&HERE, T0, strbuf_str(&good)), ERR_OK); /* the table below is worth something */
    for (size_t i = 0; i < ARRAY_LEN(HEADS); i++) {
        AUTO_STRBUF token;
        forge(HEADS[i], CLAIMS, &token);
        expect_row(verify(&HERE, T0, strbuf_str(&token)) == ERR_UNAUTHORIZED, HEADS[i]);
    }
}

static const char *const BAD_CLAIMS[] = {
    "{\"iss\":\"https://"
    "db.example.com\",\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":1800003600}",
    "{\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_two\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":"
    "1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":[],\"sub\":\"u\",\"iat\":1800000000,\"exp\":1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"iat\":1800000000,\"exp\":1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"\",\"iat\":1800000000,\"exp\":"
    "1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":7,\"iat\":1800000000,\"exp\":1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800000000}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"exp\":1800003600}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":"
    "\"1800003600\"}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":1e12}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800000000,\"exp\":"
    "1799999999}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"iat\":1800009999,\"exp\":"
    "1800019999}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"nbf\":1800009999,\"iat\":"
    "1800000000,"
    "\"exp\":1800019999}",
    "{\"iss\":\"urn:holdfast:session\",\"aud\":\"db_one\",\"sub\":\"u\",\"sub\":\"v\",\"iat\":1800000000,"
    "\"exp\":1800003600}",
    "[]",
    "null",
    "{",
};

void test_end_session__claims_that_do_not_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(BAD_CLAIMS); i++) {
        AUTO_STRBUF token;
        forge(HEAD, BAD_CLAIMS[i], &token);
        expect_row(verify(&HERE, T0, strbuf_str(&token)) == ERR_UNAUTHORIZED, BAD_CLAIMS[i]);
    }
}

void test_end_session__every_other_spelling_is_refused(void **state)
{
    AUTO_STRBUF token, other;
    (void)state;
    mint(&HERE, T0, HOUR_S, &token);
    strbuf_init(&other, 20000);
    for (size_t i = 0; i < token.len; i++) { /* each character exchanged, and each cut */
        strbuf_reset(&other);
        strbuf_add_str(&other, strbuf_str(&token));
        other.buf[i] = other.buf[i] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(&HERE, T0, strbuf_str(&other)), ERR_UNAUTHORIZED);
        assert_int_equal(verify(&HERE, T0, str_slice(strbuf_str(&token), 0, i)), ERR_UNAUTHORIZED);
    }
    static const char *const TAILS[] = {"=", ".", ".x", "\n", "A", " "};
    for (size_t i = 0; i < ARRAY_LEN(TAILS); i++) {
        strbuf_reset(&other);
        strbuf_add_str(&other, strbuf_str(&token));
        strbuf_add_cstr(&other, TAILS[i]);
        expect_row(verify(&HERE, T0, strbuf_str(&other)) == ERR_UNAUTHORIZED, TAILS[i]);
    }
}

void test_end_session__is_no_id_token_and_no_id_token_is_one(void **state)
{
    AUTO_STRBUF token, mine;
    AUTO_ARENA a;
    const struct jsonr_value *claims;
    (void)state;
    arena_init(&a, 200000);
    strbuf_init(&token, 20000);
    assert_int_equal(keyring_rotate(dir.path, T0, NULL), ERR_OK);
    assert_int_equal(keyring_sign(dir.path, JOSE_ES256, T0, S(CLAIMS), &token, NULL), ERR_OK);
    assert_int_equal(verify(&HERE, T0, strbuf_str(&token)), ERR_UNAUTHORIZED);
    mint(&HERE, T0, HOUR_S, &mine);
    assert_int_equal(
        keyring_verify(dir.path, KEYRING_ID_TOKEN, &a, strbuf_str(&mine), &claims, NULL), ERR_UNAUTHORIZED);
}

/* --- Keys --- */

static unsigned count_keys(const char *data_dir)
{
    char path[FS_PATH_MAX];
    unsigned n = 0;
    fs_join(path, data_dir, KEYRING_DIR);
    DIR *d = opendir(path);
    for (struct dirent *e; (e = readdir(d));)
        n += str_ends(str_of(e->d_name), S(".key"));
    assert_int_equal(closedir(d), 0);
    return n;
}

void test_end_session__keys_come_and_go_and_sessions_outlive_a_rotation(void **state)
{
    AUTO_STRBUF before, after;
    int64_t due = T0 + LIMIT_SIGNING_KEY_MS;
    (void)state;
    assert_int_equal(count_keys(dir.path), 1);
    assert_int_equal(mac_ring_rotate(dir.path, due - 1, NULL), ERR_OK);
    assert_int_equal(count_keys(dir.path), 1);
    mint(&HERE, due - 1, LIMIT_END_SESSION_MS / 1000, &before);
    assert_int_equal(mac_ring_rotate(dir.path, due, NULL), ERR_OK);
    assert_int_equal(count_keys(dir.path), 2);
    mint(&HERE, due, HOUR_S, &after);
    assert_int_equal(verify(&HERE, due, strbuf_str(&before)), ERR_OK);
    assert_int_equal(verify(&HERE, due, strbuf_str(&after)), ERR_OK);
    assert_int_equal(mac_ring_rotate(dir.path, due + LIMIT_END_SESSION_MS - 1, NULL), ERR_OK);
    assert_int_equal(count_keys(dir.path), 2);
    assert_int_equal(mac_ring_rotate(dir.path, due + LIMIT_END_SESSION_MS, NULL), ERR_OK);
    assert_int_equal(count_keys(dir.path), 1);
    assert_int_equal(verify(&HERE, due, strbuf_str(&before)), ERR_UNAUTHORIZED);
    assert_int_equal(verify(&HERE, due, strbuf_str(&after)), ERR_OK);
    assert_int_equal(mac_ring_replace(dir.path, due + 5, true, NULL), ERR_OK);
    assert_int_equal(count_keys(dir.path), 1);
    assert_int_equal(verify(&HERE, due, strbuf_str(&after)), ERR_UNAUTHORIZED);
}

void test_end_session__a_key_is_the_owners_alone_and_none_is_an_error(void **state)
{
    struct tmpdir empty;
    struct mac_ring ring, other;
    struct stat st;
    char path[FS_PATH_MAX];
    (void)state;
    tmpdir_init(&empty);
    assert_int_equal(mac_ring_read(empty.path, PURPOSE, S("ns_one"), &ring, NULL), ERR_UNAVAILABLE);
    assert_int_equal(mac_ring_rotate(empty.path, T0, NULL), ERR_OK);
    assert_int_equal(mac_ring_read(empty.path, PURPOSE, S("ns_one"), &ring, NULL), ERR_OK);
    assert_int_equal(mac_ring_read(empty.path, PURPOSE, S("ns_two"), &other, NULL), ERR_OK);
    assert_memory_not_equal(ring.keys[0].bytes, other.keys[0].bytes, DIGEST_BYTES);
    assert_int_equal(mac_ring_read(empty.path, "another use", S("ns_one"), &other, NULL), ERR_OK);
    assert_memory_not_equal(ring.keys[0].bytes, other.keys[0].bytes, DIGEST_BYTES);
    str_print(path, sizeof path, "%s/" KEYRING_DIR "/HS256-%013lld-%s.key", empty.path, (long long)T0,
        ring.keys[0].kid);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fs_write_atomic(path, S("not hexadecimal"), 0600, NULL), ERR_OK);
    assert_int_equal(mac_ring_read(empty.path, PURPOSE, S("ns_one"), &ring, NULL), ERR_CORRUPT);
    tmpdir_release(&empty);
}
