/* Parameters of the authorization server: read strictly from a form's body, written into addresses. Worker
 * thread. */
#ifndef API_OAUTH_FORM_H
#define API_OAUTH_FORM_H

#include "api/call.h"
#include "oauth/oauth.h"

#define FORM_BYTES_MAX (16 << 10)

/* The body as application/x-www-form-urlencoded; refused with invalid_request: another content type, a
 * parameter twice, bad escapes, no UTF-8, too long. */
MUST_CHECK enum err_code form_read(struct api_call *c, struct query *ret, struct refusal *no);
/* The same where nothing may be in the address: a secret there ends up in logs. */
MUST_CHECK enum err_code form_read_alone(struct api_call *c, struct query *ret, struct refusal *no);

/* Appends "name=value&", percent-encoded. */
void form_add(struct strbuf *out, const char *name, struct str value);

/* The same for a name of others. */
void form_add_pair(struct strbuf *out, struct str name, struct str value);

/* One value in that encoding, for credentials in a Basic header. false: bad. */
MUST_CHECK bool form_decode(struct arena *a, struct str text, struct str *ret);

#endif
