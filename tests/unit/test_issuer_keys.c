/* Keys of issuers as they are kept: when they are fetched, for how long they are used, and that a crowd of
 * callers fetches once. */
#include "base/clock.h"
#include "base/limits.h"
#include "federation/issuer.h"
#include "lib/fake_issuer.h"
#include "lib/unit.h"

#define US_PER_MS INT64_C(1000)
#define HEAD_2    "{\"alg\":\"ES256\",\"kid\":\"" FAKE_KID_2 "\",\"typ\":\"JWT\"}"
#define HEAD_3    "{\"alg\":\"RS256\",\"kid\":\"key-3\",\"typ\":\"JWT\"}"

int teardown_issuer_keys(void **state)
{
    (void)state;
    clock_test_stop();
    return 0;
}

static enum err_code verify(struct fake_trust *t, int key, const char *head, struct err *err)
{
    AUTO_STRBUF token;
    AUTO_ARENA a;
    struct foreign_identity who;

    arena_init(&a, 200000);
    fake_token(fake_key(key), head, "{" FAKE_CLAIMS "}", &token);
    return fake_trust_verify(t, &a, strbuf_str(&token), &who, err);
}

static enum err_code verify_known(struct fake_trust *t)
{
    return verify(t, FAKE_RSA, FAKE_HEAD, NULL);
}

static void publish_only(struct fake_trust *t, int key, const char *kid)
{
    const struct jose_key *const keys[] = {fake_key(key)};
    fake_issuer_publish(&t->fake, keys, &kid, 1);
}

static void begin(struct fake_trust *t, int64_t max_age_s)
{
    clock_test_set(1000000, FAKE_NOW_MS);
    fake_trust_init(t, FAKE_URL, FAKE_URL);
    t->fake.max_age_s = max_age_s;
}

void test_issuer_keys__are_fetched_again_when_their_time_is_over(void **state)
{
    static const struct {
        int64_t max_age_s, lives_ms;
    } ROWS[] = {{-1, 3600000}, {0, 300000}, {299, 300000}, {301, 301000}, {7200, 7200000}, {86400, 86400000},
        {86401, 86400000}, {INT64_C(9000000000000000000), 86400000}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct fake_trust t;
        begin(&t, ROWS[i].max_age_s);
        assert_int_equal(t.fake.fetches, 0);
        assert_int_equal(verify_known(&t), ERR_OK);
        assert_int_equal(verify_known(&t), ERR_OK);
        clock_test_advance(ROWS[i].lives_ms * US_PER_MS - 1);
        assert_int_equal(verify_known(&t), ERR_OK);
        assert_int_equal(t.fake.fetches, 1);
        clock_test_advance(1);
        assert_int_equal(verify_known(&t), ERR_OK);
        assert_int_equal(t.fake.fetches, 2);
        assert_int_equal(t.fake.discoveries, 2);
        fake_trust_release(&t);
    }
}

/* A key that is withdrawn is refused once its set is fetched anew. */
void test_issuer_keys__of_old_sets_are_forgotten(void **state)
{
    struct fake_trust t;
    (void)state;
    begin(&t, 600);
    assert_int_equal(verify_known(&t), ERR_OK);
    publish_only(&t, FAKE_EC, FAKE_KID_2);
    assert_int_equal(verify_known(&t), ERR_OK);
    clock_test_advance(600 * 1000 * US_PER_MS);
    assert_int_equal(verify_known(&t), ERR_UNAUTHORIZED);
    assert_int_equal(verify(&t, FAKE_EC, HEAD_2, NULL), ERR_OK);
    assert_int_equal(t.fake.fetches, 2);
    fake_trust_release(&t);
}

