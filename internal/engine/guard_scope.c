/* What a token with a table scope is told of tables outside it. One that is hidden and one that is missing
 * get the same words, so nothing is named but what the statement itself names, in its own spelling. */
#include "base/arena.h"
#include "engine/fts5_decl.h"
#include "engine/guard.h"

static struct str spelling(struct str sql, struct str name)
{
    struct str word;
    while (sql_next_word(&sql, &word)) {
        if (str_eq_nocase(word, name))
            return word;
    }
    return STR_EMPTY;
}

int guard_refuse_table(struct guard *g, struct str table)
{
    struct str name = spelling(g->sql, table);
    if (name.len == 0)
        return guard_refuse(g, "Token scope does not include every table that this statement works on");
    return guard_refuse(g, "Token scope does not include table \"%.*s\"", STR_ARG(name));
}

int guard_refuse_index(struct guard *g)
{
    return guard_refuse(g, "Token scope does not include a table with such an index");
}

int guard_refuse_trigger(struct guard *g)
{
    return guard_refuse(g,
        "a token with a table scope cannot drop triggers, nor a table or view that has one, "
        "because they guard it for every caller");
}

int guard_refuse_rename(struct guard *g)
{
    return guard_refuse(
        g, "a token with a table scope cannot rename tables, because the new name is outside it");
}

/* What the authorizer would have said first, had the object existed. */
static bool refuse_verb(struct guard *g)
{
    bool schema = sql_verb_changes_schema(g->verb);
    bool rows = g->verb == SQL_VERB_INSERT || g->verb == SQL_VERB_REPLACE || g->verb == SQL_VERB_UPDATE ||
                g->verb == SQL_VERB_DELETE;
    enum wire_role least = schema ? WIRE_ROLE_ADMIN : rows ? WIRE_ROLE_READWRITE : WIRE_ROLE_READONLY;
    if (g->call->role >= least)
        return false;
    (void)guard_refuse_role(g, least);
    return true;
}

bool guard_hides_error(struct guard *g, struct str message, struct str missing_table)
{
    bool table = missing_table.len > 0 && !guard_in_scope(g->call, missing_table);
    bool index = str_starts(message, S("no such index: "));
    bool trigger = str_starts(message, S("no such trigger: "));
    bool rename =
        g->verb == SQL_VERB_ALTER && str_starts(message, S("there is already another table or index"));
    bool name = str_starts(message, S("there is already ")) || str_ends(message, S(" already exists"));
    if ((table || index || trigger || rename || name) && refuse_verb(g))
        return true;
    if (table)
        (void)guard_refuse_table(g, missing_table);
    else if (index)
        (void)guard_refuse_index(g);
    else if (trigger)
        (void)guard_refuse_trigger(g);
    else if (rename)
        (void)guard_refuse_rename(g);
    return g->refused;
}

/* DROP … IF EXISTS of what is missing does nothing and asks nobody. */
bool guard_hides_drop(struct guard *g)
{
    struct str word, rest = g->sql, kind = STR_EMPTY, last = STR_EMPTY;
    if (!g->call->has_table_scope || g->verb != SQL_VERB_DROP || g->drops)
        return false;
    while (sql_next_word(&rest, &word)) {
        if (str_eq_nocase(last, S("DROP")) && kind.len == 0)
            kind = word;
        last = word;
    }
    if (refuse_verb(g))
        return true;
    if (str_eq_nocase(kind, S("INDEX")))
        (void)guard_refuse_index(g);
    else if (str_eq_nocase(kind, S("TRIGGER")))
        (void)guard_refuse_trigger(g);
    else if (memchr(g->sql.ptr, '\'', g->sql.len)) /* a name as a string, which is no word */
        (void)guard_refuse_table(g, STR_EMPTY);
    else if (!guard_in_scope(g->call, last))
        (void)guard_refuse_table(g, last);
    return g->refused;
}

struct str guard_fts5_content(struct str create_table, struct arena *a)
{
    struct fts5_decl decl = {.content = FTS5_OWN};
    bool external = fts5_decl_read(a, create_table, &decl) && decl.content == FTS5_EXTERNAL;
    return external ? decl.content_table : STR_EMPTY;
}
