/* Who comes with another issuer's token (federation/issuer.h). A RUN_ABROAD handler's thread. */
#ifndef API_FOREIGN_H
#define API_FOREIGN_H

#include "api/call.h"
#include "federation/issuer.h"

/* Of the header Authorization. *ret_by is whom the log names from then on. Errors as issuer_verify;
 * ERR_UNAUTHORIZED says how to come. */
MUST_CHECK enum err_code foreign_of_header(
    struct api_call *c, struct foreign_identity *ret, struct actor *ret_by);
MUST_CHECK enum err_code foreign_of(
    struct api_call *c, struct str jwt, struct foreign_identity *ret, struct actor *ret_by);

#endif
