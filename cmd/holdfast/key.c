/* holdfast key replace: new keys for signing ID tokens and sessions of end users. */
#include "audit/audit.h"
#include "base/clock.h"
#include "cli.h"
#include "crypto/keyring.h"

#include <stdio.h>

struct key_options {
    const char *data;
    bool at_once;
};

#define AT(member) offsetof(struct key_options, member)

static const struct option_spec REPLACE_OPTIONS[] = {
    {.name = "data",
        .type = OPTION_TEXT,
        .offset = AT(data),
        .value = "DIR",
        .required = true,
        .help = "The data directory"},
    {.name = "at-once",
        .type = OPTION_FLAG,
        .offset = AT(at_once),
        .help =
            "A key has leaked: the new ones sign from now on, and what the old ones signed is worth nothing"},
};
static const struct option_command REPLACE = {
    .name = "key replace",
    .summary = "makes new keys that sign ID tokens",
    .about = "Makes new keys that sign ID tokens, one of each algorithm, also while the server runs. It does "
             "so by itself every "
             "90 days. The new keys are published at once and sign after a day, so that clients know them by "
             "then; the old ones are "
             "published until their last token has expired. With --at-once there is no such day. The secret "
             "behind "
             "the sessions of POST /v1/sessions is replaced as well.",
    .example = "  holdfast key replace --data ./data\n",
    .options = REPLACE_OPTIONS,
    .option_count = ARRAY_LEN(REPLACE_OPTIONS),
};

static enum err_code replace(const struct key_options *opt, struct db *db, struct err *err)
{
    struct cli_actor actor;
    const struct actor *by = cli_actor("key replace", &actor);
    enum err_code rc = audit_append(db,
        &(struct audit_event){.by = by,
            .action = AUDIT_KEYS_REPLACED,
            .target_id = S("id_token"),
            .after = AUDIT_VALUES(audit_bool("atOnce", opt->at_once))},
        err);

    return rc ? rc : keyring_replace(opt->data, clock_wall_ms(), opt->at_once, err);
}

static int run_replace(const void *values)
{
    const struct key_options *opt = values;
    struct control control;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code rc = cli_open(opt->data, DB_WRITE, &control, &db, &err);

    if (rc)
        return cli_fail(REPLACE.name, &err);
    rc = tx_begin_write(db, &err);
    if (!rc)
        rc = tx_end(db, replace(opt, db, &err), &err);
    cli_close(&control, db);
    if (rc)
        return cli_fail(REPLACE.name, &err);
    return puts(opt->at_once ? "new keys sign from now on" : "new keys are published and sign after a day") <
                   0
               ? CLI_FAILED
               : CLI_OK;
}

const struct cli_command CLI_KEY_REPLACE = {&REPLACE, sizeof(struct key_options), run_replace};
