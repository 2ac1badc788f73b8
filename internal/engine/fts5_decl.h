/* What a CREATE VIRTUAL TABLE … USING fts5(…) declares, read from its text: the module itself must not touch
 * the tables of an uploaded file. Engine's thread. */
#ifndef ENGINE_FTS5_DECL_H
#define ENGINE_FTS5_DECL_H

#include "base/arena.h"

enum fts5_content {
    FTS5_OWN,         /* rows in <table>_content: id, c0, c1, … */
    FTS5_EXTERNAL,    /* rows in another table or view: 'rebuild' reads them again */
    FTS5_CONTENTLESS, /* content='': the rows cannot be read back */
};

struct fts5_column {
    struct fts5_column *next;
    struct str name;
};

struct fts5_decl {
    enum fts5_content content;
    bool locale;              /* locale=1: <table>_content also holds l0, l1, … */
    struct str content_table; /* FTS5_EXTERNAL; else "" */
    struct str content_rowid; /* as it is said, "" not */
    struct fts5_column *columns;
    int column_count;
};

/* false when the text is not of that form. */
bool fts5_decl_read(struct arena *a, struct str sql, struct fts5_decl *ret);

#endif
