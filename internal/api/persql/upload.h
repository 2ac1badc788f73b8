/* An uploaded file on its way from the socket to the disk: the body is asked for piece by piece, a worker
 * writes each into a file without a name, and the client waits meanwhile. So an upload costs one piece of
 * memory, and nothing is left of one that is given up. Loop thread. */
#ifndef API_PERSQL_UPLOAD_H
#define API_PERSQL_UPLOAD_H

#include "api/persql/import_format.h"
#include "api/persql/multipart.h"
#include "api/request.h"
#include "base/spool.h"

struct upload {
    struct list node;    /* api's uploads */
    struct list waiting; /* api's unwritten */
    struct api_request *r;
    enum import_format format; /* once `known` */
    bool known;
    bool parts; /* multipart/form-data */
    struct multipart multipart;
    struct str piece; /* the worker writes it */
    char first[IMPORT_FIRST_BYTES];
    size_t first_len;
    struct spool spool; /* of bytes received: spool.bytes */
    uint64_t reserved;  /* its share of the spool: what has come */
    struct err err;
    void (*done)(struct upload *u); /* the file is whole, or u->err says why not */
};

/* Looks at the head of the request alone: what can be refused before a byte is sent is refused here. To be
 * released in any case. */
MUST_CHECK enum err_code upload_init(struct upload *u, struct api_request *r, struct err *err);
void upload_receive(struct upload *u, void (*done)(struct upload *u));
/* Makes the file unless a piece has. Worker thread, as the next: they may block. */
MUST_CHECK enum err_code upload_need_file(struct upload *u, struct err *err);
void upload_release_files(struct upload *u);
void upload_release(struct upload *u);

#endif
