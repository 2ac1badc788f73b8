/* Uploads as strangers send them: the first line is the Content-Type, the rest the body. What is found must
 * lie inside the body. */
#include "api/persql/import_format.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = str_make(data, size), type;
    struct import_upload upload;
    struct err err = ERR_INIT;
    if (!str_cut(&body, '\n', &type) || !body.ptr)
        return 0;
    if (import_read(type, (struct str){NULL, 0}, body, &upload, &err)) {
        CHECK(err.code != ERR_OK && err.message[0]);
        return 0;
    }
    CHECK(upload.bytes.ptr >= body.ptr && upload.bytes.ptr + upload.bytes.len <= body.ptr + body.len);
    CHECK(upload.format < IMPORT_FORMAT_COUNT && upload.bytes.len > 0);
    return 0;
}
