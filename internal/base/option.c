/* Parsing options. */
#include "base/option.h"
#include "base/check.h"
#include <stdio.h>

enum { OPTIONS_MAX = 64 };

/* A row's value as text, and where it came from: for messages. */
struct given {
    const struct option_spec *spec;
    const char *from; /* "--listen" or "HOLDFAST_LISTEN" */
    const char *text;
    void *out;
};

void option_env_name(const char *name, char out[OPTION_ENV_SIZE])
{
    int n = snprintf(out, OPTION_ENV_SIZE, "HOLDFAST_%s", name);

    CHECK(n > 0 && n < OPTION_ENV_SIZE);
    for (char *p = out; *p; p++) {
        if (*p == '-')
            *p = '_';
        else if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    }
}

const char *option_nearest(struct str word, const char *const *names, size_t count)
{
    const char *best = NULL;
    unsigned best_distance = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned d = str_distance(word, str_of(names[i]));
        if (str_starts(str_of(names[i]), word) && word.len >= 2)
            d = 1; /* cut short */
        if (d <= 1 + strlen(names[i]) / 3 && (!best || d < best_distance)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

/* --- One value --- */

static enum err_code out_of_range(const struct given *g, struct err *err)
{
    static const char *const UNITS[] = {
        [OPTION_INT] = "", [OPTION_BYTES] = " bytes", [OPTION_DURATION] = " seconds"};
    const struct option_spec *s = g->spec;

    return err_set(err, ERR_INVALID, "%s must be between %lld and %lld%s, not \"%s\"", g->from,
        (long long)s->min, (long long)s->max, UNITS[s->type], g->text);
}

static enum err_code set_number(const struct given *g, bool ok, int64_t v, const char *like, struct err *err)
{
    const struct option_spec *s = g->spec;

    if (!ok)
        return err_set(err, ERR_INVALID, "%s must be %s, not \"%s\"", g->from, like, g->text);
    if ((s->min || s->max) && (v < s->min || v > s->max))
        return out_of_range(g, err);
    *(int64_t *)g->out = v;
    return ERR_OK;
}

static enum err_code set_int(const struct given *g, struct err *err)
{
    int64_t v = 0;

    bool ok = str_to_i64(str_of(g->text), INT64_MIN, INT64_MAX, &v);
    return set_number(g, ok, v, "a whole number", err);
}

static enum err_code set_duration(const struct given *g, struct err *err)
{
    int64_t v = 0;

    bool ok = str_to_duration(str_of(g->text), &v);
    return set_number(g, ok, v, "a time like 90s, 15m, 12h, 30d or 2w", err);
}

static enum err_code set_bytes(const struct given *g, struct err *err)
{
    static const char SUFFIXES[] = "KMG";
    struct str text = str_of(g->text);
    unsigned shift = 0;
    int64_t v = 0;

    const char *suffix = text.len ? strchr(SUFFIXES, text.ptr[text.len - 1]) : NULL;
    if (suffix) {
        shift = 10 * ((unsigned)(suffix - SUFFIXES) + 1);
        text.len--;
    }
    bool ok = str_to_i64(text, 0, INT64_MAX >> shift, &v);
    return set_number(g, ok, v << shift, "a size like 1048576, 64K, 10M or 2G", err);
}

static enum err_code set_choice(const struct given *g, struct err *err)
{
    struct str rest = str_of(g->spec->choices), part;

    for (int at = 0; str_cut(&rest, '|', &part); at++) {
        if (!str_eq(part, str_of(g->text)))
            continue;
        *(int *)g->out = at;
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID, "%s must be one of %s, not \"%s\"", g->from, g->spec->choices, g->text);
}

static enum err_code set_list(const struct given *g, struct err *err)
{
    struct option_list *list = g->out;
    struct str rest = str_of(g->text), part;

    list->given = true;
    while (str_cut(&rest, ',', &part)) {
        if (part.len == 0)
            return err_set(err, ERR_INVALID, "%s has an empty entry; write a,b,c", g->from);
        if (list->count == OPTION_LIST_MAX)
            return err_set(err, ERR_INVALID, "%s may have at most %d entries", g->from, OPTION_LIST_MAX);
        list->items[list->count++] = part;
    }
    return ERR_OK;
}

/* The host of [::1]:8080 and of 127.0.0.1:8080; false when there is none. */
static bool cut_host(struct str text, struct str *ret_host, struct str *ret_port)
{
    const char *colon = NULL;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == ':')
            colon = text.ptr + i;
    if (!colon)
        return false;
    *ret_host = str_make(text.ptr, (size_t)(colon - text.ptr));
    *ret_port = str_make(colon + 1, text.len - ret_host->len - 1);
    if (ret_host->len > 2 && ret_host->ptr[0] == '[' && ret_host->ptr[ret_host->len - 1] == ']')
        *ret_host = str_slice(*ret_host, 1, ret_host->len - 1);
    else if (memchr(ret_host->ptr, ':', ret_host->len))
        return false; /* an IPv6 address needs its brackets */
    return ret_host->len > 0 && ret_host->len < OPTION_HOST_SIZE;
}

static enum err_code set_address(const struct given *g, struct err *err)
{
    struct option_address *out = g->out;
    struct str host, port;
    int64_t number;

    if (!cut_host(str_of(g->text), &host, &port) || !str_to_i64(port, 0, UINT16_MAX, &number))
        return err_set(err, ERR_INVALID,
            "%s must be HOST:PORT, like 127.0.0.1:8080 or [::1]:8080, not \"%s\"", g->from, g->text);
    memcpy(out->host, host.ptr, host.len);
    out->host[host.len] = '\0';
    out->port = (uint16_t)number;
    return ERR_OK;
}

static enum err_code set_flag(const struct given *g, struct err *err)
{
    static const char *const WORDS[] = {"0", "1", "false", "true", "no", "yes"};

    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++) {
        if (strcmp(g->text, WORDS[i]) != 0)
            continue;
        *(bool *)g->out = i & 1;
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID, "%s must be 1 or 0, not \"%s\"", g->from, g->text);
}

