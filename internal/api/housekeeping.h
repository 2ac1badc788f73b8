/* What the API does by the clock: watches free disk space, empties the trash, answers "can you serve?". Loop
 * thread; the work itself runs on workers. */
#ifndef API_HOUSEKEEPING_H
#define API_HOUSEKEEPING_H

#include "api/request.h"

void housekeeping_start(struct api *api);
void housekeeping_stop(struct api *api);

/* Before the first engine: removes what uploads left behind when the server was killed. Blocks. */
MUST_CHECK enum err_code housekeeping_clean(const char *data_dir, struct err *err);

/* Runs a check unless one ran within the last second; then calls ops_readyz_answer for each request that
 * waits. */
void housekeeping_check(struct api_request *r);
void ops_readyz_answer(struct api_request *r);

#endif
