/* See subject.h. */
#include "api/persql/subject.h"

enum err_code subject_check(struct str s, size_t chars, const char *pointer, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.ptr[i];
        if (b < ' ' || b == 0x7f)
            return err_field(err, pointer, "must not hold control characters");
        count += (b & 0xc0) != 0x80; /* every byte but those that continue a character */
    }
    return count > chars ? err_field(err, pointer, "must be at most %zu characters", chars) : ERR_OK;
}
