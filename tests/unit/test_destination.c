/* Where the server may connect to by itself. */
#include "http/destination.h"
#include "lib/unit.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static const struct {
    const char *address;
    enum destination is;
} ROWS[] = {
    {"1.1.1.1", DESTINATION_PUBLIC},
    {"140.82.121.3", DESTINATION_PUBLIC},
    {"9.255.255.255", DESTINATION_PUBLIC},
    {"11.0.0.0", DESTINATION_PUBLIC},
    {"100.63.255.255", DESTINATION_PUBLIC},
    {"100.128.0.0", DESTINATION_PUBLIC},
    {"172.15.255.255", DESTINATION_PUBLIC},
    {"172.32.0.0", DESTINATION_PUBLIC},
    {"192.167.255.255", DESTINATION_PUBLIC},
    {"223.255.255.255", DESTINATION_PUBLIC},
    {"2606:4700::1111", DESTINATION_PUBLIC},
    {"2a00:1450:4001::1", DESTINATION_PUBLIC},
    {"::ffff:1.1.1.1", DESTINATION_PUBLIC},
    {"64:ff9b::101:101", DESTINATION_PUBLIC},
    {"127.0.0.1", DESTINATION_PRIVATE},
    {"127.255.255.254", DESTINATION_PRIVATE},
    {"10.0.0.1", DESTINATION_PRIVATE},
    {"10.255.255.255", DESTINATION_PRIVATE},
    {"172.16.0.1", DESTINATION_PRIVATE},
    {"172.31.255.255", DESTINATION_PRIVATE},
    {"192.168.1.1", DESTINATION_PRIVATE},
    {"100.64.0.1", DESTINATION_PRIVATE},
    {"198.19.0.1", DESTINATION_PRIVATE},
    {"::1", DESTINATION_PRIVATE},
    {"fc00::1", DESTINATION_PRIVATE},
    {"fdff::1", DESTINATION_PRIVATE},
    {"::ffff:127.0.0.1", DESTINATION_PRIVATE},
    {"::ffff:10.0.0.1", DESTINATION_PRIVATE},
    {"64:ff9b::7f00:1", DESTINATION_PRIVATE},
    {"64:ff9b::a00:1", DESTINATION_PRIVATE},
    {"0.0.0.0", DESTINATION_NEVER},
    {"0.1.2.3", DESTINATION_NEVER},
    {"169.254.169.254", DESTINATION_NEVER},
    {"::ffff:169.254.169.254", DESTINATION_NEVER},
    {"64:ff9b::a9fe:a9fe", DESTINATION_NEVER},
    {"100.100.100.200", DESTINATION_NEVER},
    {"168.63.129.16", DESTINATION_NEVER},
    {"192.0.0.192", DESTINATION_NEVER},
    {"192.0.2.1", DESTINATION_NEVER},
    {"198.51.100.1", DESTINATION_NEVER},
    {"203.0.113.1", DESTINATION_NEVER},
    {"224.0.0.1", DESTINATION_NEVER},
    {"239.255.255.255", DESTINATION_NEVER},
    {"240.0.0.1", DESTINATION_NEVER},
    {"255.255.255.255", DESTINATION_NEVER},
    {"::", DESTINATION_NEVER},
    {"::7f00:1", DESTINATION_NEVER},
    {"::ffff:0.0.0.0", DESTINATION_NEVER},
    {"64:ff9b:1::1", DESTINATION_NEVER},
    {"100::1", DESTINATION_NEVER},
    {"2001::1", DESTINATION_NEVER},
    {"2001:db8::1", DESTINATION_NEVER},
    {"2002:7f00:1::", DESTINATION_NEVER},
    {"fd00:ec2::254", DESTINATION_NEVER},
    {"fe80::1", DESTINATION_NEVER},
    {"febf::1", DESTINATION_NEVER},
    {"fec0::1", DESTINATION_NEVER},
    {"ff02::1", DESTINATION_NEVER},
};

void test_destination__by_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct network n;
        assert_true(network_parse(str_of(ROWS[i].address), &n));
        expect_row(destination_of(&n) == ROWS[i].is, ROWS[i].address);
    }
}

/* What connect() would be given. */
void test_destination__by_socket(void **state)
{
    struct sockaddr other = {.sa_family = AF_UNIX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        bool is_v6 = inet_pton(AF_INET6, ROWS[i].address, &v6.sin6_addr) == 1;
        assert_true(is_v6 || inet_pton(AF_INET, ROWS[i].address, &v4.sin_addr) == 1);
        expect_row(
            destination_of_socket(is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4) == ROWS[i].is,
            ROWS[i].address);
    }
    assert_int_equal(destination_of_socket(&other), DESTINATION_NEVER);
}
