/* Which Host headers are this server's own without anybody having said its name. */
#include "http/host.h"
#include "lib/unit.h"

struct row {
    const char *host;
    bool own;
};

static void check(const struct row *rows, size_t count, const struct host_place *at)
{
    for (size_t i = 0; i < count; i++) {
        if (host_is_own(str_of(rows[i].host), at) != rows[i].own)
            fail_msg("%s must %sbe its own", rows[i].host, rows[i].own ? "" : "not ");
    }
}

void test_host__is_loopback_or_where_it_listens(void **state)
{
    static const struct row ROWS[] = {{"localhost", true}, {"LocalHost:5000", true}, {"127.0.0.1:8080", true},
        {"127.9.9.9", true}, {"[::1]:1", true}, {"[::ffff:127.0.0.1]", true}, {"10.0.0.5:8080", true},
        {"[::ffff:10.0.0.5]:8080", true}, {"0.0.0.0:8080", true}, {"10.0.0.5", false},
        {"10.0.0.5:8081", false}, {"10.0.0.6:8080", false}, {"evil.example.com", false},
        {"evil.example.com:8080", false}, {"localhost.evil.example.com", false},
        {"127.0.0.1.evil.example.com", false}, {"localhost:", false}, {"localhost:0", false},
        {"localhost:99999", false}, {"localhost:80@evil.example.com", false}, {"localhost evil", false},
        {"[::1", false}, {"[::1]x", false}, {"[::1]:80:80", false}, {"", false}, {":8080", false},
        {"127.1", false}, {"2130706433", false}, {"0x7f.0.0.1", false}, {"[localhost]", false}};
    struct host_place at = {.listen = "0.0.0.0", .port = 8080};
    (void)state;
    assert_true(peer_parse(S("10.0.0.5"), &at.local));
    check(ROWS, ARRAY_LEN(ROWS), &at);
}

void test_host__has_the_usual_port_when_none_is_said(void **state)
{
    static const struct row ROWS[] = {{"10.0.0.5", true}, {"10.0.0.5:443", true}, {"10.0.0.5:80", false},
        {"db.internal", true}, {"DB.internal:443", true}, {"db.internal.", false}, {"db.internal:80", false}};
    struct host_place at = {.listen = "db.internal", .port = 443, .https = true};
    (void)state;
    assert_true(peer_parse(S("10.0.0.5"), &at.local));
    check(ROWS, ARRAY_LEN(ROWS), &at);
}

void test_host__an_unknown_local_address_is_nobodys(void **state)
{
    static const struct row ROWS[] = {
        {"10.0.0.5:8080", false}, {"[fd00::1]:8080", true}, {"localhost", true}};
    struct host_place at = {.listen = "fd00:0::1", .port = 8080};
    (void)state;
    check(ROWS, ARRAY_LEN(ROWS), &at);
}
