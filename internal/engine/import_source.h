/* What an import reads: a file in the database's directory, or the body of the call. Byte by byte, counted,
 * and from the start again. Engine's thread. */
#ifndef ENGINE_IMPORT_SOURCE_H
#define ENGINE_IMPORT_SOURCE_H

#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"

enum { IMPORT_END = -1, IMPORT_PIECE = 64 << 10 };

struct import_source {
    int fd;           /* -1: memory */
    struct str whole; /* memory */
    struct str piece; /* not yet read of what is at hand */
    char *buf;        /* IMPORT_PIECE bytes when fd >= 0 */
    uint64_t offset;  /* of the next byte */
    uint64_t line;    /* of the next byte, from 1 */
    bool failed;      /* reading the file failed: the end was not its end */
};

void import_source_memory(struct import_source *s, struct str whole);
/* Opens a regular file; never follows a link. ERR_NOT_FOUND, ERR_IO. */
MUST_CHECK enum err_code import_source_file(struct import_source *s, const char *path, struct err *err);
void import_source_release(struct import_source *s);
/* Back to the first byte, behind a byte-order mark. */
MUST_CHECK enum err_code import_source_rewind(struct import_source *s, struct err *err);

bool import_source_fill(struct import_source *s);

static inline int import_peek(struct import_source *s)
{
    if (s->piece.len == 0 && !import_source_fill(s))
        return IMPORT_END;
    return (unsigned char)s->piece.ptr[0];
}

static inline int import_next(struct import_source *s)
{
    int c = import_peek(s);
    if (c == IMPORT_END)
        return c;
    s->piece.ptr++;
    s->piece.len--;
    s->offset++;
    s->line += c == '\n';
    return c;
}

/* Takes at once what is at hand up to the byte `stop`, which is part of it; empty at the end. Valid until the
 * next call. */
struct str import_take_until(struct import_source *s, char stop);

#endif
