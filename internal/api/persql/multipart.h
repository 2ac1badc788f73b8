/* The one field of a multipart/form-data body that an import needs. Strict: a body that two readers could
 * understand differently is refused. The file is a view into the body. Any thread. */
#ifndef API_PERSQL_MULTIPART_H
#define API_PERSQL_MULTIPART_H

#include "base/err.h"
#include "base/str.h"

struct multipart_file {
    struct str bytes;
    struct str filename;     /* "" none; as the client wrote it, never used as a path */
    struct str content_type; /* "" none */
};

/* Boundary of a Content-Type value; false when it is no multipart/form-data or the boundary is missing or
 * malformed. */
MUST_CHECK bool multipart_boundary(struct str content_type, struct str *ret_boundary);

/* Finds the part named "file". Other parts are skipped. ERR_INVALID: malformed, no such part, or two of them.
 */
MUST_CHECK enum err_code multipart_file(
    struct str body, struct str boundary, struct multipart_file *ret, struct err *err);

#endif
