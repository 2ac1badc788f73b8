/* The reader of NDJSON on any bytes: what it takes for a row it must take for the same row again when it is
 * written anew, and the tagged values of a row mean the same both times. */
#include "base/check.h"
#include "engine/ndjson.h"
#include "json/rewrite.h"
#include "engine/tagged.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, ARENA_MAX = 32 << 20 };

/* Writes a tagged value again, and reads that. */
static void check_tagged(const struct jsonr_value *v)
{
    AUTO_ARENA arena;
    AUTO_STRBUF bytes;
    AUTO_STRBUF again;
    AUTO_STRBUF text;
    const struct jsonr_value *parsed;
    arena_init(&arena, ARENA_MAX);
    strbuf_init(&bytes, INPUT_MAX);
    strbuf_init(&again, INPUT_MAX);
    strbuf_init(&text, 2 * INPUT_MAX);
    struct tagged t = tagged_of_json(v, &bytes);
    if (t.kind == TAGGED_NONE || t.kind == TAGGED_BAD)
        return;
    struct str real = t.real > 0 ? S("Infinity") : S("-Infinity");
    tagged_add(&text, t.kind, t.kind == TAGGED_REAL ? real : t.bytes);
    CHECK(jsonr_parse(&arena, strbuf_str(&text), &parsed, NULL) == ERR_OK);
    struct tagged second = tagged_of_json(parsed, &again);
    CHECK(second.kind == t.kind && second.real == t.real && str_eq(second.bytes, t.bytes));
}

static void check_row(const struct jsonr_value *row)
{
    struct import_source in;
    struct ndjson n;
    struct jsonw w;
    bool found;
    AUTO_ARENA arena;
    AUTO_STRBUF text;
    arena_init(&arena, ARENA_MAX);
    strbuf_init(&text, 8 * INPUT_MAX);
    jsonw_init(&w, &text);
    jsonw_value(&w, row, NULL);
    CHECK(jsonw_done(&w) && !strbuf_failed(&text));
    import_source_memory(&in, strbuf_str(&text));
    ndjson_init(&n, &in, &arena);
    CHECK(ndjson_next(&n, &found, NULL) == ERR_OK && found && n.line == 1);
    CHECK(jsonr_count(n.row) == jsonr_count(row));
    const struct jsonr_value *a = jsonr_first(row), *b = jsonr_first(n.row);
    for (; a && b; a = jsonr_next(a), b = jsonr_next(b))
        CHECK(jsonr_kind(a) == jsonr_kind(b) && str_eq(jsonr_name(a), jsonr_name(b)));
    CHECK(ndjson_next(&n, &found, NULL) == ERR_OK && !found);
    ndjson_release(&n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_source in;
    struct ndjson n;
    bool found = true;
    if (size > INPUT_MAX)
        return 0;
    AUTO_ARENA arena;
    arena_init(&arena, ARENA_MAX);
    import_source_memory(&in, str_make(data, size));
    ndjson_init(&n, &in, &arena);
    while (ndjson_next(&n, &found, NULL) == ERR_OK && found) {
        CHECK(n.line <= in.line && in.offset <= size && jsonr_count(n.row) <= NDJSON_COLUMNS_MAX);
        check_row(n.row);
        for (const struct jsonr_value *v = jsonr_first(n.row); v; v = jsonr_next(v))
            check_tagged(v);
    }
    ndjson_release(&n);
    import_source_release(&in);
    return 0;
}
