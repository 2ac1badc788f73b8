/* Names of the methods that exist here. */
#include "base/check.h"
#include "http/http.h"

static const char *const NAMES[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = "GET",
    [HTTP_HEAD] = "HEAD",
    [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH",
    [HTTP_DELETE] = "DELETE",
    [HTTP_OPTIONS] = "OPTIONS",
};

const char *http_method_name(enum http_method m)
{
    CHECK((unsigned)m < HTTP_METHOD_COUNT);
    return NAMES[m];
}
