/* When tokens were last used: gathered on the loop, written to control.db once a minute, so that no request
 * pays for it. A use is noted when a bearer is looked up, which happens every GENERATION_TRUST_MS while it is
 * in use. Loop thread; the writing runs on a worker. */
#ifndef API_LAST_USED_H
#define API_LAST_USED_H

#include "base/id.h"
#include "base/map.h"
#include "work/loop.h"

struct api;

struct last_used {
    struct api *api;
    struct map times; /* token id → heap int64_t, wall-clock ms */
    struct loop_timer timer;
};

void last_used_init(struct last_used *u, struct api *api);
void last_used_release(struct last_used *u);
void last_used_note(struct last_used *u, const struct id *token_id);
/* Hands what was gathered to a worker now: before the server leaves. */
void last_used_save(struct last_used *u);

#endif
