/* holdfast serve: the composition root. One struct owns every part; parts get what they need from it and know
 * nothing of each other.
 *
 *   start: options, TLS files, listening socket ─► lock ─► first start ─► control.db, recovery, clean ─►
 *   supervisor, workers, api ─► "listening on …"
 *
 *   stop: SIGTERM ─► not ready, new requests get 503 ─► 25 s to finish ─► interrupt ─► engines checkpoint
 *   and leave ─► exit 0
 *
 * A second SIGTERM ends the process at once, which is as safe as SIGKILL.
 */
#ifndef CMD_SERVE_H
#define CMD_SERVE_H

#include "api/api.h"
#include "bootstrap/bootstrap.h"
#include "serve_options.h"
#include "serve_trust.h"
#include "work/descriptors.h"
#include "work/watchdog.h"

struct server {
    const struct serve_options *opt;
    char data_dir[FS_PATH_MAX]; /* absolute */
    struct strbuf url;          /* what clients are told */
    int lock_fd;
    struct descriptor_caps caps; /* what the options ask for, as far as the system allows */
    struct control control;
    bool control_open;
    struct loop *loop;
    struct workq *workq, *passwords, *abroad;
    struct supervisor *supervisor;
    struct serve_trust trust;
    struct signup_rules self_signup;
    struct api *api;
    struct http_server *http;
    struct watchdog watchdog;
    struct loop_timer stop_timer;
    struct loop_turn log_turn; /* writes the lines of a turn together */
    int64_t stop_began_us;     /* 0: not stopping */
    int64_t flush_by_us;       /* since then; 0: answers still come */
    bool interrupted, shutting_down, engines_gone;
    bool first_start;
    struct bootstrap_result made; /* first start */
    struct secret password;       /* generated at the first start; empty when it was given */
    int exit_status;
};

/* serve_start.c: everything up to listening; on failure what was made is released by server_release(). */
MUST_CHECK enum err_code server_start(struct server *s, struct err *err);
void server_release(struct server *s);

/* serve_first.c: fills an empty data directory, and says so once the address is known. */
MUST_CHECK enum err_code server_first_start(struct server *s, struct err *err);
void server_welcome(struct server *s);

/* serve_stop.c */
void server_on_signals(struct server *s);

#endif
