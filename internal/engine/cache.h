/* Prepared statements of tenants, kept by SQL text, role and table scope: the authorizer decides while a
 * statement is prepared, so one that was prepared for an admin must never serve a reader. SQLite decides then
 * whether a recorder will see every row, so what a rehearsal runs is kept apart. Bounded by count
 * and by SQLite's memory; the least recently used makes room. Statements that change the schema or act while
 * they are prepared are not kept. */
#ifndef ENGINE_CACHE_H
#define ENGINE_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "engine/sql_text.h"
#include "engine/op.h"

/* Of what is proposed: kept, unlike other statements that explain. */
#define CACHE_PLAN "EXPLAIN QUERY PLAN "

struct cached {
    struct list node; /* in cache.lru; alone when not kept */
    sqlite3_stmt *stmt;
    struct str key, sql; /* sql is the tail of key */
    enum sql_verb verb;
    bool counts; /* the text speaks of count( */
    bool reads;  /* sqlite3_stmt_readonly */
    bool makes_virtual_table;
    bool barrier;           /* policies decide about a row before anything else sees it */
    int conflicts, inserts; /* of rowsec.h */
    struct str written;  /* tables that it may write, each name with a NUL behind it; ptr NULL: not known */
    struct str assigned; /* of a rehearsal's: what recorder_assigns() was told; ptr NULL: not known */
    char *target;        /* the table whose rows it says it changes, while something is recorded; NULL else */
    unsigned acts;       /* enum guard_act */
    char *destroys;      /* the table of which rows or a column may go by it, NULL none */
    bool unbounded;      /* UPDATE or DELETE without WHERE */
    char *view;          /* name that CREATE VIEW makes, NULL: it is another statement */
    uint64_t schema_changes; /* the engine's when it was prepared */
    bool kept;
    unsigned users; /* tasks of this turn that hold it */
    int64_t bytes;
};

struct cache {
    struct map map;
    struct list lru; /* newest first */
    struct strbuf key;
    size_t count;
    int64_t bytes;
};

void cache_init(struct cache *c);
void cache_release(struct engine *eng);

/* Finds or prepares; pins it until cache_unpin. Refuses empty text and more than one statement. Fills err and
 * op->error_detail on failure. */
MUST_CHECK enum err_code cache_get(struct op *op, struct str sql, struct cached **ret, struct err *err);
void cache_unpin(struct engine *eng, struct cached *c);
/* Gives back all that is not pinned (the engine is idle). */
void cache_trim(struct engine *eng, size_t keep);

#endif
