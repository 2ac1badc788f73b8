/* What the parts of a sample share. */
#ifndef ENGINE_SAMPLE_INTERNAL_H
#define ENGINE_SAMPLE_INTERNAL_H

#include "base/map.h"
#include "engine/sample.h"

/* Its key is a rowid, or the primary key of a table WITHOUT ROWID, value by value. */
struct sample_row {
    struct sample_row *next; /* of its table */
    uint32_t table, number;
    bool dropped;
    int64_t id;
    struct str key; /* ptr NULL: `id` */
};

struct sample_fk {
    struct sample_fk *next;
    uint32_t parent;
    int first, count; /* columns of the child's statement */
    sqlite3_stmt *find;
};

struct sample_table {
    const struct cat_table *table;
    struct str from; /* quoted: itself, or what holds the rows of a search table */
    struct str keys; /* SQL for its key, with commas */
    struct str condition;
    int key_count;
    bool by_id, done;
    int64_t rows, share, picked;
    struct sample_row *first, **tail;
    struct sample_fk *fks;
    sqlite3_stmt *read; /* the referring columns of one row; NULL none */
};

struct sample_edge {
    uint32_t child, parent;
};

struct sample {
    const struct catalog_source *src;
    struct arena arena;
    struct sample_table *tables;
    uint32_t table_count;
    uint64_t seed;
    struct map known; /* table and key → row */
    struct sample_row **rows;
    size_t row_count, row_cap, settled; /* up to there what rows refer to was picked too */
    struct sample_edge *edges;
    size_t edge_count, edge_cap;
    struct sample_row *at; /* of sample_step */
    bool stepping;
};

/* sample_table.c: tables with their keys and references. */
MUST_CHECK enum err_code sample_open_tables(struct sample *s, const struct catalog *cat, struct err *err);
void sample_close_tables(struct sample *s);
struct sample_table *sample_table(const struct sample *s, struct str name);
MUST_CHECK enum err_code sample_prepare(
    struct sample *s, const struct strbuf *sql, sqlite3_stmt **ret, struct err *err);

/* A key from columns of a row, and back into parameters from 1 on. */
void sample_key(sqlite3_stmt *stmt, int columns, struct strbuf *out);
MUST_CHECK int sample_bind(sqlite3_stmt *stmt, const struct sample_row *row);

/* sample_even.c: the rows of one table whose hashes are the smallest. */
struct sample_choice {
    uint64_t hash;
    int64_t id;
    char *key; /* mem_; NULL: `id` */
    size_t key_len;
};
struct sample_choices {
    struct sample_choice *list;
    size_t count, most;
};
MUST_CHECK enum err_code sample_choose(
    struct sample *s, const struct sample_table *t, struct sample_choices *ret, struct err *err);
void sample_choices_release(struct sample_choices *c);

#endif
