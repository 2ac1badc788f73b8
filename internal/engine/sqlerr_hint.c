/* "Did you mean": the nearest name in the live schema. Looked up after a failure alone, so speed does not
 * matter; only names that this call may see are told. */
#include "engine/column.h"
#include "engine/engine_state.h"
#include "engine/sqlerr.h"

#define SQL_TABLES    "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
#define SQL_COLUMNS   "SELECT name FROM pragma_table_xinfo(?1)"
#define SQL_FUNCTIONS "SELECT DISTINCT name FROM pragma_function_list"

enum { LISTED_COLUMNS_MAX = 12 };

/* Names that a query of ours gives, one after the other. */
struct names {
    struct op *op;
    sqlite3_stmt *stmt;
    struct op *running;
    struct guard_saved saved;
};

static struct names names_begin(struct op *op, const char *sql, struct str argument)
{
    struct names n = {.op = op, .running = op->eng->running, .saved = guard_enter_own(&op->eng->guard)};
    op->eng->running = NULL; /* a deadline that has passed must not cut the error's text */
    if (sqlite3_prepare_v2(op->eng->db, sql, -1, &n.stmt, NULL) != SQLITE_OK)
        n.stmt = NULL;
    if (n.stmt && argument.len)
        (void)sqlite3_bind_text(n.stmt, 1, argument.ptr, (int)argument.len, SQLITE_STATIC);
    return n;
}

static bool names_next(struct names *n, struct str *ret)
{
    if (!n->stmt || sqlite3_step(n->stmt) != SQLITE_ROW)
        return false;
    *ret = column_bytes(n->stmt, 0);
    return true;
}

static void names_end(struct names *n)
{
    (void)sqlite3_finalize(n->stmt);
    n->op->eng->running = n->running;
    guard_leave(&n->op->eng->guard, n->saved);
}

/* Keeps the nearest of the names offered; a third of the letters may be wrong. */
struct nearest {
    struct str wanted, best;
    unsigned distance;
};

static struct nearest nearest_to(struct str wanted)
{
    size_t third = wanted.len / 3;
    return (struct nearest){wanted, STR_EMPTY, (unsigned)(third < 1 ? 1 : third > 3 ? 3 : third) + 1};
}

static void offer(struct op *op, struct nearest *n, struct str name)
{
    unsigned d = str_distance(n->wanted, name);
    if (d >= n->distance)
        return;
    struct str copy = arena_copy(op->arena, name);
    if (copy.ptr) {
        n->best = copy;
        n->distance = d;
    }
}

static bool visible(const struct op *op, struct str table)
{
    return !op_name_reserved(table) && op_table_visible(op, table);
}

struct str sqlerr_near_table(struct op *op, struct str name)
{
    struct nearest n = nearest_to(name);
    struct str table;
    struct names names = names_begin(op, SQL_TABLES, STR_EMPTY);
    while (names_next(&names, &table)) {
        if (visible(op, table))
            offer(op, &n, table);
    }
    names_end(&names);
    return n.best;
}

struct str sqlerr_near_function(struct op *op, struct str name)
{
    struct nearest n = nearest_to(name);
    struct str function;
    struct names names = names_begin(op, SQL_FUNCTIONS, STR_EMPTY);
    while (names_next(&names, &function))
        offer(op, &n, function);
    names_end(&names);
    return n.best;
}

static bool mentions(struct str sql, struct str table)
{
    struct str word;
    while (sql_next_word(&sql, &word)) {
        if (str_eq_nocase(word, table))
            return true;
    }
    return false;
}

/* Offers the table's columns and appends "orders has id, total" to `list`. */
static void offer_columns(struct op *op, struct str table, struct nearest *n, struct strbuf *list)
{
    struct str column;
    int count = 0;
    strbuf_addf(list, "%s\"" STR_FMT "\" has the columns ", list->len ? "; " : "", STR_ARG(table));
    struct names names = names_begin(op, SQL_COLUMNS, table);
    while (names_next(&names, &column)) {
        offer(op, n, column);
        if (count < LISTED_COLUMNS_MAX)
            strbuf_addf(list, "%s" STR_FMT, count ? ", " : "", STR_ARG(column));
        else if (count == LISTED_COLUMNS_MAX)
            strbuf_add_cstr(list, ", …");
        count++;
    }
    names_end(&names);
}

struct str sqlerr_near_column(struct op *op, struct str sql, struct str name, struct str *ret_tables)
{
    struct nearest n = nearest_to(name);
    struct str table;
    AUTO_STRBUF list;
    strbuf_init(&list, 2000);
    struct names names = names_begin(op, SQL_TABLES, STR_EMPTY);
    while (names_next(&names, &table)) {
        if (visible(op, table) && mentions(sql, table))
            offer_columns(op, table, &n, &list);
    }
    names_end(&names);
    struct str copy =
        strbuf_failed(&list) || list.len == 0 ? STR_EMPTY : arena_copy(op->arena, strbuf_str(&list));
    *ret_tables = copy.ptr ? copy : STR_EMPTY;
    return n.best;
}