static enum err_code set_text(const struct given *g, struct err *err)
{
    if (g->text[0] == '\0')
        return err_set(err, ERR_INVALID, "%s must not be empty", g->from);
    *(const char **)g->out = g->text;
    return ERR_OK;
}

static enum err_code set_value(const struct given *g, struct err *err)
{
    static enum err_code (*const SETTERS[])(const struct given *, struct err *) = {
        [OPTION_TEXT] = set_text,
        [OPTION_FLAG] = set_flag,
        [OPTION_INT] = set_int,
        [OPTION_BYTES] = set_bytes,
        [OPTION_DURATION] = set_duration,
        [OPTION_CHOICE] = set_choice,
        [OPTION_LIST] = set_list,
        [OPTION_ADDRESS] = set_address,
    };

    return SETTERS[g->spec->type](g, err);
}

/* --- The command line --- */

struct parse {
    const struct option_command *command;
    char *const *words;
    int count, at;
    void *values;
    bool seen[OPTIONS_MAX];
    bool only_operands; /* behind "--" */
    const char *operand;
};

static void *value_at(const struct parse *p, const struct option_spec *spec)
{
    return (char *)p->values + spec->offset;
}

static const struct option_spec *find(const struct option_command *c, struct str name)
{
    for (size_t i = 0; i < c->option_count; i++)
        if (str_eq(name, str_of(c->options[i].name)))
            return &c->options[i];
    return NULL;
}

static enum err_code unknown_option(const struct parse *p, struct str name, struct err *err)
{
    const char *names[OPTIONS_MAX];
    size_t count = p->command->option_count;

    CHECK(count <= OPTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = p->command->options[i].name;
    const char *nearest = option_nearest(name, names, count);
    if (nearest)
        return err_set(
            err, ERR_INVALID, "there is no option --" STR_FMT "; did you mean --%s?", STR_ARG(name), nearest);
    return err_set(err, ERR_INVALID, "there is no option --" STR_FMT, STR_ARG(name));
}

/* The word behind an option. One that begins with two dashes is the next option: its value was forgotten. */
static const char *next_word(struct parse *p)
{
    if (p->at + 1 >= p->count || strncmp(p->words[p->at + 1], "--", 2) == 0)
        return NULL;
    return p->words[++p->at];
}

static enum err_code parse_option(struct parse *p, struct err *err)
{
    struct str rest = str_of(p->words[p->at] + 2), name;
    char from[OPTION_ENV_SIZE];

