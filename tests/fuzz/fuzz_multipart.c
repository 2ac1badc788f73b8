/* Uploads as strangers send them: the first byte says where the rest is split, the first line is the
 * Content-Type, the rest the body. The verdict, and the file that is found, must not depend on the split. */
#include "api/persql/import_format.h"
#include "api/persql/multipart.h"
#include "base/check.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err_code feed(struct multipart *m, struct str bytes, struct strbuf *file, struct err *err)
{
    enum err_code rc = ERR_OK;
    struct str found;
    char *exact = mem_array(bytes.len ? bytes.len : 1, 1); /* so that a sanitizer sees a read past the end */
    memcpy(exact, bytes.ptr, bytes.len);
    bytes.ptr = exact;
    while (!rc && bytes.len > 0) {
        size_t left = bytes.len;
        enum multipart_state before = m->state;
        size_t matched = m->matched;
        rc = multipart_read(m, &bytes, &found, err);
        CHECK(bytes.len < left || m->state != before || m->matched != matched);
        if (!rc)
            strbuf_add_str(file, found);
    }
    mem_free(exact);
    return rc;
}

static enum err_code whole(
    struct str body, struct str boundary, size_t split, struct strbuf *file, struct err *err)
{
    struct multipart m;
    multipart_init(&m, boundary);
    enum err_code rc = feed(&m, str_slice(body, 0, split), file, err);
    if (!rc)
        rc = feed(&m, str_slice(body, split, body.len), file, err);
    if (!rc)
        rc = multipart_end(&m, err);
    CHECK(rc == ERR_OK || (err->code == rc && err->message[0]));
    multipart_release(&m);
    return rc;
}

static void look(struct str type, struct str first)
{
    struct import_hints hints = {.content_type = type, .first = first};
    enum import_format format;
    struct err err = ERR_INIT;
    if (import_format_find(&hints, &format, &err) == ERR_OK)
        CHECK(format < IMPORT_FORMAT_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_make(data + 1, size ? size - 1 : 0), type, boundary;
    struct err err = ERR_INIT, err2 = ERR_INIT;
    if (size == 0 || !str_cut(&body, '\n', &type) || !body.ptr)
        return 0;
    look(type, str_slice(body, 0, IMPORT_FIRST_BYTES));
    if (!multipart_boundary(type, &boundary))
        return 0;
    AUTO_STRBUF one, two;
    strbuf_init(&one, size);
    strbuf_init(&two, size);
    enum err_code rc = whole(body, boundary, body.len, &one, &err);
    CHECK(whole(body, boundary, data[0], &two, &err2) == rc);
    CHECK(rc != ERR_OK || str_eq(strbuf_str(&one), strbuf_str(&two)));
    CHECK(!strbuf_failed(&one) && !strbuf_failed(&two));
    return 0;
}
