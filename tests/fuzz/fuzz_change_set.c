/* The reader of change sets on any bytes: what it takes can be read to the end, shown, hashed and inverted,
 * and the inverse of the inverse says the same. */
#include "base/check.h"
#include "engine/change_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, OUTPUT_MAX = 64 << 20 };

static struct digest hash_of(struct str set)
{
    struct digest_stream digest;
    digest_stream_init(&digest);
    CHECK(change_set_hash(set, &digest, NULL) == ERR_OK);
    return digest_stream_end(&digest);
}

static void show(struct str set, size_t rows)
{
    struct change_view v = {.table = {NULL, 0}, .rows_max = rows, .bytes_max = OUTPUT_MAX};
    struct change_totals totals;
    struct jsonw w;
    AUTO_STRBUF out;
    strbuf_init(&out, OUTPUT_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    CHECK(change_view_write(&v, set, &w, NULL) == ERR_OK);
    jsonw_object_end(&w);
    CHECK(jsonw_done(&w) || strbuf_failed(&out));
    CHECK(change_view_count(&v, set, &totals, NULL) == ERR_OK && totals.hidden == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_STRBUF inverse;
    AUTO_STRBUF again;
    struct str set = str_make(data, size);
    strbuf_init(&inverse, 2 * INPUT_MAX);
    strbuf_init(&again, 2 * INPUT_MAX);
    if (size > INPUT_MAX || change_set_check(set, NULL))
        return 0;
    show(set, 1);
    show(set, SIZE_MAX);
    CHECK(change_set_invert(set, &inverse, NULL) == ERR_OK);
    CHECK(change_set_check(strbuf_str(&inverse), NULL) == ERR_OK);
    CHECK(change_set_invert(strbuf_str(&inverse), &again, NULL) == ERR_OK);
    struct digest a = hash_of(set), b = hash_of(strbuf_str(&again));
    CHECK(digest_eq(&a, &b));
    return 0;
}
