/* holdfast doctor: runs the checks and prints what they found. */
#include "doctor.h"
#include "base/check.h"
#include "cli.h"
#include <stdarg.h>

enum { ARENA_BYTES = 256 << 20, MESSAGE_BYTES = 1000 };

struct doctor_options {
    const char *data;
    bool json, quick;
};

#define AT(member) offsetof(struct doctor_options, member)
static const struct option_spec OPTIONS[] = {
    {.name = "data",
        .type = OPTION_TEXT,
        .offset = AT(data),
        .value = "DIR",
        .help = "The data directory; without it only the machine is looked at"},
    {.name = "quick",
        .type = OPTION_FLAG,
        .offset = AT(quick),
        .help = "Does not read the databases through, which takes a while when they are large"},
    CLI_OPTION_JSON(struct doctor_options, "Prints one object with all findings, for scripts"),
};
static const struct option_command DESCRIBE = {
    .name = "doctor",
    .summary = "checks the machine, a data directory and its databases",
    .about = "Checks what Holdfast needs of the machine (kernel features, limits, library versions) and, "
             "with --data, a data "
             "directory: permissions, disk space, the control database, and each database, read through by a "
             "sandboxed engine. It "
             "changes nothing and may run beside a server. The exit status is 1 when something is wrong; "
             "each such line is followed "
             "by what to do.",
    .example = "  holdfast doctor --data ./data\n",
    .options = OPTIONS,
    .option_count = ARRAY_LEN(OPTIONS),
};

static const char *const LEVELS[] = {[DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_BAD] = "bad"};

static void PRINTF_LIKE(5, 0) add(struct doctor *d, enum doctor_level level, const char *check,
    const char *advice, const char *fmt, va_list ap)
{
    AUTO_STRBUF text;
    struct finding *f = ARENA_NEW(&d->arena, struct finding);

    strbuf_init(&text, MESSAGE_BYTES);
    strbuf_vaddf(&text, fmt, ap);
    f->message = strbuf_failed(&text) ? S("(too long to tell)") : arena_copy(&d->arena, strbuf_str(&text));
    f->level = level;
    f->check = check;
    f->advice = advice;
    d->bad += level == DOCTOR_BAD;
    d->notes += level == DOCTOR_NOTE;
    list_push_back(&d->findings, &f->node);
}

void doctor_ok(struct doctor *d, const char *check, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, DOCTOR_OK, check, NULL, fmt, ap);
    va_end(ap);
}

void doctor_note(struct doctor *d, const char *check, const char *advice, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, DOCTOR_NOTE, check, advice, fmt, ap);
    va_end(ap);
}

void doctor_bad(struct doctor *d, const char *check, const char *advice, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, DOCTOR_BAD, check, advice, fmt, ap);
    va_end(ap);
}

static void write_json(struct doctor *d, struct strbuf *out)
{
    struct list *it, *next;
    struct jsonw w;

    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_BOOL(&w, "ok", d->bad == 0);
    jsonw_key(&w, "findings");
    jsonw_array(&w);
    LIST_EACH(it, next, &d->findings)
    {
        const struct finding *f = LIST_ITEM(it, struct finding, node);
        jsonw_object(&w);
        JSONW_CSTR(&w, "level", LEVELS[f->level]);
        JSONW_CSTR(&w, "check", f->check);
        JSONW_TEXT(&w, "message", f->message);
        JSONW_CSTR(&w, "advice", f->advice);
        jsonw_object_end(&w);
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    strbuf_add_char(out, '\n');
}

static void write_text(struct doctor *d, struct strbuf *out)
{
    struct list *it, *next;

    LIST_EACH(it, next, &d->findings)
    {
        const struct finding *f = LIST_ITEM(it, struct finding, node);
        strbuf_addf(out, "%-4s  %-10s " STR_FMT "\n", LEVELS[f->level], f->check, STR_ARG(f->message));
        if (f->advice)
            strbuf_addf(out, "%18s-> %s\n", "", f->advice);
    }
    if (d->bad)
        strbuf_addf(out, "\n%u %s wrong.\n", d->bad, d->bad == 1 ? "thing is" : "things are");
    else
        strbuf_add_cstr(out, "\nAll is well.\n");
}

static int run(const void *values)
{
    const struct doctor_options *o = values;
    struct doctor d = {.data = o->data};
    AUTO_STRBUF out;

    strbuf_init(&out, CLI_OUTPUT_BYTES);
    arena_init(&d.arena, ARENA_BYTES);
    list_init(&d.findings);
    doctor_host(&d);
    if (d.data)
        doctor_data(&d);
    if (!o->quick)
        doctor_engines(&d);
    if (o->json)
        write_json(&d, &out);
    else
        write_text(&d, &out);
    int status = cli_print(DESCRIBE.name, &out);
    arena_release(&d.arena);
    return d.bad ? CLI_FAILED : status;
}

const struct cli_command CLI_DOCTOR = {&DESCRIBE, sizeof(struct doctor_options), run};
