/* Networks in CIDR form: what is one, and what lies in which. */
#include "base/network.h"
#include "base/attr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void test_network__has_one_spelling(void **state)
{
    static const struct {
        const char *text, *written;
    } ROWS[] = {{"192.0.2.7", "192.0.2.7"}, {"192.0.2.7/32", "192.0.2.7"}, {"10.0.0.0/8", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"}, {"10.64.0.0/10", "10.64.0.0/10"}, {"::1", "::1"}, {"::/0", "::/0"},
        {"2001:DB8::/32", "2001:db8::/32"}, {"2001:0db8:0:0:0:0:0:1/128", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7"}, {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::ffff:0:0/96", "0.0.0.0/0"}, {"fe80::/10", "fe80::/10"},
        {"2001:db8:ffff:ffff:ffff:ffff:ffff:fffe/127", "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe/127"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct network n;
        char text[NETWORK_TEXT_SIZE];
        if (!network_parse(str_of(ROWS[i].text), &n))
            fail_msg("%s is refused", ROWS[i].text);
        network_text(&n, text);
        assert_string_equal(text, ROWS[i].written);
    }
}

void test_network__refuses_what_is_none(void **state)
{
    static const struct str ROWS[] = {{"", 0}, {"/", 1}, {"/8", 2}, {"10.0.0.0/", 9}, {"10.0.0.1/8", 10},
        {"10.0.0.0/33", 11}, {"10.0.0.0/-1", 11}, {"10.0.0.0/08", 11}, {"10.0.0.0/+8", 11},
        {"10.0.0.0/8/8", 12}, {"10.0.0.0/8 ", 11}, {" 10.0.0.0/8", 11}, {"10.0.0", 6}, {"10.0.0.256", 10},
        {"010.0.0.1", 9}, {"0x7f.0.0.1", 10}, {"2130706433", 10}, {"10.0.0.0/255.0.0.0", 18}, {"::/129", 6},
        {"2001:db8::1/32", 14}, {"fe80::1%eth0", 12}, {"[::1]", 5}, {"::1::", 5}, {"1:2:3:4:5:6:7:8:9", 17},
        {"localhost", 9}, {"*", 1}, {"10.0.0.1\0", 9}, {"::ffff:10.0.0.1/104", 19},
        {"10.0.0.0/99999999999999999999", 29}, {"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001", 49}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct network n;
        if (network_parse(ROWS[i], &n))
            fail_msg("\"%.*s\" is accepted", STR_ARG(ROWS[i]));
    }
}

void test_network__knows_what_lies_in_it(void **state)
{
    static const struct {
        const char *inner, *outer;
        bool within;
    } ROWS[] = {{"10.1.2.3", "10.0.0.0/8", true}, {"11.1.2.3", "10.0.0.0/8", false},
        {"10.1.2.3", "10.1.2.3", true}, {"10.1.2.3", "10.1.2.2", false},
        {"10.127.255.255", "10.64.0.0/10", true}, {"10.128.0.0", "10.64.0.0/10", false},
        {"10.63.255.255", "10.64.0.0/10", false}, {"10.0.0.0/8", "10.0.0.0/9", false},
        {"10.0.0.0/9", "10.0.0.0/8", true}, {"203.0.113.9", "0.0.0.0/0", true},
        {"203.0.113.9", "::/0", false}, {"::1", "0.0.0.0/0", false}, {"2001:db8::7", "2001:db8::/32", true},
        {"2001:db9::7", "2001:db8::/32", false}, {"::ffff:10.1.2.3", "10.0.0.0/8", true},
        {"2001:db8::3", "2001:db8::2/127", true}, {"2001:db8::4", "2001:db8::2/127", false},
        {"::", "::/0", true}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct network inner, outer;
        assert_true(network_parse(str_of(ROWS[i].inner), &inner));
        assert_true(network_parse(str_of(ROWS[i].outer), &outer));
        if (network_within(&inner, &outer) != ROWS[i].within)
            fail_msg("%s in %s: not %d", ROWS[i].inner, ROWS[i].outer, ROWS[i].within);
    }
}
