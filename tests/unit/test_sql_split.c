/* The cutter of scripts, the reader of CSV and the tokens of dumps: pure functions over memory and files. */
#include "engine/csv.h"
#include "engine/fts5_decl.h"
#include "engine/sql_split.h"
#include "engine/sql_token.h"
#include "lib/tmpdir.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* All statements of a script, with '|' between them. */
static void cut(struct str script, struct strbuf *out, struct err *err)
{
    struct import_source in;
    struct sql_split split;
    bool found = true;
    import_source_memory(&in, script);
    sql_split_init(&split, &in);
    strbuf_reset(out);
    while (!sql_split_next(&split, &found, err) && found) {
        if (out->len)
            strbuf_add_char(out, '|');
        strbuf_add_str(out, strbuf_str(&split.text));
    }
    sql_split_release(&split);
    import_source_release(&in);
}

void test_sqlsplit__cuts_at_the_semicolons_that_end_statements(void **state)
{
    static const struct {
        const char *script, *parts;
    } cases[] = {
        {"", ""},
        {" \n -- nothing\n ; ;; /* none */ ", ""},
        {"SELECT 1", "SELECT 1"},
        {"SELECT 1;SELECT 2;", "SELECT 1|SELECT 2"},
        {"SELECT ';'; SELECT \";\"; SELECT `;`; SELECT [;]", "SELECT ';'|SELECT \";\"|SELECT `;`|SELECT [;]"},
        {"SELECT 'it''s;'; x", "SELECT 'it''s;'|x"},
        {"a -- c;\n b; c /* ; */ d;", "a -- c;\n b|c /* ; */ d"},
        {"-- c;\n/* a; */ SELECT 1;", "SELECT 1"},
        {"CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END; SELECT 3",
            "CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END|SELECT 3"},
        {"create temp trigger t begin a; end ; b", "create temp trigger t begin a; end |b"},
        {"CREATE TRIGGER t BEGIN a; END /* c */; b", "CREATE TRIGGER t BEGIN a; END /* c */|b"},
        {"CREATE TRIGGER t BEGIN a; ENDED; END; b", "CREATE TRIGGER t BEGIN a; ENDED; END|b"},
        {"CREATE TABLE trigger_log(a); b", "CREATE TABLE trigger_log(a)|b"},
        {"CREATE TABLE \"trigger\"(a); b", "CREATE TABLE \"trigger\"(a)|b"},
        {"SELECT 'never ends; x", "SELECT 'never ends; x"},
        {"SELECT /* never ends; x", "SELECT /* never ends; x"},
        {"- 1; / 2;", "- 1|/ 2"},
        {"\xef\xbb\xbfSELECT 1;", "SELECT 1"},
        {"SELECT 1 /*/ ; */ ; b", "SELECT 1 /*/ ; */ |b"},
    };
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 10000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cut(str_of(cases[i].script), &out, NULL);
        assert_string_equal(strbuf_cstr(&out), cases[i].parts);
    }
}

/* In pieces of one buffer, which statements cross; lines and offsets are those of the file. */
void test_sqlsplit__a_file_reads_as_memory_does(void **state)
{
    struct import_source in;
    struct sql_split split;
    AUTO_STRBUF script;
    AUTO_TMPDIR dir;
    bool found = true;
    size_t count = 0;
    (void)state;
    strbuf_init(&script, 1 << 20);
    for (int i = 0; i < 4000; i++)
        strbuf_addf(&script, "INSERT INTO t VALUES (%d, 'a;b''c');\n", i);
    tmpdir_init(&dir);
    const char *path = tmpdir_path(&dir, "script.sql");
    assert_int_equal(fs_write_atomic(path, strbuf_str(&script), 0600, NULL), ERR_OK);
    assert_int_equal(import_source_file(&in, path, NULL), ERR_OK);
    sql_split_init(&split, &in);
    while (!sql_split_next(&split, &found, NULL) && found) {
        assert_int_equal(split.line, ++count);
        assert_int_equal(split.number, count);
        assert_int_equal(script.buf[split.offset], 'I');
    }
    assert_int_equal(count, 4000);
    assert_int_equal(in.offset, script.len);
    sql_split_release(&split);
    import_source_release(&in);
}

void test_sqlsplit__refuses_nul_bytes_and_giants(void **state)
{
    struct err err = ERR_INIT;
    AUTO_STRBUF out;
    AUTO_STRBUF giant;
    (void)state;
    strbuf_init(&out, 100);
    strbuf_init(&giant, SQL_SPLIT_MAX + 100);
    cut(S("SELECT 1;\nSELECT '\0';"), &out, &err);
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "line 2"));
    memset(strbuf_reserve(&giant, SQL_SPLIT_MAX + 1), 'x', SQL_SPLIT_MAX + 1);
    strbuf_commit(&giant, SQL_SPLIT_MAX + 1);
    cut(strbuf_str(&giant), &out, &err);
    assert_int_equal(err.code, ERR_TOO_LARGE);
}