/* A name that is not known may be new: it is asked for once, and then not for half a minute. */
void test_issuer_keys__a_new_key_is_found_and_forged_names_do_not_hammer(void **state)
{
    struct fake_trust t;
    struct err err = ERR_INIT;
    (void)state;
    begin(&t, -1);
    assert_int_equal(verify_known(&t), ERR_OK);
    publish_only(&t, FAKE_STRANGER, "key-3");
    assert_int_equal(
        verify(&t, FAKE_STRANGER, HEAD_3, &err), ERR_UNAUTHORIZED); /* too soon after the first */
    assert_non_null(strstr(err.message, "has no key of the name"));
    assert_int_equal(t.fake.fetches, 1);
    clock_test_advance(LIMIT_ISSUER_REFETCH_MS * US_PER_MS);
    assert_int_equal(verify(&t, FAKE_STRANGER, HEAD_3, NULL), ERR_OK);
    assert_int_equal(t.fake.fetches, 2);
    clock_test_advance(LIMIT_ISSUER_REFETCH_MS * US_PER_MS);
    for (int i = 0; i < 50; i++) {
        char head[100];
        str_print(head, sizeof head, "{\"alg\":\"RS256\",\"kid\":\"forged-%d\"}", i);
        assert_int_equal(verify(&t, FAKE_STRANGER, head, NULL), ERR_UNAUTHORIZED);
    }
    assert_int_equal(t.fake.fetches, 3);
    fake_trust_release(&t);
}

void test_issuer_keys__are_used_for_a_while_when_the_issuer_is_down(void **state)
{
    struct fake_trust t;
    struct err err = ERR_INIT;
    (void)state;
    begin(&t, 600);
    assert_int_equal(verify_known(&t), ERR_OK);
    t.fake.down = true;
    clock_test_advance(600 * 1000 * US_PER_MS);
    assert_int_equal(verify_known(&t), ERR_OK); /* old, after one try */
    assert_int_equal(t.fake.discoveries, 2);
    assert_int_equal(verify_known(&t), ERR_OK);
    assert_int_equal(t.fake.discoveries, 2);
    assert_int_equal(verify(&t, FAKE_STRANGER, HEAD_3, &err), ERR_UNAVAILABLE); /* nobody can say */
    clock_test_advance(LIMIT_ISSUER_STALE_MS * US_PER_MS - 1);
    assert_int_equal(verify_known(&t), ERR_OK);
    clock_test_advance(1);
    assert_int_equal(verify_known(&t), ERR_UNAVAILABLE);
    t.fake.down = false;
    clock_test_advance(LIMIT_ISSUER_RETRY_MAX_MS * US_PER_MS);
    assert_int_equal(verify_known(&t), ERR_OK);
    fake_trust_release(&t);
}

/* 5, 10, 20 … 300 seconds between two tries, and no more in between whatever is asked. */
void test_issuer_keys__failures_are_retried_ever_later(void **state)
{
    static const int WAITS_S[] = {5, 10, 20, 40, 80, 160, 300, 300};
    struct fake_trust t;
    struct err err = ERR_INIT;
    (void)state;
    begin(&t, -1);
    t.fake.down = true;
    assert_int_equal(verify_known(&t), ERR_UNAVAILABLE);
    for (size_t i = 0; i < ARRAY_LEN(WAITS_S); i++) {
        err = (struct err)ERR_INIT;
        assert_int_equal(verify(&t, FAKE_RSA, FAKE_HEAD, &err), ERR_UNAVAILABLE);
        assert_int_equal(err.retry_after_s, WAITS_S[i] + 1);
        assert_string_equal(err.message,
            "OIDC verification failed: the keys of " FAKE_URL " cannot be fetched: nobody listens");
        clock_test_advance(WAITS_S[i] * 1000 * US_PER_MS - 1);
        assert_int_equal(verify_known(&t), ERR_UNAVAILABLE);
        assert_int_equal(t.fake.discoveries, i + 1);
        clock_test_advance(1);
        assert_int_equal(verify_known(&t), ERR_UNAVAILABLE);
        assert_int_equal(t.fake.discoveries, i + 2);
    }
    t.fake.down = false;
    clock_test_advance(300 * 1000 * US_PER_MS);
    assert_int_equal(verify_known(&t), ERR_OK);
    fake_trust_release(&t);
}

void test_issuer_keys__a_broken_set_does_not_replace_a_good_one(void **state)
{
    static const char *const SETS[] = {"", "{}", "{\"keys\":[]}", "<html>"};
    struct fake_trust t;
    (void)state;
    begin(&t, 600);
    assert_int_equal(verify_known(&t), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(SETS); i++) {
        clock_test_advance(600 * 1000 * US_PER_MS);
        strbuf_reset(&t.fake.jwks);
        strbuf_add_cstr(&t.fake.jwks, SETS[i]);
        expect_row(verify_known(&t) == ERR_OK, SETS[i]);
        assert_int_equal(t.fake.fetches, i + 2);
    }
    strbuf_reset(&t.fake.jwks);
    for (int i = 0; i < 290000; i++)
        strbuf_add_char(&t.fake.jwks, ' ');
    clock_test_advance(600 * 1000 * US_PER_MS);
    assert_int_equal(verify_known(&t), ERR_OK);
    fake_trust_release(&t);
}

