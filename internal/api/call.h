/* What a RUN_WORKER handler is given. It runs whole on one worker thread and writes the value of "data" (or,
 * on error, returns with `err` filled). It touches neither the loop nor the HTTP request. */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/route.h"
#include "audit/actor.h"
#include "http/query.h"
#include "json/jsonw.h"
#include "registry/registry.h"
#include "token/token.h"

struct api_call {
    struct db *db; /* control.db, this worker's */
    const struct registry_disk *disk;
    const struct identity *who;
    const struct actor *by; /* the same, for what changes state */
    struct str db_slug;     /* {db} of the path */
    const struct query *args;
    struct str body;
    struct arena *arena;
    struct jsonw *out;
    struct err *err;
};

#endif
