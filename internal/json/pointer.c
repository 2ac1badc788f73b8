/* JSON pointers for error messages. */
#include "json/pointer.h"
#include "base/enc.h"

enum { POINTER_KEY_MAX = 128 };

void pointer_add_key(struct strbuf *out, struct str key)
{
    key = str_slice(key, 0, utf8_cut(key, POINTER_KEY_MAX));
    strbuf_add_char(out, '/');
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] == '~')
            strbuf_add_cstr(out, "~0");
        else if (key.ptr[i] == '/')
            strbuf_add_cstr(out, "~1");
        else
            strbuf_add_char(out, key.ptr[i]);
    }
}

void pointer_add_index(struct strbuf *out, size_t index)
{
    strbuf_add_char(out, '/');
    strbuf_add_i64(out, (int64_t)index);
}
