/* instr, replace, trim and unhex compare every position of one argument with all of another in SQLite's own
 * form: with values of megabytes that is minutes inside one C call, which nothing but SIGKILL ends. These
 * take time in proportion to the length of their arguments and mean the same. */
#define _GNU_SOURCE /* memmem */
#include "engine/functions.h"
#include "base/limits.h"
#include "base/strbuf.h"

#define PURE (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS)

static struct str text_of(sqlite3_value *v)
{
    const void *p = sqlite3_value_text(v);
    return str_make(p ? p : "", p ? (size_t)sqlite3_value_bytes(v) : 0);
}

static struct str blob_of(sqlite3_value *v)
{
    const void *p = sqlite3_value_blob(v);
    return str_make(p ? p : "", p ? (size_t)sqlite3_value_bytes(v) : 0);
}

static bool any_null(int argc, sqlite3_value **argv)
{
    for (int i = 0; i < argc; i++) {
        if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
            return true;
    }
    return false;
}

static void result_buffer(sqlite3_context *ctx, struct strbuf *sb, bool text)
{
    size_t len = sb->len;
    if (strbuf_failed(sb)) {
        strbuf_release(sb);
        sqlite3_result_error_toobig(ctx);
        return;
    }
    if (text)
        sqlite3_result_text64(ctx, len ? sb->buf : "", len, SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        sqlite3_result_blob64(ctx, len ? sb->buf : "", len, SQLITE_TRANSIENT);
    strbuf_release(sb);
}

/* --- instr, replace --- */

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Position in characters for text, in bytes for two blobs; 0 when absent. */
static void fn_instr(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    if (any_null(argc, argv))
        return;
    bool blobs = sqlite3_value_type(argv[0]) == SQLITE_BLOB && sqlite3_value_type(argv[1]) == SQLITE_BLOB;
    struct str hay = blobs ? blob_of(argv[0]) : text_of(argv[0]);
    struct str needle = blobs ? blob_of(argv[1]) : text_of(argv[1]);
    const char *at = needle.len == 0 ? hay.ptr : memmem(hay.ptr, hay.len, needle.ptr, needle.len);
    sqlite3_int64 position = at ? 1 : 0;
    for (const char *p = hay.ptr; at && p < at; p++)
        position += blobs || !continues(p[1]) || p + 1 == at;
    sqlite3_result_int64(ctx, position);
}

static void fn_replace(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    if (any_null(argc - 1, argv)) /* an empty pattern returns the text, whatever would replace it */
        return;
    struct str in = text_of(argv[0]), old = text_of(argv[1]), new = text_of(argv[2]);
    if (old.len == 0 || old.ptr[0] == '\0') { /* as SQLite's own, which takes a NUL for the end */
        sqlite3_result_text64(ctx, in.ptr, in.len, SQLITE_TRANSIENT, SQLITE_UTF8);
        return;
    }
    if (any_null(argc, argv))
        return;
    struct strbuf out;
    strbuf_init(&out, (size_t)LIMIT_SQL_VALUE_BYTES);
    const char *at;
    while (in.len > 0 && (at = memmem(in.ptr, in.len, old.ptr, old.len)) && !strbuf_failed(&out)) {
        size_t before = (size_t)(at - in.ptr);
        strbuf_add(&out, in.ptr, before);
        strbuf_add_str(&out, new);
        in = str_slice(in, before + old.len, in.len);
    }
    strbuf_add_str(&out, in);
    result_buffer(ctx, &out, true);
}

/* --- Sets of characters --- */

enum { WIDE_MAX = 100 }; /* characters beyond ASCII in one set */

struct char_set {
    bool ascii[128];
    struct str wide[WIDE_MAX];
    size_t wide_count;
};

static size_t char_length(struct str s)
{
    size_t n = 1;
    while (n < s.len && (unsigned char)s.ptr[0] >= 0x80 && continues(s.ptr[n]))
        n++;
    return n;
}

static bool set_add_all(struct char_set *set, struct str chars)
{
    while (chars.len > 0 && chars.ptr[0] != '\0') { /* a NUL ends the set, as SQLite's own has it */
        size_t n = char_length(chars);
        unsigned char c = (unsigned char)chars.ptr[0];
        if (c < 128)
            set->ascii[c] = true;
        else if (set->wide_count == WIDE_MAX)
            return false;
        else
            set->wide[set->wide_count++] = str_slice(chars, 0, n);
        chars = str_slice(chars, n, chars.len);
    }
    return true;
}

/* Bytes of the member at the start of `s`, 0 none. */
static size_t set_at_start(const struct char_set *set, struct str s)
{
    if (s.len == 0)
        return 0;
    if ((unsigned char)s.ptr[0] < 128)
        return set->ascii[(unsigned char)s.ptr[0]] ? 1 : 0;
    for (size_t i = 0; i < set->wide_count; i++) {
        if (str_starts(s, set->wide[i]))
            return set->wide[i].len;
    }
    return 0;
}

static size_t set_at_end(const struct char_set *set, struct str s)
{
    if (s.len == 0)
        return 0;
    if ((unsigned char)s.ptr[s.len - 1] < 128)
        return set->ascii[(unsigned char)s.ptr[s.len - 1]] ? 1 : 0;
    for (size_t i = 0; i < set->wide_count; i++) {
        if (str_ends(s, set->wide[i]))
            return set->wide[i].len;
    }
    return 0;
}

static bool read_set(sqlite3_context *ctx, sqlite3_value *v, struct char_set *set)
{
    *set = (struct char_set){.wide_count = 0};
    if (set_add_all(set, v ? text_of(v) : S(" ")))
        return true;
    sqlite3_result_error(ctx, "at most 100 characters beyond ASCII can be given as a set", -1);
    return false;
}

/* --- trim, ltrim, rtrim --- */

enum { TRIM_LEFT = 1, TRIM_RIGHT = 2 };

static void fn_trim(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct char_set set;
    int sides = (int)(intptr_t)sqlite3_user_data(ctx);
    size_t n;
    if (any_null(argc, argv) || !read_set(ctx, argc > 1 ? argv[1] : NULL, &set))
        return;
    struct str s = text_of(argv[0]);
    while ((sides & TRIM_LEFT) && (n = set_at_start(&set, s)) > 0)
        s = str_slice(s, n, s.len);
    while ((sides & TRIM_RIGHT) && (n = set_at_end(&set, s)) > 0)
        s = str_slice(s, 0, s.len - n);
    sqlite3_result_text64(ctx, s.len ? s.ptr : "", s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* --- unhex --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Pairs of digits with members of the set between them; anything else gives NULL. */
static void fn_unhex(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct char_set set;
    struct strbuf out;
    size_t n;
    if (any_null(argc, argv) || !read_set(ctx, argv[1], &set))
        return;
    struct str s = text_of(argv[0]);
    s.len = strnlen(s.ptr, s.len); /* a NUL ends the text, as in SQLite's own */
    strbuf_init(&out, (size_t)LIMIT_SQL_VALUE_BYTES);
    while (s.len > 0) {
        int high = hex_digit(s.ptr[0]), low = s.len > 1 ? hex_digit(s.ptr[1]) : -1;
        if (high >= 0 && low >= 0) {
            strbuf_add_char(&out, (char)(high << 4 | low));
            s = str_slice(s, 2, s.len);
        } else if (high < 0 && (n = set_at_start(&set, s)) > 0) {
            s = str_slice(s, n, s.len);
        } else {
            strbuf_release(&out);
            return;
        }
    }
    result_buffer(ctx, &out, false);
}

int functions_register(sqlite3 *db)
{
    static const struct {
        const char *name;
        int args;
        intptr_t data;
        void (*fn)(sqlite3_context *, int, sqlite3_value **);
    } FUNCTIONS[] = {
        {"instr", 2, 0, fn_instr},
        {"replace", 3, 0, fn_replace},
        {"trim", 1, TRIM_LEFT | TRIM_RIGHT, fn_trim},
        {"trim", 2, TRIM_LEFT | TRIM_RIGHT, fn_trim},
        {"ltrim", 1, TRIM_LEFT, fn_trim},
        {"ltrim", 2, TRIM_LEFT, fn_trim},
        {"rtrim", 1, TRIM_RIGHT, fn_trim},
        {"rtrim", 2, TRIM_RIGHT, fn_trim},
        {"unhex", 2, 0, fn_unhex},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(FUNCTIONS) && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(db, FUNCTIONS[i].name, FUNCTIONS[i].args, PURE,
            (void *)FUNCTIONS[i].data, FUNCTIONS[i].fn, NULL, NULL, NULL);
    return rc == SQLITE_OK ? functions_register_json(db) : rc;
}
