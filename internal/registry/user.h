/* Databases of the people of an app: one for each subject, which is the app's own name for a person. Making
 * one has two halves, so that nobody is given a database whose template is not there yet:
 *
 *     none ──registry_user_open──► being made ──registry_user_ready──► ready
 *                                      └── after a minute whoever asks next begins anew
 *
 * Worker thread. */
#ifndef REGISTRY_USER_H
#define REGISTRY_USER_H

#include "registry/registry.h"

/* Finds the subject's database, or makes it (*ret_made): it is empty then, and the caller fills it and calls
 * registry_user_ready(). Opens its own transactions. ERR_BUSY another request is making it. */
MUST_CHECK enum err_code registry_user_open(struct db *db, const struct registry_disk *disk,
    const struct actor *by, const struct id *namespace_id, struct str subject, struct registry_entry *ret,
    bool *ret_made, struct err *err);

/* Inside a write transaction. */
MUST_CHECK enum err_code registry_user_ready(struct db *db, const struct id *database_id, struct err *err);

#endif
