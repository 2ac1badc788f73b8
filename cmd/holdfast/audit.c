/* holdfast audit verify, audit export: prove and hand out the audit log, from a data directory, a copy of it
 * or an export. Nothing is written there, and no server need run. */
#include "audit/ndjson.h"
#include "audit/receipt.h"
#include "base/check.h"
#include "base/clock.h"
#include "cli.h"
#include "tenant/tenant.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audit_options {
    const char *data, *file, *namespace_slug, *public_key, *checkpoint, *receipt;
    bool json;
    int format;
};

#define AT(member) offsetof(struct audit_options, member)

static const struct option_spec VERIFY_OPTIONS[] = {
    {.name = "data",
        .type = OPTION_TEXT,
        .offset = AT(data),
        .value = "DIR",
        .help = "A data directory or a copy of one: its control.db, audit.pub and audit.head are read"},
    {.name = "file",
        .type = OPTION_TEXT,
        .offset = AT(file),
        .value = "FILE",
        .help = "An export in place of a data directory; - is standard input. It needs --public-key"},
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .help = "Only the rows of this namespace, by its slug or its id; without it all, the server's too"},
    {.name = "public-key",
        .type = OPTION_TEXT,
        .offset = AT(public_key),
        .value = "FILE",
        .help =
            "The public key as PEM; audit.pub of the data directory without it. A key kept elsewhere also "
            "tells when both keys were replaced"},
    {.name = "checkpoint",
        .type = OPTION_TEXT,
        .offset = AT(checkpoint),
        .value = "N:HASH",
        .help = "A checkpoint noted earlier, by this command or in the server's log: it must still be there"},
    {.name = "receipt",
        .type = OPTION_TEXT,
        .offset = AT(receipt),
        .value = "FILE",
        .help =
            "The receipt of an approval, as downloaded: each of its events must stand in the log as it says"},
    CLI_OPTION_JSON(struct audit_options, "Prints one object with the findings, for scripts"),
};
static const struct option_command VERIFY = {
    .name = "audit verify",
    .summary = "proves that nobody edited the audit log, or names the first row",
    .about =
        "Reads every row of the audit log, in a data directory (also while its server runs), in a copy that "
        "may be "
        "read-only, or in an export, and checks the chain of hashes and the signatures over it. It ends with "
        "1 and "
        "names the first broken row of each chain when a row was changed, removed, inserted or moved, or a "
        "checkpoint was. It needs the public key alone. What no check can find: rows newer than the last "
        "checkpoint "
        "of their chain that were rewritten as a whole, and a control.db put back to an older copy together "
        "with "
        "audit.head; for that, keep the checkpoint that this command prints, and pass it with --checkpoint "
        "later.",
    .example = "  holdfast audit verify --data ./data\n"
               "  holdfast audit verify --file acme.ndjson --public-key audit.pub\n"
               "  holdfast audit verify --data ./data --receipt receipt.json\n",
    .options = VERIFY_OPTIONS,
    .option_count = ARRAY_LEN(VERIFY_OPTIONS),
};

static const struct option_spec EXPORT_OPTIONS[] = {
    {.name = "data",
        .type = OPTION_TEXT,
        .offset = AT(data),
        .value = "DIR",
        .required = true,
        .help = "A data directory or a copy of one"},
    {.name = "namespace",
        .type = OPTION_TEXT,
        .offset = AT(namespace_slug),
        .value = "SLUG",
        .help = "Only the rows of this namespace, by its slug or its id; without it all, the server's too"},
    {.name = "format",
        .type = OPTION_CHOICE,
        .offset = AT(format),
        .value = "FORMAT",
        .fallback = "ndjson",
        .choices = "ndjson",
        .help = "ndjson: one JSON object a line, rows and signatures, which `audit verify --file` proves"},
};
static const struct option_command EXPORT = {
    .name = "audit export",
    .summary = "prints the audit log with its signatures",
    .about = "Prints the audit log, oldest first, as it stands: exporting does not verify. The lines carry "
             "the hashes "
             "and signatures, so that `holdfast audit verify --file` proves them wherever they went.",
    .example = "  holdfast audit export --data ./data --namespace acme >acme.ndjson\n",
    .options = EXPORT_OPTIONS,
    .option_count = ARRAY_LEN(EXPORT_OPTIONS),
};

