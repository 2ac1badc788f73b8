/* Errors about a limit: what it is, what the statement has as far as its text tells, and what would pass. */
#include "base/limits.h"
#include "engine/engine_state.h"
#include "engine/sql_token.h"
#include "engine/sqlerr.h"

enum { DEPTH_MAX = 200 };

enum counted { COUNT_NOTHING, COUNT_LIST, COUNT_SELECTS, COUNT_PARAMETERS };

struct limit {
    const char *text; /* found anywhere in SQLite's message */
    int64_t most;
    const char *unit; /* "at most 100 columns"; NULL: the message says it */
    enum counted counted;
    const char *hint;
};

#define SELECT_LESS "select the columns that are needed, or put several into one json_object(…)"
#define AS_JSON                                                                                              \
    "pass a list as one parameter with JSON text: … IN (SELECT value FROM json_each(?)), or INSERT … "   \
    "SELECT "                                                                                                \
    "value ->> 0 FROM json_each(?)"

static const struct limit LIMITS[] = {
    {"LIKE or GLOB pattern too complex", LIMIT_SQL_LIKE_BYTES, "bytes", COUNT_NOTHING,
        "find fixed text of any length by instr(column, ?) > 0, words by an FTS5 table and MATCH"},
    {"Expression tree is too large", LIMIT_SQL_EXPR_DEPTH, NULL, COUNT_NOTHING,
        "each operator of a chain is a level: write IN (…) in place of many ORs, || and + in parts of 50 in "
        "parentheses, or " AS_JSON},
    {"Recursion limit", 0, NULL, COUNT_NOTHING, "the statement is nested too deeply: leave out parentheses"},
    {"parser stack overflow", 0, NULL, COUNT_NOTHING, "the statement is nested too deeply"},
    {"too many columns on ", LIMIT_SQL_COLUMNS, "columns", COUNT_LIST,
        "split the table in two with the same key, or keep what is rarely asked for as JSON in one column"},
    {"too many columns in result set", LIMIT_SQL_COLUMNS, "columns", COUNT_LIST, SELECT_LESS},
    {"too many columns in set list", LIMIT_SQL_COLUMNS, "columns", COUNT_LIST,
        "set them by two UPDATEs in one batch with \"transaction\": true"},
    {"too many columns in index", LIMIT_SQL_COLUMNS, "columns", COUNT_LIST,
        "an index needs the columns that WHERE and ORDER BY name, in their order"},
    {"too many columns in ", LIMIT_SQL_COLUMNS, "columns", COUNT_LIST, SELECT_LESS},
    {"too many terms in ORDER BY", LIMIT_SQL_COLUMNS, "terms", COUNT_LIST, "sort by fewer terms"},
    {"too many terms in GROUP BY", LIMIT_SQL_COLUMNS, "terms", COUNT_LIST, "group by fewer terms"},
    {"too many terms in compound SELECT", LIMIT_SQL_COMPOUND, "SELECTs joined by UNION, INTERSECT or EXCEPT",
        COUNT_SELECTS, "rows are listed by VALUES (…), (…) or come from one parameter: json_each(?)"},
    {"too many arguments on function ", LIMIT_SQL_FUNCTION_ARGS, "arguments", COUNT_LIST,
        "nest the calls: coalesce(coalesce(…), …)"},
    {"too many SQL variables", LIMIT_SQL_VARIABLES, "parameters", COUNT_PARAMETERS, AS_JSON},
    {"variable number must be between", LIMIT_SQL_VARIABLES, NULL, COUNT_NOTHING,
        "parameters are numbered ?1 to ?1000; a bare ? takes the next number"},
    {"tables in a join", 64, NULL, COUNT_NOTHING, "put a part of the join into a table first, or join fewer"},
    {"triggers nested too deep", LIMIT_SQL_TRIGGER_DEPTH, "triggers that fire one another", COUNT_NOTHING,
        "let one trigger do what a chain of them does, or write the rows by a batch"},
    {"subqueries nested too deep", 0, NULL, COUNT_NOTHING,
        "views and WITH tables that read one another form too long a chain: put a part into a table"},
};

static int64_t count_list(struct str sql)
{
    int64_t commas[DEPTH_MAX] = {0}, most = 0;
    int depth = 0;
    for (struct sql_token t; (t = sql_token_next(&sql)).kind != SQL_TOKEN_END;) {
        char c = t.kind == SQL_TOKEN_OTHER ? t.text.ptr[0] : 'x';
        if (c == '(' && depth < DEPTH_MAX - 1)
            commas[++depth] = 0;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == ',' && ++commas[depth] > most)
            most = commas[depth];
    }
    return most + 1;
}

static int64_t count_selects(struct str sql)
{
    int64_t n = 1;
    for (struct sql_token t; (t = sql_token_next(&sql)).kind != SQL_TOKEN_END;)
        n += sql_token_is(t, S("UNION")) || sql_token_is(t, S("INTERSECT")) || sql_token_is(t, S("EXCEPT"));
    return n;
}

static int64_t count_parameters(struct str sql)
{
    int64_t n = 0;
    for (struct sql_token t; (t = sql_token_next(&sql)).kind != SQL_TOKEN_END;)
        n += t.kind == SQL_TOKEN_OTHER && strchr("?:@", t.text.ptr[0]) != NULL;
    return n;
}

static int64_t count(enum counted what, struct str sql)
{
    switch (what) {
    case COUNT_LIST: return count_list(sql);
    case COUNT_SELECTS: return count_selects(sql);
    case COUNT_PARAMETERS: return count_parameters(sql);
    case COUNT_NOTHING: break;
    }
    return 0;
}

/* ALTER TABLE works on a table of another name. */
static void drop_working_name(char *message)
{
    static const char PREFIX[] = "sqlite_altertab_";
    char *at = strstr(message, PREFIX);
    if (at)
        memmove(at, at + sizeof PREFIX - 1, strlen(at + sizeof PREFIX - 1) + 1);
}

void sqlerr_tell_limit(char *message, size_t size, const char **hint, struct str sql)
{
    for (size_t i = 0; i < ARRAY_LEN(LIMITS); i++) {
        const struct limit *l = &LIMITS[i];
        if (!strstr(message, l->text))
            continue;
        drop_working_name(message);
        *hint = l->hint;
        size_t len = strlen(message);
        int64_t n = count(l->counted, sql);
        if (l->unit && n > l->most)
            str_print_cut(message + len, size - len, ": at most %lld %s, and this statement has %lld",
                (long long)l->most, l->unit, (long long)n);
        else if (l->unit)
            str_print_cut(message + len, size - len, ": at most %lld %s", (long long)l->most, l->unit);
        return;
    }
}

/* SQLite says "out of memory" of a statement that compiles to too many steps. */
bool sqlerr_is_program_too_long(struct str sql, char *message, size_t size)
{
    enum { SHORTEST = 8000, LONG_LIST = 500 };
    int64_t listed = sql.len >= SHORTEST ? count_list(sql) : 0;
    if (sql.len < SHORTEST || sqlite3_memory_highwater(0) > LIMIT_ENGINE_HEAP_BYTES * 3 / 4)
        return false;
    if (listed < LONG_LIST)
        str_print_cut(
            message, size, "the statement compiles to more than %lld steps", (long long)LIMIT_SQL_VDBE_OPS);
    else
        str_print_cut(message, size,
            "the statement compiles to more than %lld steps: its longest list has %lld items",
            (long long)LIMIT_SQL_VDBE_OPS, (long long)listed);
    return true;
}

const char *sqlerr_program_hint(void)
{
    return AS_JSON "; or send several shorter statements in one batch";
}
