/* The options of `holdfast serve`, filled from the command line, the environment and the defaults. */
#ifndef CMD_HOLDFAST_SERVE_OPTIONS_H
#define CMD_HOLDFAST_SERVE_OPTIONS_H

#include "base/option.h"

struct serve_options {
    const char *data;
    struct option_address listen;
    const char *public_url;         /* NULL: made from where it listens */
    const char *tls_cert, *tls_key; /* NULL: plain HTTP */
    const char *cors_origins;       /* NULL none */
    const char *trusted_proxies;    /* NULL none */
    struct option_list trust_issuers, self_signup;
    const char *ca_file; /* NULL: the system's certificates alone */
    int64_t statement_timeout_s;
    int64_t engine_idle_s;
    int64_t undo_kept_s;
    int64_t engines_max;
    int64_t workers;
    int64_t connections_max, connections_per_ip;
    int64_t database_bytes_max;
    int64_t cost_request_nano, cost_read_nano, cost_write_nano; /* 1e-9 USD a unit */
    int signup;                                                 /* enum api_signup */
    int log_format;                                             /* enum log_format */
    int log_level;                                              /* enum log_level */
    bool insecure_no_sandbox;
    const char *email, *namespace_slug; /* of the first start alone */
};

extern const struct option_command SERVE_DESCRIBE;

#endif
