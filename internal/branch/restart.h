/* A branch that is restored from a snapshot of its own still began with what it began with (engine/base.h):
 * the restored file is one more change since. So the base goes along, in two halves as a restore does
 * (branch/snapshot.h); what was merged since goes along when the files are exchanged (registry/). A snapshot
 * from before the branch was made anew began with something else: then it is forgotten what the branch began
 * with. Worker thread. */
#ifndef BRANCH_RESTART_H
#define BRANCH_RESTART_H

#include "registry/registry.h"

/* Beside the files of a snapshot of `created_at` that are staged as `copy_id`. What cannot be kept is not
 * kept: a restore does not fail for that. */
void restart_stage(
    const char *data_dir, const struct registry_entry *e, int64_t created_at, const struct id *copy_id);
/* On the lane that writes, just before the exchange: the branch was not made anew meanwhile, or it is
 * forgotten. */
MUST_CHECK enum err_code restart_check(
    const char *data_dir, const struct id *database, const struct id *copy_id, struct err *err);

#endif
