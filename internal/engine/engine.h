/* The engine: the process in which one database lives. Single-threaded, sandboxed before it opens the file,
 * told everything it needs by frames: it knows neither accounts nor secrets.
 *
 *   start (zygote_main → fork) → sandbox_enter → open, recipe, `_sys_` tables → READY → turns until end of
 * file on the socket turn: read the frames that wait → reads → one transaction with a savepoint for each
 * write → one commit → all answers
 *
 * SQLite is opened only after the fork: the zygote must never have touched it (its global inode table would
 * be inherited). */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/err.h"
#include "wire/board.h"
#include "wire/zygote.h"

/* Runs the zygote until its control socket (descriptor `control_fd`; protocol and exit statuses:
 * wire/zygote.h) closes; the process's exit status. */
int zygote_main(int control_fd);

struct sandbox;

/* Body of one engine process. `sandbox` NULL: none (--insecure-no-sandbox). Never returns. */
NORETURN void engine_main(
    const struct engine_config *cfg, int socket_fd, struct board *board, const struct sandbox *sandbox);

#endif
