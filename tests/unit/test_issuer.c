/* Trusted issuers: whose tokens count, for whom they speak, when keys are fetched. */
#include "base/clock.h"
#include "base/limits.h"
#include "federation/issuer.h"
#include "lib/fake_issuer.h"
#include "lib/unit.h"

#define URL     "https://login.example.com"
#define OWN_URL "https://db.example.com"
#define NOW_S   1800000000
#define NOW_MS  ((int64_t)NOW_S * 1000)

static struct jose_key *rsa, *ec;

int setup_issuer(void **state)
{
    (void)state;
    if (!rsa) {
        rsa = jose_key_generate(JOSE_RS256);
        ec = jose_key_generate(JOSE_ES256);
    }
    return 0;
}

int teardown_issuer(void **state)
{
    (void)state;
    jose_key_free(rsa);
    jose_key_free(ec);
    rsa = ec = NULL;
    clock_test_stop();
    return 0;
}

/* One issuer of the kind that `entry` says, with both keys. */
struct trust {
    struct fake_issuer fake;
    struct issuers *all;
};

static void trust_init(struct trust *t, const char *entry, const char *url)
{
    struct str list[] = {str_of(entry)};
    const struct jose_key *const keys[] = {rsa, ec};
    const char *const kids[] = {FAKE_KID_1, FAKE_KID_2};
    fake_issuer_init(&t->fake, url);
    fake_issuer_publish(&t->fake, keys, kids, 2);
    assert_int_equal(issuers_new(list, 1, &t->fake.fetch, &t->all, NULL), ERR_OK);
}

static void trust_release(struct trust *t)
{
    issuers_free(t->all);
    fake_issuer_release(&t->fake);
}

static enum err_code check(
    struct trust *t, struct arena *a, struct str token, struct foreign_identity *ret, struct err *err)
{
    const struct issuer_expect expect = {.audience = {S("persql"), S(OWN_URL)}, .now_ms = NOW_MS};
    return issuer_verify(t->all, a, token, &expect, ret, err);
}

#define HEAD(alg, kid) "{\"alg\":\"" alg "\",\"kid\":\"" kid "\",\"typ\":\"JWT\"}"
#define BASE                                                                                                 \
    "\"iss\":\"" URL "\",\"aud\":\"persql\",\"sub\":\"robot\",\"iat\":1800000000,\"nbf\":1800000000,"        \
    "\"exp\":1800000600"

void test_issuer__a_good_token_says_who_it_is(void **state)
{
    struct trust t;
    (void)state;
    trust_init(&t, URL, URL);
    for (int i = 0; i < 2; i++) {
        AUTO_STRBUF token;
        AUTO_ARENA a;
        struct err err = ERR_INIT;
        struct foreign_identity who;
        arena_init(&a, 200000);
        fake_token(i ? ec : rsa, i ? HEAD("ES256", FAKE_KID_2) : HEAD("RS256", FAKE_KID_1),
            "{" BASE ",\"more\":7}", &token);
        if (check(&t, &a, strbuf_str(&token), &who, &err))
            fail_msg("%s", err.message);
        assert_int_equal(who.kind, ISSUER_OTHER);
        expect_str(who.issuer, URL);
        expect_str(who.subject, "robot");
        expect_str(who.name, "robot");
        expect_str(who.id, "robot");
        expect_str(who.owner_id, "");
        assert_int_equal(who.expires_ms, 1800000600000);
        assert_int_equal(jsonr_int(jsonr_member(who.claims, S("more"))), 7);
    }
    assert_int_equal(t.fake.discoveries, 1);
    assert_int_equal(t.fake.fetches, 1);
    trust_release(&t);
}
