/* The cutter of scripts on any bytes: what it takes for one statement it must take for one again, with
 * nothing lost between two of them but blanks; and the readers of tokens and of FTS5's declarations stay
 * inside each. */
#include "base/check.h"
#include "base/mem.h"
#include "engine/fts5_decl.h"
#include "engine/sql_split.h"
#include "engine/sql_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16 };

/* From a copy of exact size, so that a sanitizer sees a read past the end. */
static void check_statement(struct str text)
{
    char *copy = mem_array(text.len, 1);
    struct import_source in;
    struct sql_split split;
    struct fts5_decl decl;
    bool found;
    AUTO_ARENA a;
    arena_init(&a, 1 << 20);
    memcpy(copy, text.ptr, text.len);
    struct str rest = str_make(copy, text.len);
    import_source_memory(&in, rest);
    sql_split_init(&split, &in);
    CHECK(sql_split_next(&split, &found, NULL) == ERR_OK && found);
    CHECK(str_eq(strbuf_str(&split.text), text));
    sql_split_release(&split);
    for (struct sql_token t; (t = sql_token_next(&rest)).kind != SQL_TOKEN_END;) {
        CHECK(t.text.len > 0 && t.text.ptr >= copy && t.text.ptr + t.text.len <= copy + text.len);
        CHECK(sql_token_value(&a, t).len <= t.text.len);
    }
    if (fts5_decl_read(&a, str_make(copy, text.len), &decl))
        CHECK(decl.column_count > 0 && decl.columns);
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import_source in;
    struct sql_split split;
    bool found = true;
    uint64_t end = 0, number = 0, line = 0;
    if (size > INPUT_MAX)
        return 0;
    import_source_memory(&in, str_make(data, size));
    sql_split_init(&split, &in);
    while (sql_split_next(&split, &found, NULL) == ERR_OK && found) {
        CHECK(split.offset >= end && split.offset < size);
        CHECK(split.number == ++number && split.line >= line);
        CHECK(memcmp(split.text.buf, data + split.offset, split.text.len) == 0);
        end = split.offset + split.text.len;
        line = split.line;
        if (!str_starts(strbuf_str(&split.text), S("\xef\xbb\xbf"))) /* at the start of a file it is a mark */
            check_statement(strbuf_str(&split.text));
    }
    sql_split_release(&split);
    import_source_release(&in);
    return 0;
}
