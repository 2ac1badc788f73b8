/* Random bytes: present, and uniform enough that a modulo bias would show. */
#include "base/rand.h"
#include "lib/unit.h"

void test_rand__fills_every_byte(void **state)
{
    unsigned char seen[300] = {0};
    (void)state;
    for (int round = 0; round < 40; round++) { /* all 300 stay zero in one place once in 2^320 */
        unsigned char bytes[300] = {0};
        rand_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        assert_true(seen[i] != 0);
    assert_true(rand_u64() != rand_u64());
    rand_bytes(NULL, 0);
}

void test_rand__draws_below_a_bound_uniformly(void **state)
{
    enum { N = 7, DRAWS = 70000 };
    int counts[N] = {0};
    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        uint32_t v = rand_below(N);
        assert_true(v < N);
        counts[v]++;
    }
    for (int i = 0; i < N; i++)
        assert_true(
            counts[i] > DRAWS / N - 800 && counts[i] < DRAWS / N + 800); /* eight standard deviations */
    assert_int_equal(rand_below(1), 0);
    int high = 0;
    for (int i = 0; i < 1000; i++)
        high += rand_below(UINT32_C(3) << 30) >= UINT32_C(2)
                                                     << 30; /* a third; a plain modulo gives a quarter */
    assert_true(high > 280 && high < 390);
}
