/* Trusted issuers: which can be listed, for whom their tokens speak. */
#include "federation/issuer.h"
#include "lib/fake_issuer.h"
#include "lib/unit.h"

void test_issuer__a_good_token_says_who_it_is(void **state)
{
    static const char *const HEADS[] = {FAKE_HEAD, "{\"alg\":\"ES256\",\"kid\":\"key-2\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"kid\":\"key-1\"}", "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"typ\":\"jwt\"}",
        "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5t\":\"ZXhhbXBsZQ\",\"kid\":\"key-1\"}",
        "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"x5t#S256\":\"ZXhhbXBsZQ\"}"};
    struct fake_trust t;
    (void)state;
    fake_trust_init(&t, FAKE_URL, FAKE_URL);
    for (size_t i = 0; i < ARRAY_LEN(HEADS); i++) {
        AUTO_STRBUF token;
        AUTO_ARENA a;
        struct err err = ERR_INIT;
        struct foreign_identity who;
        arena_init(&a, 200000);
        fake_token(fake_key(i == 1 ? FAKE_EC : FAKE_RSA), HEADS[i], "{" FAKE_CLAIMS ",\"more\":7}", &token);
        if (fake_trust_verify(&t, &a, strbuf_str(&token), &who, &err))
            fail_msg("%s: %s", HEADS[i], err.message);
        assert_int_equal(who.kind, ISSUER_OTHER);
        expect_str(who.issuer, FAKE_URL);
        expect_str(who.subject, "robot");
        expect_str(who.name, "robot");
        expect_str(who.id, "robot");
        expect_str(who.owner_id, "");
        assert_int_equal(who.expires_ms, 1800000600000);
        assert_int_equal(jsonr_int(jsonr_member(who.claims, S("more"))), 7);
    }
    assert_int_equal(t.fake.discoveries, 1);
    assert_int_equal(t.fake.fetches, 1);
    fake_trust_release(&t);
}

/* --- Kinds --- */

#define REPO    "\"repository\":\"octo/widgets\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\""
#define PROJECT "\"project_path\":\"group/sub/app\",\"project_id\":\"22\",\"namespace_id\":\"72\""

static const struct {
    const char *kind, *claims;                  /* beside iss, aud and the times */
    const char *name, *id, *owner_id, *missing; /* of a good one; of a bad one what is missing */
} KINDS[] = {
    {"github", "\"sub\":\"repo:octo/widgets:ref:refs/heads/main\"," REPO, "octo/widgets", "74", "65", NULL},
    {"github", "\"sub\":\"repo:x:ref:refs/heads/\xc3\xa9 y\"," REPO, "octo/widgets", "74", "65", NULL},
    {"github", "\"sub\":\"s\",\"repository\":\"o/w\",\"repository_id\":74,\"repository_owner_id\":65", "o/w",
        "74", "65", NULL},
    {"github", "\"sub\":\"s\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\"", NULL, NULL, NULL,
        "repository"},
    {"github", "\"sub\":\"s\",\"repository\":\"o/w\",\"repository_owner_id\":\"65\"", NULL, NULL, NULL,
        "repository_id"},
    {"github", "\"sub\":\"s\",\"repository\":\"o/w\",\"repository_id\":\"74\"", NULL, NULL, NULL,
        "repository_owner_id"},
    {"github", "\"sub\":\"s\",\"repository\":\"o\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository"},
    {"github",
        "\"sub\":\"s\",\"repository\":\"o/w/x\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository"},
    {"github", "\"sub\":\"s\",\"repository\":\"o/\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository"},
    {"github",
        "\"sub\":\"s\",\"repository\":\"../w\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\"", NULL,
        NULL, NULL, "repository"},
    {"github",
        "\"sub\":\"s\",\"repository\":\"o/w x\",\"repository_id\":\"74\",\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository"},
    {"github",
        "\"sub\":\"s\",\"repository\":[\"o/w\"],\"repository_id\":\"74\",\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository"},
    {"github", "\"sub\":\"s\",\"repository\":\"o/w\",\"repository_id\":\"x\",\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository_id"},
    {"github", "\"sub\":\"s\",\"repository\":\"o/w\",\"repository_id\":0,\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository_id"},
    {"github", "\"sub\":\"s\",\"repository\":\"o/w\",\"repository_id\":74.0,\"repository_owner_id\":\"65\"",
        NULL, NULL, NULL, "repository_id"},
    {"github", REPO, NULL, NULL, NULL, "sub"},
    {"github", "\"sub\":\"a\\u000ab\"," REPO, NULL, NULL, NULL, "sub"},
    {"gitlab", "\"sub\":\"project_path:group/sub/app:ref\"," PROJECT, "group/sub/app", "22", "72", NULL},
    {"gitlab", "\"sub\":\"s\",\"project_path\":\"app\",\"project_id\":\"22\",\"namespace_id\":\"72\"", NULL,
        NULL, NULL, "project_path"},
    {"gitlab", "\"sub\":\"s\",\"project_path\":\"g/a\",\"project_id\":\"22\"", NULL, NULL, NULL,
        "namespace_id"},
    {"gitlab", "\"sub\":\"s\"," REPO, NULL, NULL, NULL, "project_path"},
    {"google", "\"sub\":\"1048\",\"email\":\"ci@p.iam.example\",\"email_verified\":true", "ci@p.iam.example",
        "1048", "", NULL},
    {"google", "\"sub\":\"1048\",\"email\":\"ci@p.iam.example\",\"email_verified\":false", "1048", "1048", "",
        NULL},
    {"google", "\"sub\":\"1048\",\"email\":\"ci@p.iam.example\",\"email_verified\":\"true\"", "1048", "1048",
        "", NULL},
    {"google", "\"sub\":\"1048\",\"email\":\"ci@p.iam.example\"", "1048", "1048", "", NULL},
    {"google", "\"sub\":\"1048\",\"email\":\"a b@x\",\"email_verified\":true", "1048", "1048", "", NULL},
    {"google", "\"email\":\"ci@p.iam.example\",\"email_verified\":true", NULL, NULL, NULL, "sub"},
    {"", "\"sub\":\"robot\"," REPO, "robot", "robot", "",
        NULL}, /* claims of repositories mean nothing elsewhere */
    {"", "\"sub\":\"\"", NULL, NULL, NULL, "sub"},
    {"", "\"sub\":7", NULL, NULL, NULL, "sub"},
    {"", "\"sub\":\"a b\"", NULL, NULL, NULL, "sub"},
    {"", "\"sub\":\"\xc3\xa9\"", NULL, NULL, NULL, "sub"},
};

void test_issuer__each_kind_has_its_identity(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(KINDS); i++) {
        AUTO_STRBUF claims, token;
        AUTO_ARENA a;
        struct fake_trust t;
        struct err err = ERR_INIT;
        struct foreign_identity who;
        char entry[100], wanted[100];
        str_print(entry, sizeof entry, "%s%s" FAKE_URL, KINDS[i].kind, KINDS[i].kind[0] ? "=" : "");
        fake_trust_init(&t, entry, FAKE_URL);
        arena_init(&a, 200000);
        strbuf_init(&claims, 2000);
        strbuf_addf(
            &claims, "{\"iss\":\"" FAKE_URL "\",\"aud\":\"persql\"," FAKE_TIMES ",%s}", KINDS[i].claims);
        fake_token(fake_key(FAKE_RSA), FAKE_HEAD, strbuf_cstr(&claims), &token);
        enum err_code rc = fake_trust_verify(&t, &a, strbuf_str(&token), &who, &err);
        if (KINDS[i].missing) {
            str_print(wanted, sizeof wanted, "OIDC verification failed: the token has no usable %s",
                KINDS[i].missing);
            expect_row(rc == ERR_UNAUTHORIZED, KINDS[i].claims);
            assert_string_equal(err.message, wanted);
        } else {
            expect_row(rc == ERR_OK, KINDS[i].claims);
            expect_str(who.name, KINDS[i].name);
            expect_str(who.id, KINDS[i].id);
            expect_str(who.owner_id, KINDS[i].owner_id);
        }
        fake_trust_release(&t);
    }
}

