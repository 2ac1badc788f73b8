/* The authorization server's pure rules: scopes, redirect addresses, PKCE. */
#include "lib/unit.h"
#include "oauth/oauth.h"

void test_oauth_rules__scopes(void **state)
{
    static const struct {
        const char *text, *back;
    } GOOD[] = {{"openid", "openid"}, {"database openid", "openid database"},
        {"openid something:else", "openid"}, {"nothing known", ""},
        {"openid email profile database offline_access", "openid email profile database offline_access"}};
    static const char *const BAD[] = {"", " ", "openid ", " openid", "openid  email", "openid\temail",
        "openid openid", "open\"id", "open\\id", "\xc3\xa9", "openid\n", "a\x7f"};
    unsigned scope;
    char text[SCOPE_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        expect_row(scope_parse(str_of(GOOD[i].text), &scope), GOOD[i].text);
        expect_str(scope_write(scope, text), GOOD[i].back);
    }
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        expect_row(!scope_parse(str_of(BAD[i]), &scope), BAD[i]);
    expect_str(scope_write(SCOPE_ALL, text), "openid email profile database offline_access");
}

void test_oauth_rules__what_may_be_registered(void **state)
{
    static const char *const GOOD[] = {"https://app.example.com/callback", "https://app.example.com",
        "https://app.example.com:8443/a?b=c", "https://a.b/%20x", "http://localhost/cb",
        "http://localhost:3000/cb", "http://127.0.0.1/cb", "http://127.0.0.1:49152/", "http://[::1]:80/cb",
        "https://app.example.com/a..b"};
    static const char *const BAD[] = {"", "/callback", "//app.example.com/", "app.example.com",
        "http://app.example.com/", "ftp://app.example.com/", "javascript:alert(1)", "data:text/html,x",
        "com.example.app:/cb", "https:/app.example.com", "https://", "https:///path",
        "https://app.example.com/#", "https://app.example.com/#frag", "https://user@app.example.com/",
        "https://user:pw@app.example.com/", "https://app.example.com@evil.example.com/",
        "https://app.example.com\\@evil.example.com/", "https://*.example.com/", "https://app.example.com/*",
        "https://app.example.com/ x", "https://app.example.com/\tx", "https://app.example.com/\xc3\xa9",
        "https://\xc3\xa9.example.com/", "https://APP.example.com/", "HTTPS://app.example.com/",
        "https://app.example.com:0/", "https://app.example.com:65536/", "https://app.example.com:/",
        "https://app.example.com:08/", "https://app.example.com:+80/", "http://127.0.0.1.evil.example.com/",
        "http://localhost.evil.example.com/", "http://127.0.0.2/", "http://0.0.0.0/", "http://[::]/",
        "http://[::ffff:127.0.0.1]/", "http://[::1/", "http://2130706433/", "https://app.example.com/a/../b",
        "https://app.example.com/./b", "https://app.example.com/%2e%2e/b", "https://app.example.com/<x>",
        "https://a/\"", "https://a/{x}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++)
        expect_row(redirect_check(str_of(GOOD[i])) == NULL, GOOD[i]);
    for (size_t i = 0; i < ARRAY_LEN(BAD); i++)
        expect_row(redirect_check(str_of(BAD[i])) != NULL, BAD[i]);
}

void test_oauth_rules__what_is_the_same_address(void **state)
{
#define APP "https://app.example.com/callback"
    static const struct {
        const char *registered, *given;
        bool same;
    } ROWS[] = {
        {APP, APP, true},
        {APP, "https://app.example.com/callback/", false},
        {APP, "https://app.example.com/Callback", false},
        {APP, "https://App.example.com/callback", false},
        {APP, "https://app.example.com:443/callback", false},
        {APP, "https://app.example.com/callback?", false},
        {APP, "https://app.example.com/callback?x=1", false},
        {APP, "https://app.example.com/callback#", false},
        {APP, "https://app.example.com/%63allback", false},
        {APP, "https://app.example.com//callback", false},
        {APP, "https://app.example.com/x/../callback", false},
        {APP, "https://user@app.example.com/callback", false},
        {APP, "http://app.example.com/callback", false},
        {APP, "https://app.example.com.evil.com/callback", false},
        {APP, "https://app.example.com/callback ", false},
        {APP, "", false},
        {"https://localhost/cb", "https://localhost:1/cb", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true},
        {"http://127.0.0.1:3000/cb", "http://127.0.0.1:51004/cb", true},
        {"http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", true},
        {"http://[::1]/cb", "http://[::1]:51004/cb", true},
        {"http://localhost/cb", "http://localhost:51004/cb", true},
        {"http://127.0.0.1/cb", "http://127.0.0.1:51004/other", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?x=1", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1:x/cb", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example.com/cb", false},
        {"http://127.0.0.1/cb", "http://localhost:51004/cb", false},
        {"http://127.0.0.1/cb", "http://[::1]:51004/cb", false},
        {"http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false},
        {"http://127.0.0.1/cb", "http://127.0.0.1.evil.com:80/cb", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        expect_row(redirect_matches(str_of(ROWS[i].registered), str_of(ROWS[i].given)) == ROWS[i].same,
            ROWS[i].given);
    expect_str(redirect_origin(S(APP "?a=b")), "https://app.example.com");
    expect_str(redirect_origin(S("http://[::1]:80/x")), "http://[::1]:80");
}

/* RFC 7636, appendix B. */
void test_oauth_rules__pkce(void **state)
{
    static const struct str VERIFIER = {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 43};
    static const struct str CHALLENGE = {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", 43};
    char text[130];
    (void)state;
    assert_true(pkce_matches(CHALLENGE, VERIFIER));
    assert_false(pkce_matches(CHALLENGE, CHALLENGE));
    assert_false(pkce_matches(VERIFIER, VERIFIER)); /* plain */
    assert_false(pkce_matches(CHALLENGE, S("")));
    memset(text, 'a', sizeof text);
    for (size_t len = 0; len <= sizeof text; len++) {
        assert_int_equal(pkce_verifier_valid(str_make(text, len)), len >= 43 && len <= 128);
        assert_int_equal(pkce_challenge_valid(str_make(text, len)), len == 43);
    }
    for (int c = 0; c < 256; c++) {
        text[7] = (char)c;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
        assert_int_equal(pkce_challenge_valid(str_make(text, 43)), letter);
        assert_int_equal(pkce_verifier_valid(str_make(text, 43)), letter || c == '.' || c == '~');
    }
}