/* Records as "[a|b]", NULL as "~". */
static enum err_code read_csv(struct str text, struct strbuf *out, struct err *err)
{
    static struct csv c;
    struct import_source in;
    bool found = true;
    enum err_code code;
    import_source_memory(&in, text);
    csv_init(&c, &in);
    strbuf_reset(out);
    while (!(code = csv_next(&c, &found, err)) && found) {
        for (int i = 0; i < c.count; i++) {
            strbuf_add_cstr(out, i ? "|" : "[");
            strbuf_add_str(out, c.fields[i].null ? S("~") : c.fields[i].text);
        }
        strbuf_add_char(out, ']');
    }
    csv_release(&c);
    return code;
}

void test_csv__reads_rfc_4180(void **state)
{
    static const struct {
        const char *text, *records;
    } cases[] = {
        {"", ""},
        {"a", "[a]"},
        {"a,b\r\nc,d\r\n", "[a|b][c|d]"},
        {"a,b\nc,d", "[a|b][c|d]"},
        {",", "[~|~]"},
        {"\"\",a", "[|a]"},
        {"\"x\"\"y\",\"1,2\",\"l1\r\nl2\"\n", "[x\"y|1,2|l1\r\nl2]"},
        {"a\n\nb", "[a][~][b]"},
        {"\xef\xbb\xbf"
         "a",
            "[a]"},
        {" a , b ", "[ a | b ]"},
    };
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"a\"b", "line 1: a quote stands inside"},
        {"x\n\"a\"b", "line 2: text follows"},
        {"x\n\n\"a\nb", "line 3: a quoted field never ends"},
    };
    struct err err = ERR_INIT;
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(read_csv(str_of(cases[i].text), &out, &err), ERR_OK);
        assert_string_equal(strbuf_cstr(&out), cases[i].records);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(read_csv(str_of(bad[i].text), &out, &err), ERR_INVALID);
        assert_non_null(strstr(err.message, bad[i].says));
    }
}

void test_fts5decl__reads_what_fts5_reads(void **state)
{
    static const struct {
        const char *sql;
        bool ok;
        enum fts5_content content;
        const char *columns;
    } cases[] = {
        {"CREATE VIRTUAL TABLE t USING fts5(a, b)", true, FTS5_OWN, "a,b,"},
        {"create virtual table \"we\"\"ird, (x\" using FTS5 ( a UNINDEXED , 'b c', [d], \"e\"\"f\" )", true,
            FTS5_OWN, "a,b c,d,e\"f,"},
        {"CREATE VIRTUAL TABLE t USING fts5(a, content='notes', content_rowid=id)", true, FTS5_EXTERNAL,
            "a,"},
        {"CREATE VIRTUAL TABLE t USING fts5(a, content = '')", true, FTS5_CONTENTLESS, "a,"},
        {"CREATE VIRTUAL TABLE t USING fts5(a, content=\"\", tokenize = 'porter, unicode61')", true,
            FTS5_CONTENTLESS, "a,"},
        {"CREATE VIRTUAL TABLE t USING fts5(content)", true, FTS5_OWN, "content,"},
        {"CREATE VIRTUAL TABLE t USING rtree(a, b, c)", false, FTS5_OWN, ""},
        {"CREATE VIRTUAL TABLE t USING fts5", false, FTS5_OWN, ""},
        {"CREATE VIRTUAL TABLE t USING fts5(", false, FTS5_OWN, ""},
        {"CREATE VIRTUAL TABLE t USING fts5(\"", false, FTS5_OWN, ""},
        {"CREATE TABLE fts5(a)", false, FTS5_OWN, ""},
        {"", false, FTS5_OWN, ""},
    };
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fts5_decl decl;
        AUTO_STRBUF names;
        strbuf_init(&names, 1000);
        if (fts5_decl_read(&a, str_of(cases[i].sql), &decl) != cases[i].ok)
            fail_msg("%s", cases[i].sql);
        for (const struct fts5_column *c = cases[i].ok ? decl.columns : NULL; c; c = c->next) {
            strbuf_add_str(&names, c->name);
            strbuf_add_char(&names, ',');
        }
        assert_string_equal(strbuf_cstr(&names), cases[i].columns);
        assert_true(!cases[i].ok || decl.content == cases[i].content);
    }
}

void test_sqltoken__reads_names_strings_and_words(void **state)
{
    struct str rest = S("INSERT/**/INTO \"a\"\"b\" -- c\n VALUES('it''s',-5.25e3,[x y],`z`)");
    static const char *const values[] = {
        "INSERT", "INTO", "a\"b", "VALUES", "(", "it's", ",", "-", "5.25e3", ",", "x y", ",", "z", ")"};
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct str v = sql_token_value(&a, sql_token_next(&rest));
        assert_int_equal(v.len, strlen(values[i]));
        assert_memory_equal(v.ptr, values[i], v.len);
    }
    assert_int_equal(sql_token_next(&rest).kind, SQL_TOKEN_END);
}
