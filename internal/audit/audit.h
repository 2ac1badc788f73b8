/* The audit log: who changed what, when, and what it was before. Every change of control state calls
 * audit_append inside its own transaction, so that neither can exist without the other. Rows are chained by
 * hashes, one chain for each namespace and one for the server (chain.h says how, and what that proves).
 *
 *     return audit_append(db, &(struct audit_event){.by = by, .action = AUDIT_TOKEN_CREATED, .namespace_id =
 * &ns, .target_id = id_str(&id), .target_name = name, .after = AUDIT_VALUES(audit_text("role", role),
 * audit_time("expiresAt", at))}, err);
 *
 * Kinds of event are rows of policy/audit.def. Worker thread. */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include "audit/actor.h"
#include "base/err.h"
#include "sqlite/db.h"

#define AUDIT_TEXT_MAX  200 /* bytes of any one text in a row: longer ones are cut */
#define AUDIT_ITEMS_MAX 32  /* of a list; the last one then says how many more there were */
#define AUDIT_SERVER    "server"

enum audit_action {
#define AUDIT(id, chain, action, target, text) AUDIT_##id,
#include "audit.def"
#undef AUDIT
    AUDIT_ACTION_COUNT
};

enum audit_scope { AUDIT_SCOPE_NAMESPACE, AUDIT_SCOPE_SERVER };

struct audit_action_row {
    enum audit_scope scope;
    const char *action; /* "token.created" */
    const char *target; /* "token" */
    const char *text;
};

extern const struct audit_action_row audit_actions[AUDIT_ACTION_COUNT];

/* --- What it was and what it became --- */

enum audit_value_kind {
    AUDIT_VALUES_END,
    AUDIT_VALUE_TEXT,
    AUDIT_VALUE_INT,
    AUDIT_VALUE_TIME,
    AUDIT_VALUE_BOOL,
    AUDIT_VALUE_LIST,
    AUDIT_VALUE_NULL
};

/* Never a secret, a hash of one or a person's data: rows cannot be removed. */
struct audit_value {
    enum audit_value_kind kind;
    const char *name;
    struct str text;
    int64_t num;
    const struct str *items;
    size_t count;
};

static inline struct audit_value audit_text(const char *name, struct str text)
{
    return (struct audit_value){.kind = AUDIT_VALUE_TEXT, .name = name, .text = text};
}
static inline struct audit_value audit_int(const char *name, int64_t num)
{
    return (struct audit_value){.kind = AUDIT_VALUE_INT, .name = name, .num = num};
}
static inline struct audit_value audit_bool(const char *name, bool yes)
{
    return (struct audit_value){.kind = AUDIT_VALUE_BOOL, .name = name, .num = yes};
}
static inline struct audit_value audit_null(const char *name)
{
    return (struct audit_value){.kind = AUDIT_VALUE_NULL, .name = name};
}
static inline struct audit_value audit_text_or_null(const char *name, struct str text) /* "" is null */
{
    return text.len ? audit_text(name, text) : audit_null(name);
}
static inline struct audit_value audit_time(const char *name, int64_t wall_ms) /* ISO text; 0 is null */
{
    return (struct audit_value){
        .kind = wall_ms ? AUDIT_VALUE_TIME : AUDIT_VALUE_NULL, .name = name, .num = wall_ms};
}
static inline struct audit_value audit_list(const char *name, const struct str *items, size_t count)
{
    return (struct audit_value){.kind = AUDIT_VALUE_LIST, .name = name, .items = items, .count = count};
}

#define AUDIT_VALUES(...) ((const struct audit_value[]){__VA_ARGS__, {.kind = AUDIT_VALUES_END}})

struct audit_event {
    const struct actor *by;
    enum audit_action action;
    const struct id *namespace_id; /* NULL for the actions of the server's chain */
    struct str target_id, target_name;
    const struct audit_value *before, *after; /* AUDIT_VALUES(…), NULL nothing to say */
};

/* Inside the write transaction of the change itself; fails as any statement does, and the change with it. */
MUST_CHECK enum err_code audit_append(struct db *db, const struct audit_event *event, struct err *err);

#endif
