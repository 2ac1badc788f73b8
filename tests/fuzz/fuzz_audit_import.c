/* Exports of the audit log from strangers: any lines end in an error, in findings or in a proof, and what is
 * counted fits. */
#include "audit/ndjson.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_chain(void *arg, const struct audit_chain_report *report)
{
    int64_t *broken = arg;

    CHECK(report->rows >= report->signed_seq && report->signed_seq >= 0);
    *broken += report->finding != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t broken = 0;
    const struct audit_keys none = {.count = 0};
    struct audit_verify_options opt = {.keys = &none, .on_chain = on_chain, .arg = &broken};
    struct audit_verify_result result;
    struct audit_import in;
    struct err err = ERR_INIT;
    struct str text = str_make(data, size), line;
    enum err_code code = ERR_OK;

    audit_import_init(&in, &opt, &result);
    while (!code && text.len && str_cut(&text, '\n', &line))
        code = audit_import_line(&in, line, &err);
    if (!code)
        code = audit_import_end(&in, &err);
    CHECK(!code || (code == ERR_INVALID && err.message[0]));
    CHECK(result.broken == broken && result.rows >= result.unsigned_rows);
    CHECK(code || result.chains > 0);
    return 0;
}
