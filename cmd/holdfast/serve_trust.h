/* Trusted issuers over HTTP: composes federation/issuer.h, which knows no HTTP, with http/courier.h, which
 * knows no issuers, and logs what goes out. */
#ifndef CMD_HOLDFAST_SERVE_TRUST_H
#define CMD_HOLDFAST_SERVE_TRUST_H

#include "federation/issuer.h"
#include "http/courier.h"
#include "serve_options.h"

struct serve_trust {
    struct courier *courier; /* NULL: nothing is trusted, so nothing goes out */
    struct issuer_fetch fetch;
    struct issuers *issuers;
};

/* `t` is zeroed, and stays where it is. ERR_INVALID names the option at fault. */
MUST_CHECK enum err_code serve_trust_start(
    struct serve_trust *t, const struct serve_options *opt, struct err *err);
/* Ends every request that runs, at once. Fine when it was never started. */
void serve_trust_close(struct serve_trust *t);
void serve_trust_release(struct serve_trust *t); /* no worker is left */

#endif
