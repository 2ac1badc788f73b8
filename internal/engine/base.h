/* What a branch began with, kept so that what it changed since can be told row by row.
 *
 * The file of a branch with rows is that state itself for as long as nothing was taken over into it from its
 * log. So the writer of such a branch makes no checkpoint until its log is worth one; then main.db is copied
 * first, a piece between two turns (the kernel shares the blocks where the file system can), and from then on
 * checkpoints go on as in every database:
 *
 *   mark "rows"    main.db without its log is the base
 *     │ log grows past a limit: main.db ─► base.db, both durable, then
 *     ▼
 *   base.kept      base.db is the base; main.db is an ordinary database
 *
 * A branch that cannot keep it (disk full) goes on without: the mark goes. A branch without rows has a base
 * without rows, and no file. Engine's thread. */
#ifndef ENGINE_BASE_H
#define ENGINE_BASE_H

#include "base/err.h"
#include "base/id.h"
#include "engine/branch_base.h"

#include <sqlite3.h>
#include <sys/types.h>

struct engine;
struct op;

enum base_kind { BASE_NONE, BASE_SCHEMA, BASE_ROWS };

/* Of a writer: part of struct engine. */
struct base_keeper {
    bool keeps; /* main.db must not be written yet */
    int to;     /* the copy that is being made; -1 none */
    off_t at;   /* bytes of main.db that it has */
};

/* Reads the mark; before the writer's connection is opened. */
void base_start(struct engine *eng);
/* May main.db be written? Makes a piece of the copy when it must not. */
bool base_allows_checkpoint(struct engine *eng);
void base_stop(struct engine *eng);

/* The base, opened for reading. */
struct base {
    enum base_kind kind;
    char id[ID_MAX]; /* "" none */
    sqlite3 *db;     /* NULL: it has no rows, or there is none */
    bool of_main;    /* it is main.db */
};

MUST_CHECK enum err_code base_open(struct op *op, struct base *ret, struct err *err);
/* Was what was read the base all the time? false: it moved to its own file meanwhile; open and read again. */
bool base_stood(struct op *op, const struct base *b);
void base_close(struct base *b);

#endif
