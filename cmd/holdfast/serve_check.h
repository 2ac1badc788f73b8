/* What options of `holdfast serve` mean together and outside: files that can be read, addresses that clients
 * can use. Messages name the option and what was given. Before anything is started. */
#ifndef CMD_SERVE_CHECK_H
#define CMD_SERVE_CHECK_H

#include "base/err.h"
#include "serve_options.h"

MUST_CHECK enum err_code serve_check(const struct serve_options *opt, struct err *err);

/* Puts option and value in front of what the HTTP server said when it did not start. Returns `code`. */
enum err_code serve_explain(const struct serve_options *opt, enum err_code code, struct err *err);

#endif