/* --- Which chain --- */

static enum err_code find_chain(
    struct db *db, const char *wanted, struct tenant *room, struct str *ret, struct err *err)
{
    *ret = str_of(wanted);
    if (!ret->len || id_valid(*ret, "ns")) /* by its id, where its namespace is gone */
        return ERR_OK;
    enum err_code code = tenant_get(db, *ret, room, err);
    *ret = id_str(&room->id);
    return code;
}

/* --- verify: what it says --- */

struct verdict {
    const struct audit_options *o;
    struct db *db; /* NULL: an export */
    struct strbuf out;
    struct jsonw json;
    struct receipt_check receipt; /* with --receipt */
};

/* "acme", or "" where nobody knows. */
static struct str slug_of(struct db *db, const char *chain, char room[SLUG_SIZE])
{
    bool known = db && audit_chain_slug(db, str_of(chain), room, NULL) == ERR_OK;

    return known ? str_of(room) : STR_EMPTY;
}

static void write_finding(struct verdict *v, const struct audit_finding *f, struct str slug)
{
    struct jsonw *w = &v->json;

    jsonw_object(w);
    JSONW_CSTR(w, "chain", f->chain[0] ? f->chain : NULL);
    JSONW_CSTR(w, "namespace", slug.len ? slug.ptr : NULL);
    jsonw_key(w, "seq");
    if (f->seq)
        jsonw_int(w, f->seq);
    else
        jsonw_null(w);
    cli_json_time(w, "at", f->at_ms);
    jsonw_key(w, "checkpoint");
    if (f->checkpoint)
        jsonw_int(w, f->checkpoint);
    else
        jsonw_null(w);
    JSONW_CSTR(w, "what", f->what);
    jsonw_object_end(w);
}

static void say_finding(struct verdict *v, const struct audit_finding *f, struct str slug)
{
    char at[CLOCK_ISO_MAX];

    if (slug.len)
        strbuf_addf(&v->out, STR_FMT " (%s)", STR_ARG(slug), f->chain);
    else
        strbuf_add_cstr(&v->out, f->chain[0] ? f->chain : "checkpoints");
    if (f->seq)
        strbuf_addf(&v->out, ", row %lld", (long long)f->seq);
    if (f->at_ms) {
        clock_iso(f->at_ms, at);
        strbuf_addf(&v->out, ", %s", at);
    }
    strbuf_addf(&v->out, ": %s\n", f->what);
}

static void on_chain(void *arg, const struct audit_chain_report *report)
{
    char room[SLUG_SIZE];
    struct verdict *v = arg;

    if (!report->finding)
        return;
    struct str slug = slug_of(v->db, report->chain, room);
    if (v->o->json)
        write_finding(v, report->finding, slug);
    else
        say_finding(v, report->finding, slug);
}