/* --- Crowds: on the true clock --- */

#define CROWD 16

struct caller {
    struct fake_trust *t;
    const char *head;
    int key;
    pthread_t thread;
    enum err_code rc;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    c->rc = verify(c->t, c->key, c->head, NULL);
    return NULL;
}

static void crowd_start(struct caller *all, struct fake_trust *t, int key, const char *head)
{
    for (int i = 0; i < CROWD; i++) {
        all[i] = (struct caller){.t = t, .head = head, .key = key};
        assert_int_equal(pthread_create(&all[i].thread, NULL, call, &all[i]), 0);
    }
}

static void crowd_end(struct caller *all, enum err_code rc)
{
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_int_equal(all[i].rc, rc);
    }
}

void test_issuer_keys__a_crowd_fetches_once(void **state)
{
    struct fake_trust t;
    struct caller all[CROWD];
    (void)state;
    clock_test_stop();
    (void)fake_key(FAKE_RSA);
    fake_trust_init(&t, FAKE_URL, FAKE_URL);
    fake_issuer_hold(&t.fake, true);
    crowd_start(all, &t, FAKE_RSA, FAKE_HEAD);
    fake_issuer_wait_held(&t.fake);
    fake_issuer_hold(&t.fake, false);
    crowd_end(all, ERR_OK);
    assert_int_equal(t.fake.discoveries, 1);
    assert_int_equal(t.fake.fetches, 1);
    fake_trust_release(&t);
}

void test_issuer_keys__a_crowd_hears_of_one_failure(void **state)
{
    struct fake_trust t;
    struct caller all[CROWD];
    (void)state;
    clock_test_stop();
    fake_trust_init(&t, FAKE_URL, FAKE_URL);
    t.fake.down = true;
    crowd_start(all, &t, FAKE_RSA, FAKE_HEAD);
    crowd_end(all, ERR_UNAVAILABLE);
    assert_int_equal(t.fake.discoveries, 1);
    fake_trust_release(&t);
}

/* Who knows its key is not held up by a fetch that stands still. */
void test_issuer_keys__known_keys_go_on_during_a_fetch(void **state)
{
    struct fake_trust t;
    struct caller stranger;
    (void)state;
    begin(&t, 600);
    assert_int_equal(verify_known(&t), ERR_OK);
    clock_test_advance(LIMIT_ISSUER_REFETCH_MS * US_PER_MS);
    fake_issuer_hold(&t.fake, true);
    stranger = (struct caller){.t = &t, .head = HEAD_3, .key = FAKE_STRANGER};
    (void)fake_key(FAKE_STRANGER);
    assert_int_equal(pthread_create(&stranger.thread, NULL, call, &stranger), 0);
    fake_issuer_wait_held(&t.fake);
    assert_int_equal(verify_known(&t), ERR_OK);
    clock_test_advance(700 * 1000 * US_PER_MS);
    assert_int_equal(verify_known(&t), ERR_OK); /* past its time, while somebody is looking */
    fake_issuer_hold(&t.fake, false);
    assert_int_equal(pthread_join(stranger.thread, NULL), 0);
    assert_int_equal(stranger.rc, ERR_UNAUTHORIZED);
    fake_trust_release(&t);
}

/* Sets are exchanged under callers that still use the old one. */
void test_issuer_keys__rotation_under_load(void **state)
{
    struct fake_trust t;
    struct caller all[CROWD];
    (void)state;
    clock_test_set(1000000, FAKE_NOW_MS);
    fake_trust_init(&t, FAKE_URL, FAKE_URL);
    t.fake.max_age_s = 300;
    for (int round = 0; round < 10; round++) {
        crowd_start(all, &t, FAKE_RSA, FAKE_HEAD);
        clock_test_advance(301 * 1000 * US_PER_MS);
        crowd_end(all, ERR_OK);
    }
    assert_in_range(t.fake.fetches, 2, 20);
    fake_trust_release(&t);
}
