/* A dump as SQL text, as `sqlite3 .dump` writes it: one statement a line, inside one transaction with foreign
 * keys off. Engine's thread. */
#ifndef ENGINE_DUMP_SQL_H
#define ENGINE_DUMP_SQL_H

#include "engine/dump.h"
#include "engine/sink.h"

/* How a line begins that tells what the dump could not hold. */
#define DUMP_NOTE "-- note: "
/* … and one with what somebody wrote about a table. */
#define DUMP_DESCRIPTION "-- description: "
/* … with a policy, and a table whose row security is on. */
#define DUMP_POLICY       "-- policy: "
#define DUMP_ROW_SECURITY "-- row security: "

struct dump_sql {
    struct sink *out;
    struct arena *arena;
    struct str into; /* of the rows that come */
    int columns;
};

struct dump_sink dump_sql_sink(struct dump_sql *s);
/* The lines before and after what dump_run() writes. */
void dump_sql_open(struct dump_sql *s);
void dump_sql_close(struct dump_sql *s);

#endif
