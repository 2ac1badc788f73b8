/* The hash map, against a plain array as the model. */
#include "base/map.h"
#include "base/mem.h"
#include "lib/unit.h"
#include <stdio.h>

static int g_values[1000];

static struct str key_of(char out[16], int i)
{
    int n = snprintf(out, 16, "k%d", i);
    return str_make(out, (size_t)n);
}

void test_map__is_empty_at_first(void **state)
{
    struct map m;
    struct str key;
    void *value;
    size_t pos = 0;
    (void)state;
    map_init(&m);
    assert_null(map_get(&m, S("a")));
    assert_null(map_del(&m, S("a")));
    assert_false(map_next(&m, &pos, &key, &value));
    map_release(&m);
}

void test_map__puts_replaces_and_deletes(void **state)
{
    struct map m;
    (void)state;
    map_init(&m);
    char key[] = "key";
    assert_null(map_put(&m, str_of(key), &g_values[1]));
    key[0] = 'X'; /* the map has its own copy */
    assert_ptr_equal(map_get(&m, S("key")), &g_values[1]);
    assert_null(map_get(&m, S("Xey")));
    assert_ptr_equal(map_put(&m, S("key"), &g_values[2]), &g_values[1]);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_del(&m, S("key")), &g_values[2]);
    assert_null(map_get(&m, S("key")));
    assert_null(map_del(&m, S("key")));
    assert_int_equal(m.count, 0);
    map_release(&m);
}

void test_map__tells_keys_apart_by_every_byte(void **state)
{
    struct map m;
    (void)state;
    map_init(&m);
    assert_null(map_put(&m, S(""), &g_values[0]));
    assert_null(map_put(&m, str_make("\0", 1), &g_values[1]));
    assert_null(map_put(&m, str_make("\0\0", 2), &g_values[2]));
    assert_null(map_put(&m, S("12345678"), &g_values[3]));
    assert_null(map_put(&m, S("123456789"), &g_values[4]));
    assert_null(map_put(&m, str_make("12345678\0", 9), &g_values[5]));
    assert_ptr_equal(map_get(&m, S("")), &g_values[0]);
    assert_ptr_equal(map_get(&m, str_make("\0", 1)), &g_values[1]);
    assert_ptr_equal(map_get(&m, str_make("\0\0", 2)), &g_values[2]);
    assert_ptr_equal(map_get(&m, S("12345678")), &g_values[3]);
    assert_ptr_equal(map_get(&m, S("123456789")), &g_values[4]);
    assert_ptr_equal(map_get(&m, str_make("12345678\0", 9)), &g_values[5]);
    map_release(&m);
}

/* Random puts and deletes over few keys: chains collide, tombstones pile up and are reused. */
void test_map__agrees_with_a_model(void **state)
{
    enum { KEYS = 200, STEPS = 100000 };
    int *model[KEYS] = {NULL};
    size_t count = 0;
    uint32_t seed = 7;
    struct map m;
    char text[16];
    (void)state;
    map_init(&m);
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        int k = (int)(seed >> 8) % KEYS;
        int *value = &g_values[seed >> 16 & 511];
        if (seed >> 30) {
            assert_ptr_equal(map_put(&m, key_of(text, k), value), model[k]);
            count += !model[k];
            model[k] = value;
        } else {
            assert_ptr_equal(map_del(&m, key_of(text, k)), model[k]);
            count -= model[k] != NULL;
            model[k] = NULL;
        }
        assert_int_equal(m.count, count);
        k = (k * 7 + 1) % KEYS;
        assert_ptr_equal(map_get(&m, key_of(text, k)), model[k]);
    }
    assert_true(m.cap <= 1024); /* deletes do not make it grow without end */
    map_release(&m);
}

/* Keys that never come again: were tombstones not counted, they would fill the table and a look-up would not
 * end. */
void test_map__outlives_a_churn_of_new_keys(void **state)
{
    struct map m;
    char text[16];
    (void)state;
    map_init(&m);
    for (int i = 0; i < 10000; i++) {
        assert_null(map_put(&m, key_of(text, i), &g_values[0]));
        assert_ptr_equal(map_del(&m, key_of(text, i)), &g_values[0]);
        assert_true(m.tombs < m.cap);
    }
    assert_int_equal(m.cap, 16);
    map_release(&m);
}

void test_map__iterates_and_lets_the_seen_entry_go(void **state)
{
    enum { KEYS = 500 };
    struct map m;
    char text[16];
    size_t pos = 0, seen = 0;
    struct str key;
    void *value;
    bool met[KEYS] = {false};
    (void)state;
    map_init(&m);
    for (int i = 0; i < KEYS; i++)
        assert_null(map_put(&m, key_of(text, i), &g_values[i]));
    while (map_next(&m, &pos, &key, &value)) {
        int i = (int)((int *)value - g_values);
        assert_true(i >= 0 && i < KEYS && !met[i]);
        assert_true(str_eq(key, key_of(text, i)));
        met[i] = true;
        seen++;
        if (i % 2)
            assert_ptr_equal(map_del(&m, key_of(text, i)), value);
    }
    assert_int_equal(seen, KEYS);
    assert_int_equal(m.count, KEYS / 2);
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, key_of(text, i)), i % 2 ? NULL : &g_values[i]);
    map_release(&m);
}

void test_map__hashes_differently_in_each_map(void **state)
{
    struct map a, b;
    (void)state;
    map_init(&a);
    map_init(&b);
    (void)map_put(&a, S("k"), &g_values[0]);
    (void)map_put(&b, S("k"), &g_values[0]);
    assert_memory_not_equal(a.key, b.key, sizeof a.key);
    map_release(&a);
    map_release(&b);
}
