/* See libcurl.h. */
#include "http/libcurl.h"
#include "base/check.h"
#include <dlfcn.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"

enum err_code libcurl_load(struct libcurl *ret, struct err *err)
{
    static const struct {
        const char *name;
        size_t offset;
    } CALLS[] = {
#define LIBCURL_CALL(name) {"curl_" #name, offsetof(struct libcurl, name)},
#include "http/libcurl_calls.def"
#undef LIBCURL_CALL
    };
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return err_set(err, ERR_UNAVAILABLE, "requests to other servers need " LIBRARY ": %s", dlerror());
    for (size_t i = 0; i < ARRAY_LEN(CALLS); i++) {
        void *call = dlsym(library, CALLS[i].name);
        if (!call)
            return err_set(err, ERR_UNAVAILABLE, LIBRARY " is too old: it has no %s", CALLS[i].name);
        memcpy(
            (char *)ret + CALLS[i].offset, &call, sizeof call); /* POSIX: pointers of both kinds are alike */
    }
    CHECK(ret->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    return ERR_OK;
}
