/* What crosses the zygote's control socket (SOCK_SEQPACKET), and how an engine says goodbye. Host byte order
 * and plain structs: all three processes are one binary.
 *
 *   front → zygote   struct engine_config with two descriptors: the engine's socket end, the board's memfd
 *   zygote → front   struct zygote_answer with the engine's pidfd, in the order of the requests; later, when
 * that process has ended, struct zygote_answer with `exited` set and no descriptor
 *
 * The zygote ends when the front's end closes. */
#ifndef WIRE_ZYGOTE_H
#define WIRE_ZYGOTE_H

#include "base/attr.h"

#define ENGINE_DIR_MAX 512
#define ZYGOTE_FD      3 /* where the zygote finds its control socket */

enum engine_mode {
    ENGINE_WRITER,       /* the one connection that writes and checkpoints */
    ENGINE_READER,       /* read-only beside a writer; never checkpoints */
    ENGINE_SCRATCH_MODE, /* a directory with an uploaded file: checks it and writes out/dump.sql */
};

/* What the zygote is told for each engine; plain data, checked before use. */
struct engine_config {
    uint32_t mode; /* enum engine_mode */
    uint32_t no_sandbox;
    char dir[ENGINE_DIR_MAX]; /* absolute: the engine's whole world */
    uint64_t db_bytes_max;
    int64_t cost_request_nano, cost_read_nano, cost_write_nano;
    int64_t undo_kept_ms; /* what was applied can be taken back for so long; 0: the default */
};

struct zygote_answer {
    int32_t pid;     /* < 0: fork failed, -errno */
    uint32_t exited; /* 1: this pid ended */
    int32_t wait_status;
};

/* Exit status of an engine that ends by itself. Anything else, and every signal, is a crash. */
enum engine_exit {
    ENGINE_EXIT_OK = 0,       /* end of file on the socket: checkpointed and left */
    ENGINE_EXIT_SANDBOX = 64, /* the sandbox could not be entered */
    ENGINE_EXIT_OPEN = 65,    /* the database could not be opened for another reason than these: */
    ENGINE_EXIT_CORRUPT = 66, /* it is damaged */
    ENGINE_EXIT_FULL = 67,    /* no space */
    ENGINE_EXIT_IO = 68, /* a write or an fsync failed: the file must be opened anew before it is trusted */
    ENGINE_EXIT_PROTOCOL = 69, /* the front sent what does not decode */
};

#endif
