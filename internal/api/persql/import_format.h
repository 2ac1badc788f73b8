/* What an uploaded body is: its bytes, and which format they claim to be. Any thread. */
#ifndef API_PERSQL_IMPORT_FORMAT_H
#define API_PERSQL_IMPORT_FORMAT_H

#include "base/err.h"
#include "base/str.h"

enum import_format { IMPORT_SQL, IMPORT_SQLITE, IMPORT_CSV, IMPORT_NDJSON, IMPORT_FORMAT_COUNT };

struct import_upload {
    struct str bytes; /* view into the body */
    enum import_format format;
};

const char *import_format_name(
    enum import_format format); /* "sql": as in ?format= and in the engine's arguments */

/* `content_type` and `format` (of the URL) may have ptr NULL. The URL wins over the part's or the request's
 * content type, that over the part's file name, that over a look at the first bytes. ERR_MEDIA_TYPE when none
 * of them tells. */
MUST_CHECK enum err_code import_read(
    struct str content_type, struct str format, struct str body, struct import_upload *ret, struct err *err);

#endif
