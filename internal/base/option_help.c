/* Printing what a command's options mean. */
#include "base/option.h"

enum { HELP_WIDTH = 96, HELP_INDENT = 8 };

/* Words of `text` in lines of HELP_WIDTH, each indented. */
static void add_wrapped(struct strbuf *out, const char *text, size_t indent)
{
    struct str rest = str_of(text), word;
    size_t column = 0;

    while (str_cut(&rest, ' ', &word)) {
        if (column && column + 1 + word.len > HELP_WIDTH) {
            strbuf_add_char(out, '\n');
            column = 0;
        }
        if (column == 0) {
            strbuf_addf(out, "%*s", (int)indent, "");
            column = indent;
        } else {
            strbuf_add_char(out, ' ');
            column++;
        }
        strbuf_add_str(out, word);
        column += word.len;
    }
    strbuf_add_char(out, '\n');
}

static void add_usage(const struct option_command *c, struct strbuf *out)
{
    strbuf_addf(out, "Usage: holdfast %s", c->name);
    if (c->operand)
        strbuf_addf(out, " %s", c->operand);
    for (size_t i = 0; i < c->option_count; i++)
        if (c->options[i].required)
            strbuf_addf(out, " --%s %s", c->options[i].name, c->options[i].value);
    strbuf_add_cstr(out, c->option_count ? " [options]\n" : "\n");
}

static void add_option(const struct option_spec *s, struct strbuf *out)
{
    char env[OPTION_ENV_SIZE];

    option_env_name(s->name, env);
    strbuf_addf(out, "\n  --%s", s->name);
    if (s->type != OPTION_FLAG)
        strbuf_addf(out, " %s", s->value);
    strbuf_addf(out, "    (%s%s%s%s)\n", env, s->fallback ? "; default " : "", s->fallback ? s->fallback : "",
        s->required ? "; required" : "");
    add_wrapped(out, s->help, HELP_INDENT);
}

void option_help(const struct option_command *c, struct strbuf *out)
{
    add_usage(c, out);
    strbuf_add_char(out, '\n');
    add_wrapped(out, c->about ? c->about : c->summary, 0);
    if (c->option_count)
        strbuf_add_cstr(out, "\nOptions (each may also be set by the variable in brackets):\n");
    for (size_t i = 0; i < c->option_count; i++)
        add_option(&c->options[i], out);
    if (c->example)
        strbuf_addf(out, "\nFor example:\n\n%s", c->example);
}
