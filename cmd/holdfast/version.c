/* holdfast version: what this program is made of. */
#include "cli.h"
#include "crypto/digest.h"
#include "work/loop.h"

struct version_options {
    bool json;
};

static const struct option_spec OPTIONS[] = {
    CLI_OPTION_JSON(struct version_options, "Prints one object, for scripts"),
};
static const struct option_command DESCRIBE = {
    .name = "version",
    .summary = "prints the versions of Holdfast and of the libraries it runs with",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

static int run(const void *values)
{
    const struct version_options *o = values;
    const struct {
        const char *name, *version;
    } parts[] = {
        {"holdfast", HF_VERSION},
        {"sqlite", db_library_version()},
        {"libevent", loop_library_version()},
        {"openssl", digest_library_version()},
    };
    AUTO_STRBUF out;
    struct jsonw w;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    jsonw_init(&w, &out);
    if (o->json)
        jsonw_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (o->json)
            JSONW_CSTR(&w, parts[i].name, parts[i].version);
        else
            strbuf_addf(&out, "%-9s %s\n", parts[i].name, parts[i].version);
    }
    if (o->json) {
        jsonw_object_end(&w);
        strbuf_add_char(&out, '\n');
    }
    return cli_print(DESCRIBE.name, &out);
}

const struct cli_command CLI_VERSION = {&DESCRIBE, sizeof(struct version_options), run};
