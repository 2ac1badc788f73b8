/* JSON pointers (RFC 6901) for error messages. Any thread. */
#ifndef JSON_POINTER_H
#define JSON_POINTER_H

#include "base/strbuf.h"

#define POINTER_TEXT_MAX 16384 /* 32 levels of keys that are cut; err_field cuts the whole once more */

void pointer_add_key(
    struct strbuf *out, struct str key); /* "/" and the key, ~ and / escaped, long keys cut */
void pointer_add_index(struct strbuf *out, size_t index);

#endif
