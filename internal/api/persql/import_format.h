/* What an uploaded file claims to be. Any thread. */
#ifndef API_PERSQL_IMPORT_FORMAT_H
#define API_PERSQL_IMPORT_FORMAT_H

#include "base/err.h"
#include "base/str.h"

enum import_format { IMPORT_SQL, IMPORT_SQLITE, IMPORT_CSV, IMPORT_NDJSON, IMPORT_FORMAT_COUNT };

#define IMPORT_FIRST_BYTES 16 /* as many of a file's bytes tell what it is */

/* What there is to go by; ptr NULL or empty: nothing. */
struct import_hints {
    struct str url; /* ?format= */
    struct str content_type, filename;
    struct str first; /* IMPORT_FIRST_BYTES, or fewer of a shorter file */
};

const char *import_format_name(
    enum import_format format); /* "sql": as in ?format= and in the engine's arguments */

/* The URL wins over the content type, that over the file's name, that over its first bytes. ERR_MEDIA_TYPE
 * when none of them tells. */
MUST_CHECK enum err_code import_format_find(
    const struct import_hints *h, enum import_format *ret, struct err *err);
/* Do the first bytes look like that? */
MUST_CHECK enum err_code import_format_check(enum import_format format, struct str first, struct err *err);

#endif
