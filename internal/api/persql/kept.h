/* What routes of snapshots and of archives ask alike: both keep a whole database, under a label. */
#ifndef API_PERSQL_KEPT_H
#define API_PERSQL_KEPT_H

#include "api/request.h"
#include "json/jsonr.h"

/* All rows are in it: neither a table scope nor claims. `what`: "A snapshot". */
MUST_CHECK enum err_code kept_check_caller(const struct identity *who, const char *what, struct err *err);
/* The JSON body of a flow; where none may be sent `empty` is NULL, else what is said then. */
MUST_CHECK enum err_code kept_read_body(struct api_request *r, const struct jsonr_field *fields, size_t count,
    const char *empty, void *out, struct err *err);
MUST_CHECK enum err_code kept_check_label(struct str label, struct err *err);

#endif
