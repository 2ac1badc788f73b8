/* One engine over a database of its own, for tests of the operations: SQL in, the JSON of `data` (or the
 * streamed body) out. */
#ifndef TESTS_LIB_OP_FIXTURE_H
#define TESTS_LIB_OP_FIXTURE_H

#include "json/jsonr.h"
#include "lib/engine_fixture.h"
#include <sqlite3.h>

struct op_fixture {
    struct engine_fixture engine;
    sqlite3 *db;        /* a connection of the test's own to the same file; NULL for a scratch engine */
    struct arena arena; /* what the last call answered; released by the next */
    struct str out;     /* the value of "data", or the streamed body; NUL-terminated */
    struct wire_reply_head head;
    struct str error;           /* of a failed call, "" none */
    enum wire_role role;        /* admin unless changed */
    struct str claims;          /* of the token, "" none */
    struct str token_id;        /* "tok_test" unless changed */
    struct str idempotency_key; /* "" none */
    const struct str *tables;   /* table scope; NULL none */
    uint16_t table_count;
    struct faultplan *plan; /* NULL none */
};

void op_fixture_init(struct op_fixture *f);
/* A throw-away engine, for checks of uploads: its directory is f->engine.dir. */
void op_fixture_init_scratch(struct op_fixture *f);
void op_fixture_release(struct op_fixture *f);
/* An engine that obeys a plan of faults (lib/faultplan.h), without a sandbox. */
struct faultplan;
void op_fixture_init_planned(struct op_fixture *f, struct faultplan *plan);
/* It has ended, or is killed now; another one starts over the same file. */
void op_fixture_again(struct op_fixture *f);

/* Runs SQL on the test's own connection, without guard and foreign keys; a failure fails the test. */
void op_fixture_sql(struct op_fixture *f, const char *sql);
/* An admin without table scope and a database without proposals, then `sql`, which makes the tables anew. */
void op_fixture_fresh(struct op_fixture *f, const char *sql);
/* The first value of the first row as text, "NULL" for NULL, "none" without a row; valid until the next call.
 */
const char *op_fixture_value(struct op_fixture *f, const char *sql);

struct op_arg {
    const char *name, *value;
};
/* Runs one operation. `args` ends with a NULL name, or is NULL. Returns the code the answer carried. */
enum err_code op_fixture_run(
    struct op_fixture *f, enum wire_op which, struct str body, const struct op_arg *args);
/* The same; fails the test unless it succeeds. */
void op_fixture_ok(struct op_fixture *f, enum wire_op which, struct str body, const struct op_arg *args);
/* The answer as JSON. */
const struct jsonr_value *op_fixture_json(struct op_fixture *f);
/* A member by a path of names and indexes, "tables/0/name"; NULL when absent. */
const struct jsonr_value *op_json_at(const struct jsonr_value *v, const char *path);
/* Its text; fails the test when it is absent or no text. */
const char *op_json_text(const struct jsonr_value *v, const char *path);
int64_t op_json_int(const struct jsonr_value *v, const char *path);

#endif