static void begin_verdict(struct verdict *v)
{
    strbuf_init(&v->out, CLI_OUTPUT_BYTES);
    jsonw_init(&v->json, &v->out);
    if (!v->o->json)
        return;
    jsonw_object(&v->json);
    jsonw_key(&v->json, "findings");
    jsonw_array(&v->json);
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static void say_totals(struct verdict *v, const struct audit_verify_result *r, const char *newest)
{
    if (r->broken)
        strbuf_addf(
            &v->out, "The audit log is broken: %lld finding%s.\n", (long long)r->broken, plural(r->broken));
    else
        strbuf_addf(&v->out, "The audit log is whole: %lld row%s in %lld chain%s, %lld checkpoint%s.\n",
            (long long)r->rows, plural(r->rows), (long long)r->chains, plural(r->chains),
            (long long)r->checkpoints, plural(r->checkpoints));
    if (newest)
        strbuf_addf(&v->out, "Newest checkpoint, to be kept elsewhere: %s\n", newest);
    if (r->unsigned_rows)
        strbuf_addf(&v->out,
            "Newer than the last checkpoint of their chain: %lld row%s; rewriting all of them would not be "
            "found.\n",
            (long long)r->unsigned_rows, plural(r->unsigned_rows));
}

static void write_totals(struct verdict *v, const struct audit_verify_result *r, const char *newest)
{
    struct jsonw *w = &v->json;

    jsonw_array_end(w);
    JSONW_BOOL(w, "whole", r->broken == 0);
    JSONW_INT(w, "chains", r->chains);
    JSONW_INT(w, "rows", r->rows);
    JSONW_INT(w, "unsignedRows", r->unsigned_rows);
    JSONW_INT(w, "checkpoints", r->checkpoints);
    JSONW_CSTR(w, "newestCheckpoint", newest);
    jsonw_object_end(w);
    strbuf_add_char(&v->out, '\n');
}

/* --- verify: a receipt beside the log --- */

static enum err_code read_receipt(struct verdict *v, struct audit_verify_options *opt, struct err *err)
{
    AUTO_STRBUF text;

    strbuf_init(&text, RECEIPT_BYTES_MAX);
    if (!v->o->receipt)
        return ERR_OK;
    enum err_code code = fs_read_all(v->o->receipt, RECEIPT_BYTES_MAX, &text, err);
    if (!code)
        code = receipt_check_init(&v->receipt, str_trim(strbuf_str(&text)), err);
    opt->on_row = receipt_check_row;
    opt->row_arg = &v->receipt;
    return code;
}

static void check_receipt(struct verdict *v, struct audit_verify_result *r)
{
    struct audit_finding f = {
        .what = "the receipt is not what the log says: an event of it was changed, added or left out"};

    if (!v->o->receipt)
        return;
    if (!receipt_check_end(&v->receipt)) {
        str_print_cut(f.chain, sizeof f.chain, STR_FMT, STR_ARG(v->receipt.chain));
        on_chain(v, &(struct audit_chain_report){.finding = &f});
        r->broken++;
    } else if (!v->o->json) {
        strbuf_addf(&v->out, "The receipt of " STR_FMT " is true: %zu event%s, and %zu newer in the log.\n",
            STR_ARG(str_slice(v->receipt.approval, 0, 80)), v->receipt.wanted,
            plural((int64_t)v->receipt.wanted), v->receipt.newer);
    }
}

static int end_verdict(struct verdict *v, const struct audit_verify_result *r)
{
    char newest[AUDIT_HEAD_SIZE];

    audit_head_text(&r->newest, newest);
    (v->o->json ? write_totals : say_totals)(v, r, r->newest.number ? newest : NULL);
    int status = cli_print(VERIFY.name, &v->out);
    return status == CLI_OK && r->broken ? CLI_FAILED : status;
}

/* --- verify: what it reads --- */

static enum err_code read_known(const struct audit_options *o, struct audit_head *ret, struct err *err)
{
    *ret = (struct audit_head){.number = 0};
    if (o->checkpoint && !audit_head_parse(str_of(o->checkpoint), ret))
        return err_set(err, ERR_INVALID, "--checkpoint must look like 57:<64 hexadecimal digits>");
    return o->checkpoint || !o->data ? ERR_OK : audit_head_read(o->data, ret, err);
}

static enum err_code read_keys(const struct audit_options *o, struct audit_keys *ret, struct err *err)
{
    char path[FS_PATH_MAX];

    if (o->public_key)
        return audit_keys_load(o->public_key, ret, err);
    fs_join(path, o->data, AUDIT_PUBLIC_FILE);
    return audit_keys_load(path, ret, err);
}

static enum err_code verify_data(const struct verdict *v, const struct audit_verify_options *all,
    struct audit_verify_result *r, struct err *err)
{
    struct audit_verify_options opt = *all;
    struct tenant room;
    enum err_code code = find_chain(v->db, v->o->namespace_slug, &room, &opt.chain, err);

    return code ? code : audit_verify_db(v->db, &opt, r, err);
}

static enum err_code verify_lines(
    FILE *from, const struct audit_verify_options *opt, struct audit_verify_result *r, struct err *err)
{
    struct audit_import in;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    enum err_code code = ERR_OK;

    audit_import_init(&in, opt, r);
    while (!code && (len = getline(&line, &room, from)) > 0) {
        if (len > AUDIT_LINE_MAX)
            code = err_set(err, ERR_INVALID, "a line is longer than any of an export");
        else
            code = audit_import_line(&in, str_trim(str_make(line, (size_t)len)), err);
    }
    free(line);
    if (!code && ferror(from))
        code = err_errno(err, ERR_IO, "reading the export");
    return code ? code : audit_import_end(&in, err);
}

static enum err_code verify_file(
    const char *name, const struct audit_verify_options *opt, struct audit_verify_result *r, struct err *err)
{
    if (strcmp(name, "-") == 0)
        return verify_lines(stdin, opt, r, err);
    FILE *from = fopen(name, "re");
    if (!from)
        return err_errno(err, ERR_IO, "opening the export");
    enum err_code code = verify_lines(from, opt, r, err);
    (void)fclose(from); /* only read */
    return code;
}

static enum err_code check_verify(const struct audit_options *o, struct err *err)
{
    if (!o->data == !o->file)
        return err_set(err, ERR_INVALID, "give either --data or --file");
    if (o->file && !o->public_key)
        return err_set(err, ERR_INVALID, "--file needs --public-key: an export cannot vouch for its own key");
    if (o->file && o->namespace_slug)
        return err_set(err, ERR_INVALID, "--namespace is for --data; an export holds what was exported");
    return ERR_OK;
}

static enum err_code verify(
    struct verdict *v, const struct audit_keys *keys, struct audit_verify_result *r, struct err *err)
{
    struct audit_verify_options opt = {.keys = keys, .chain = STR_EMPTY, .on_chain = on_chain, .arg = v};
    enum err_code code = read_known(v->o, &opt.known, err);

    if (!code)
        code = read_receipt(v, &opt, err);
    if (code)
        return code;
    if (v->o->file) {
        code = verify_file(v->o->file, &opt, r, err);
    } else {
        code = audit_open_copy(v->o->data, &v->db, err);
        if (!code)
            code = verify_data(v, &opt, r, err);
        db_close(v->db);
        v->db = NULL;
    }
    if (!code)
        check_receipt(v, r);
    return code;
}

static int run_verify(const void *values)
{
    struct verdict v = {.o = values};
    struct audit_keys keys = {.count = 0};
    struct audit_verify_result result;
    struct err err = ERR_INIT;
    enum err_code code = check_verify(v.o, &err);

    if (!code)
        code = read_keys(v.o, &keys, &err);
    if (code)
        return cli_fail(VERIFY.name, &err);
    begin_verdict(&v);
    code = verify(&v, &keys, &result, &err);
    audit_keys_release(&keys);
    int status = code ? cli_fail(VERIFY.name, &err) : end_verdict(&v, &result);
    strbuf_release(&v.out);
    receipt_check_release(&v.receipt);
    return status;
}

/* --- export --- */

static bool print_line(void *arg, struct str line)
{
    return fwrite(line.ptr, 1, line.len, arg) == line.len;
}

static enum err_code export_to(struct db *db, const struct audit_options *o, struct err *err)
{
    struct tenant room;
    struct str chain;
    enum err_code code = find_chain(db, o->namespace_slug, &room, &chain, err);

    if (!code)
        code = audit_export(db, chain, print_line, stdout, err);
    if (!code && fflush(stdout) != 0)
        code = err_errno(err, ERR_IO, "writing to standard output");
    return code;
}

static int run_export(const void *values)
{
    const struct audit_options *o = values;
    struct db *db = NULL;
    struct err err = ERR_INIT;
    enum err_code code = audit_open_copy(o->data, &db, &err);

    if (!code)
        code = export_to(db, o, &err);
    db_close(db);
    return code ? cli_fail(EXPORT.name, &err) : CLI_OK;
}

const struct cli_command CLI_AUDIT_VERIFY = {&VERIFY, sizeof(struct audit_options), run_verify};
const struct cli_command CLI_AUDIT_EXPORT = {&EXPORT, sizeof(struct audit_options), run_export};
