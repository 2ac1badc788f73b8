/* The stored policies of row-level security. Whatever changes one makes everybody's shadows be built anew.
 * Inside of an operation, on the connection of an admin. */
#ifndef ENGINE_POLICY_STORE_H
#define ENGINE_POLICY_STORE_H

#include "engine/catalog.h"

struct policy {
    struct str id, name, table, command;
    struct str using, check; /* ptr NULL: none */
    int64_t roles, created_ms, updated_ms;
    bool enabled;
};

/* All of them, in the order they were made; texts are the call's memory. */
MUST_CHECK enum err_code policy_list(struct op *op, sqlite3_stmt **ret, struct err *err);
MUST_CHECK enum err_code policy_next(
    struct op *op, sqlite3_stmt *stmt, bool *ret_found, struct policy *ret, struct err *err);
/* The tables whose row security is on. */
MUST_CHECK enum err_code policy_secured(struct op *op, sqlite3_stmt **ret, struct err *err);
MUST_CHECK enum err_code policy_secured_next(
    struct op *op, sqlite3_stmt *stmt, bool *ret_found, struct str *ret, struct err *err);

MUST_CHECK enum err_code policy_get(struct op *op, struct str id, struct policy *ret, struct err *err);
/* ERR_CONFLICT: the table has another of its name, or there are too many. */
MUST_CHECK enum err_code policy_check_free(struct op *op, const struct policy *p, struct err *err);
MUST_CHECK enum err_code policy_put(struct op *op, const struct policy *p, struct err *err);
MUST_CHECK enum err_code policy_delete(struct op *op, struct str id, struct err *err);
MUST_CHECK enum err_code policy_switch(struct op *op, struct str table, bool on, struct err *err);

#endif
