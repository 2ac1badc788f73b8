/* libcurl, loaded when something goes out for the first time. It brings some thirty libraries along; linked
 * in, they would be in every engine too, which may call none of them: 90 KB more of memory each, and much
 * more code inside the walls. Any thread; what was loaded stays. */
#ifndef HTTP_LIBCURL_H
#define HTTP_LIBCURL_H

#include "base/err.h"

#define CURL_DISABLE_TYPECHECK /* it wants functions, not pointers to them */
#include <curl/curl.h>

struct libcurl {
#define LIBCURL_CALL(name) __typeof__(curl_##name) *name;
#include "http/libcurl_calls.def"
#undef LIBCURL_CALL
};

/* ERR_UNAVAILABLE: it is not installed, or too old. */
MUST_CHECK enum err_code libcurl_load(struct libcurl *ret, struct err *err);

#endif