    bool has_value = memchr(rest.ptr, '=', rest.len) != NULL;
    if (!str_cut(&rest, '=', &name))
        name = STR_EMPTY;
    const struct option_spec *spec = find(p->command, name);
    if (!spec)
        return unknown_option(p, name, err);
    CHECK(snprintf(from, sizeof from, "--%s", spec->name) < (int)sizeof from);
    struct given g = {
        .spec = spec, .from = from, .text = has_value ? rest.ptr : NULL, .out = value_at(p, spec)};
    if (p->seen[spec - p->command->options] && spec->type != OPTION_LIST)
        return err_set(err, ERR_INVALID, "%s is given twice", from);
    p->seen[spec - p->command->options] = true;
    if (spec->type == OPTION_FLAG && has_value)
        return err_set(err, ERR_INVALID, "%s takes no value", from);
    if (!has_value)
        g.text = spec->type == OPTION_FLAG ? "1" : next_word(p);
    if (!g.text)
        return err_set(err, ERR_INVALID, "%s needs a value: %s %s", from, from, spec->value);
    return set_value(&g, err);
}

static enum err_code parse_operand(struct parse *p, const char *word, struct err *err)
{
    if (!p->command->operand)
        return err_set(err, ERR_INVALID, "\"%s\" is not understood here; options begin with --", word);
    if (p->operand)
        return err_set(err, ERR_INVALID, "one %s is enough; \"%s\" is too much", p->command->operand, word);
    p->operand = word;
    return ERR_OK;
}

static enum err_code parse_word(struct parse *p, struct err *err)
{
    const char *word = p->words[p->at];

    if (p->only_operands || word[0] != '-' || word[1] == '\0')
        return parse_operand(p, word, err);
    if (strcmp(word, "--") == 0) {
        p->only_operands = true;
        return ERR_OK;
    }
    if (word[1] != '-')
        return err_set(
            err, ERR_INVALID, "\"%s\" is not understood; options begin with two dashes, as --help", word);
    return parse_option(p, err);
}

static enum err_code fill_absent(
    struct parse *p, const struct option_spec *spec, const char *(*env)(const char *), struct err *err)
{
    char from[OPTION_ENV_SIZE];
    const char *text;

    option_env_name(spec->name, from);
    text = env(from);
    if (!text || !*text)
        text = spec->fallback;
    if (text) {
        struct given g = {.spec = spec, .from = from, .text = text, .out = value_at(p, spec)};
        return set_value(&g, err);
    }
    if (spec->required)
        return err_set(err, ERR_INVALID, "--%s %s is missing (or set %s): %s", spec->name, spec->value, from,
            spec->help);
    return ERR_OK;
}

static enum err_code finish(struct parse *p, const char *(*env)(const char *), struct err *err)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; !code && i < p->command->option_count; i++)
        if (!p->seen[i])
            code = fill_absent(p, &p->command->options[i], env, err);
    if (code || !p->command->operand)
        return code;
    if (!p->operand)
        return err_set(err, ERR_INVALID, "the %s is missing", p->command->operand);
    memcpy((char *)p->values + p->command->operand_offset, &p->operand, sizeof p->operand);
    return ERR_OK;
}

static bool asks_for_help(int count, char *const *words)
{
    for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return true;
    return false;
}

enum err_code option_parse(const struct option_command *command, int count, char *const *words,
    const char *(*env)(const char *name), void *values, bool *ret_help, struct err *err)
{
    struct parse p = {.command = command, .words = words, .count = count, .values = values};
    enum err_code code = ERR_OK;

    CHECK(command->option_count <= OPTIONS_MAX);
    *ret_help = asks_for_help(count, words);
    if (*ret_help)
        return ERR_OK;
    for (; !code && p.at < p.count; p.at++)
        code = parse_word(&p, err);
    return code ? code : finish(&p, env, err);
}
