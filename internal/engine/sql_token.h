/* The tokens of one statement, for recognising the fixed forms that dumps contain. Any thread. */
#ifndef ENGINE_SQL_TOKEN_H
#define ENGINE_SQL_TOKEN_H

#include "base/arena.h"
#include "base/str.h"

enum sql_token_kind {
    SQL_TOKEN_END,
    SQL_TOKEN_WORD,   /* keyword, name or number, bare */
    SQL_TOKEN_NAME,   /* in double quotes, back quotes or brackets */
    SQL_TOKEN_STRING, /* in single quotes */
    SQL_TOKEN_OTHER,  /* one character */
};

struct sql_token {
    enum sql_token_kind kind;
    struct str text; /* as it stands, with its quotes */
};

/* Takes the next token from *rest; white space and comments are passed over. */
struct sql_token sql_token_next(struct str *rest);
/* What a quoted token means: quotes removed, doubled ones undoubled. */
struct str sql_token_value(struct arena *a, struct sql_token t);
/* A bare keyword, any case. */
bool sql_token_is(struct sql_token t, struct str word);
/* A name in any spelling: bare, quoted, or (as SQLite's shell writes some) a string. */
bool sql_token_names(struct arena *a, struct sql_token t, struct str name);

#endif
