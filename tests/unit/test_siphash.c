/* SipHash-2-4 against the values that its authors published. */
#include "base/siphash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Key 00 01 … 0f, message 00 01 … of each length. */
void test_siphash__published_values(void **state)
{
    static const struct {
        size_t len;
        uint64_t value;
    } ROWS[] = {{0, UINT64_C(0x726fdb47dd0e0e31)}, {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)}, {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)}, {63, UINT64_C(0x958a324ceb064572)}};
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    unsigned char message[64];
    (void)state;
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)i;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++)
        assert_true(siphash(key, str_make(message, ROWS[i].len), 2, 4) == ROWS[i].value);
    assert_true(siphash(key, STR_EMPTY, 1, 3) != siphash(key, STR_EMPTY, 2, 4));
}