/* --- The list --- */

void test_issuer__what_can_be_listed(void **state)
{
    static const struct {
        const char *entry, *url; /* url NULL: refused */
    } ROWS[] = {
        {"github", ISSUER_GITHUB_URL},
        {"gitlab", ISSUER_GITLAB_URL},
        {"google", ISSUER_GOOGLE_URL},
        {"https://login.example.com", "https://login.example.com"},
        {"https://login.example.com/", "https://login.example.com/"},
        {"https://login.example.com/realms/a", "https://login.example.com/realms/a"},
        {"gitlab=https://git.example.com:8443", "https://git.example.com:8443"},
        {"github=http://127.0.0.1:1", "http://127.0.0.1:1"},
        {"", NULL},
        {"Github", NULL},
        {"bitbucket", NULL},
        {"github=", NULL},
        {"github=gitlab", NULL},
        {"bitbucket=https://a.example", NULL},
        {"login.example.com", NULL},
        {"https://", NULL},
        {"https://login.example.com/?a=b", NULL},
        {"https://login.example.com/#a", NULL},
        {"https://a@login.example.com", NULL},
        {"https://Login.example.com", NULL},
        {"https://login.example.com/../x", NULL},
        {"ftp://login.example.com", NULL},
        {" https://login.example.com", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct issuers *all = NULL;
        struct err err = ERR_INIT;
        struct str one = str_of(ROWS[i].entry);
        enum err_code rc = issuers_new(&one, 1, NULL, &all, &err);
        expect_row(rc == (ROWS[i].url ? ERR_OK : ERR_INVALID), ROWS[i].entry);
        if (ROWS[i].url) {
            assert_int_equal(issuers_count(all), 1);
            expect_str(issuers_url(all, 0), ROWS[i].url);
        } else {
            assert_non_null(strstr(err.message, ROWS[i].entry));
        }
        issuers_free(all);
    }
}

void test_issuer__the_list_is_short_and_has_each_once(void **state)
{
    struct str twice[] = {S("github"), S(ISSUER_GITHUB_URL)}, many[40];
    char text[40][40];
    struct issuers *all = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(issuers_new(twice, 2, NULL, &all, &err), ERR_INVALID);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        str_print(text[i], sizeof text[i], "https://i%zu.example", i);
        many[i] = str_of(text[i]);
    }
    assert_int_equal(issuers_new(many, 33, NULL, &all, &err), ERR_INVALID);
    assert_int_equal(issuers_new(many, 32, NULL, &all, &err), ERR_OK);
    assert_int_equal(issuers_count(all), 32);
    issuers_free(all);
    assert_int_equal(issuers_new(NULL, 0, NULL, &all, &err), ERR_OK);
    assert_int_equal(issuers_count(all), 0);
    issuers_free(all);
}

