/* Looking at SQL as text, for messages and for the few decisions that the authorizer cannot take: which word
 * a statement begins with, whether anything follows its end, which identifiers stand in it. Never a parser:
 * what a statement may do is decided by guard.c from what SQLite says. Any thread. */
#ifndef ENGINE_SQL_TEXT_H
#define ENGINE_SQL_TEXT_H

#include "base/str.h"

enum sql_verb {
    SQL_VERB_NONE, /* empty, or a word that no statement begins with */
    SQL_VERB_SELECT,
    SQL_VERB_WITH,
    SQL_VERB_VALUES,
    SQL_VERB_INSERT,
    SQL_VERB_REPLACE,
    SQL_VERB_UPDATE,
    SQL_VERB_DELETE,
    SQL_VERB_CREATE,
    SQL_VERB_DROP,
    SQL_VERB_ALTER,
    SQL_VERB_ANALYZE,
    SQL_VERB_REINDEX,
    SQL_VERB_PRAGMA,
    SQL_VERB_EXPLAIN, /* only when nothing known follows it */
    SQL_VERB_BEGIN,
    SQL_VERB_COMMIT,
    SQL_VERB_END,
    SQL_VERB_ROLLBACK,
    SQL_VERB_SAVEPOINT,
    SQL_VERB_RELEASE,
    SQL_VERB_ATTACH,
    SQL_VERB_DETACH,
    SQL_VERB_VACUUM,
    SQL_VERB_COUNT
};

/* The verb behind white space, comments and EXPLAIN [QUERY PLAN]. */
enum sql_verb sql_verb(struct str sql);
const char *sql_verb_name(enum sql_verb verb); /* "INSERT" */
bool sql_verb_changes_schema(enum sql_verb verb);
bool sql_is_explain(struct str sql);

/* What is left behind white space, comments and semicolons. */
struct str sql_skip_blank(struct str sql);

/* Length of the quoted run at the start of `s` ('…', "…", `…` or […]), both quotes included; doubled quotes
 * stay inside. All of `s` when it never ends. */
size_t sql_quoted_length(struct str s);

/* Takes the next identifier, keyword or quoted name from *rest; literals, numbers, comments and punctuation
 * are passed over. *ret_word has the quotes removed, doubled quotes kept. false at the end. */
bool sql_next_word(struct str *rest, struct str *ret_word);

#endif
