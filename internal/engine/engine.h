/* The engine: the process in which one database lives. Single-threaded, sandboxed before it opens the file, told everything it
 * needs by frames: it knows neither accounts nor secrets.
 *
 *   start (zygote_main → fork) → sandbox_enter → open, recipe, `_sys_` tables → READY → turns until end of file on the socket
 *   turn: read the frames that wait → reads → one transaction with a savepoint for each write → one commit → all answers
 *
 * SQLite is opened only after the fork: the zygote must never have touched it (its global inode table would be inherited). */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/err.h"
#include "wire/board.h"

enum engine_mode {
    ENGINE_WRITER,       /* the one connection that writes and checkpoints */
    ENGINE_READER,       /* read-only beside a writer; never checkpoints */
    ENGINE_SCRATCH_MODE, /* a directory with an uploaded file: checks it and writes out/dump.sql */
};

/* What the zygote is told for each engine; plain data, checked before use. */
struct engine_config {
    uint32_t mode;           /* enum engine_mode */
    uint32_t no_sandbox;
    char dir[512];           /* absolute: the engine's whole world */
    uint64_t db_bytes_max;
    int64_t cost_request_nano, cost_read_nano, cost_write_nano;
};

/* Runs the zygote until its control socket (descriptor `control_fd`, SOCK_SEQPACKET) closes; the process's exit status.
 * Request datagram: struct engine_config with two descriptors (engine's socket end, board memfd). Answer: struct zygote_answer with
 * a pidfd. When a child ends, a struct zygote_answer with `exited` set is sent. */
struct zygote_answer {
    int32_t pid;        /* < 0: fork failed, -errno */
    uint32_t exited;    /* 1: this pid ended */
    int32_t wait_status;
};
int zygote_main(int control_fd);

/* Body of one engine process. Never returns. */
NORETURN void engine_main(const struct engine_config *cfg, int socket_fd, struct board *board);

#endif
