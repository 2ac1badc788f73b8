/* An app's own names for its people. Any thread. */
#ifndef API_PERSQL_SUBJECT_H
#define API_PERSQL_SUBJECT_H

#include "base/err.h"
#include "base/str.h"

/* ERR_INVALID at `pointer`: control characters, or more than `chars` characters. */
MUST_CHECK enum err_code subject_check(struct str s, size_t chars, const char *pointer, struct err *err);

#endif
