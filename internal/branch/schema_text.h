/* Walking over the text that made a table. Pure; views into the text. Any thread. */
#ifndef BRANCH_SCHEMA_TEXT_H
#define BRANCH_SCHEMA_TEXT_H

#include "base/str.h"

/* `CREATE TABLE t`, `(a INT, CHECK (a > 1)`, `) STRICT` */
struct schema_text {
    struct str head, items, tail;
};

/* false: it is no list of columns. */
bool schema_text_split(struct str sql, struct schema_text *ret);
/* The next of the items (behind a bracket or a comma), trimmed. false: what is there is none. */
bool schema_text_item(struct str *rest, struct str *ret);
/* Of the table, which no statement can add: not a column's declaration. */
bool schema_text_is_constraint(struct str item);
/* Its name without quotes: `"a b" INT` and `[A B]` are one name but for their case. */
struct str schema_text_column(struct str item);

/* The next word, quoted name, quoted text or other character; ptr NULL at the end. White space and comments
 * are passed over. */
struct str schema_text_token(struct str *rest);
/* The name that a token is, without quotes; ptr NULL: it is none. */
struct str schema_text_name(struct str token);
/* The declaration has this word, outside of brackets and quotes. */
bool schema_text_has(struct str item, const char *word);
/* `REFERENCES table` stands in it, or a name with a quote within, which may be the table's. */
bool schema_text_refers(struct str sql, struct str table);

#endif