void test_issuer__who_is_not_listed_is_told_how_it_would_be(void **state)
{
    struct issuers *none = NULL;
    struct err err = ERR_INIT;
    struct foreign_identity who;
    const struct issuer_expect expect = {.audience = {S("persql")}, .now_ms = FAKE_NOW_MS};
    AUTO_STRBUF token;
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 200000);
    assert_int_equal(issuers_new(NULL, 0, NULL, &none, &err), ERR_OK);
    fake_token(fake_key(FAKE_RSA), FAKE_HEAD, "{" FAKE_CLAIMS "}", &token);
    assert_int_equal(issuer_verify(none, &a, strbuf_str(&token), &expect, &who, &err), ERR_UNAUTHORIZED);
    assert_string_equal(err.message,
        "OIDC verification failed: this server does not trust the issuer " FAKE_URL
        "; its operator would list it with serve --trust-issuer");
    issuers_free(none);
}

/* --- Discovery --- */

void test_issuer__discovery_documents_are_read_strictly(void **state)
{
#define DOC(url, uri) "{\"issuer\":\"" url "\",\"jwks_uri\":\"" uri "\"}"
    static const struct {
        const char *issuer, *text;
        bool good;
    } ROWS[] = {
        {FAKE_URL, DOC(FAKE_URL, FAKE_URL "/jwks"), true},
        {FAKE_URL, DOC(FAKE_URL, "https://keys.example.net/x/jwks"), true},
        {"http://127.0.0.1:5", DOC("http://127.0.0.1:5", "http://127.0.0.1:5/jwks"), true},
        {"http://127.0.0.1:5", DOC("http://127.0.0.1:5", "https://keys.example.net/jwks"), true},
        {"http://127.0.0.1:5", DOC("http://127.0.0.1:5", "http://127.0.0.1:6/jwks"), false},
        {"http://127.0.0.1:5", DOC("http://127.0.0.1:5", "http://localhost:5/jwks"), false},
        {FAKE_URL, DOC(FAKE_URL, "http://login.example.com/jwks"), false},
        {FAKE_URL, DOC(FAKE_URL "/", FAKE_URL "/jwks"), false},
        {FAKE_URL "/", DOC(FAKE_URL "/", FAKE_URL "/jwks"), true},
        {FAKE_URL "/", DOC(FAKE_URL, FAKE_URL "/jwks"), false},
        {FAKE_URL, DOC("https://other.example.com", FAKE_URL "/jwks"), false},
        {FAKE_URL, DOC(FAKE_URL, "file:///jwks"), false},
        {FAKE_URL, DOC(FAKE_URL, "https://a@login.example.com/jwks"), false},
        {FAKE_URL, DOC(FAKE_URL, ""), false},
        {FAKE_URL, "{\"issuer\":\"" FAKE_URL "\"}", false},
        {FAKE_URL, "{\"issuer\":\"" FAKE_URL "\",\"jwks_uri\":7}", false},
        {FAKE_URL, "{\"jwks_uri\":\"" FAKE_URL "/jwks\"}", false},
        {FAKE_URL,
            "{\"issuer\":\"" FAKE_URL "\",\"issuer\":\"" FAKE_URL "\",\"jwks_uri\":\"" FAKE_URL "/jwks\"}",
            false},
        {FAKE_URL, "[]", false},
        {FAKE_URL, "<html>", false},
        {FAKE_URL, "", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        AUTO_STRBUF token, claims;
        AUTO_ARENA a;
        struct fake_trust t;
        struct err err = ERR_INIT;
        struct foreign_identity who;
        arena_init(&a, 200000);
        strbuf_init(&claims, 2000);
        fake_trust_init(&t, ROWS[i].issuer, ROWS[i].issuer);
        strbuf_reset(&t.fake.discovery);
        strbuf_add_cstr(&t.fake.discovery, ROWS[i].text);
        strbuf_addf(
            &claims, "{\"iss\":\"%s\",\"aud\":\"persql\",\"sub\":\"robot\"," FAKE_TIMES "}", ROWS[i].issuer);
        fake_token(fake_key(FAKE_RSA), FAKE_HEAD, strbuf_cstr(&claims), &token);
        enum err_code rc = fake_trust_verify(&t, &a, strbuf_str(&token), &who, &err);
        expect_row(rc == (ROWS[i].good ? ERR_OK : ERR_UNAVAILABLE), ROWS[i].text);
        assert_int_equal(t.fake.fetches, ROWS[i].good);
        if (rc)
            assert_true(
                err.retry_after_s > 0 && strstr(err.message, "OIDC verification failed: the keys of "));
        fake_trust_release(&t);
    }
}
