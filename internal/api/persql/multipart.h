/* The one field of a multipart/form-data body that an import needs, read as the body comes in, in pieces of
 * any size. Strict: a body that two readers could understand differently is refused. Any thread, one at a
 * time. */
#ifndef API_PERSQL_MULTIPART_H
#define API_PERSQL_MULTIPART_H

#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046 */

enum multipart_state {
    MULTIPART_PREAMBLE,
    MULTIPART_AFTER, /* behind a delimiter */
    MULTIPART_HEAD,
    MULTIPART_FILE,
    MULTIPART_SKIPPED, /* inside a part of another name */
    MULTIPART_END,
    MULTIPART_BAD,
};

struct multipart {
    enum multipart_state state;
    char delimiter[MULTIPART_BOUNDARY_MAX + 4];
    size_t delimiter_len, matched; /* bytes of it that the last piece ended with */
    char after[2];
    size_t after_len;
    unsigned parts;
    struct strbuf head; /* of the part being read */
    /* Of the file, from the first of its bytes on. */
    bool found;
    char filename[128]; /* as the client wrote it, cut; never used as a path. "" none */
    char content_type[128];
};

/* Boundary of a Content-Type value; false when it is no multipart/form-data or the boundary is missing or
 * malformed. */
MUST_CHECK bool multipart_boundary(struct str content_type, struct str *ret_boundary);

void multipart_init(struct multipart *m, struct str boundary);
void multipart_release(struct multipart *m);
/* Reads on from the front of *in, which is not empty; call until it is. *ret_file: the next bytes of the part
 * named "file", valid as long as the input and `m`; often empty. ERR_INVALID: malformed, or two such parts.
 */
MUST_CHECK enum err_code multipart_read(
    struct multipart *m, struct str *in, struct str *ret_file, struct err *err);
/* The body is over. ERR_INVALID: it is cut short, or had no such part. */
MUST_CHECK enum err_code multipart_end(struct multipart *m, struct err *err);

#endif
