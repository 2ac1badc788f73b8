/* Log lines. Text is escaped as in JSON strings in both formats, so that no value can forge a line, a field
 * or a terminal code. */
#include "base/log.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/strbuf.h"
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

enum { LOG_VALUE_MAX = 2048, LOG_LINE_MAX = 16384, LOG_GATHERED_MAX = 65536 };

static _Atomic int g_min = LOG_INFO, g_format = LOG_FORMAT_KV;

/* What the thread's lines wait in; `ask` is NULL where they do not wait. */
struct gathering {
    void (*ask)(void *arg);
    void *arg;
    struct strbuf lines;
};

static _Thread_local struct gathering g_gathering;

static const char *const LEVELS[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level min, enum log_format format)
{
    atomic_store(&g_min, (int)min);
    atomic_store(&g_format, (int)format);
}

static void add_code_escape(struct strbuf *out, unsigned code)
{
    static const char HEX[] = "0123456789abcdef";
    const char text[] = {'\\', 'u', '0', '0', HEX[code >> 4 & 15], HEX[code & 15]};
    strbuf_add(out, text, sizeof text);
}

static void add_ascii(struct strbuf *out, char c)
{
    if (c == '"' || c == '\\')
        strbuf_add_char(out, '\\');
    if (c == '\n')
        strbuf_add(out, "\\n", 2);
    else if ((unsigned char)c < 0x20 || c == 0x7f)
        add_code_escape(out, (unsigned char)c);
    else
        strbuf_add_char(out, c);
}

/* Adds one character of `s` and returns its length. What is not UTF-8 becomes U+FFFD; C1 controls are escaped
 * too, since some terminals obey them. */
static size_t add_char_escaped(struct strbuf *out, struct str s)
{
    unsigned char lead = (unsigned char)s.ptr[0];
    if (lead < 0x80) {
        add_ascii(out, s.ptr[0]);
        return 1;
    }
    size_t n = utf8_first(s);
    if (n == 0) {
        strbuf_add_cstr(out, "\\ufffd");
        return 1;
    }
    if (lead == 0xc2 && (unsigned char)s.ptr[1] < 0xa0)
        add_code_escape(out, (unsigned char)s.ptr[1]);
    else
        strbuf_add(out, s.ptr, n);
    return n;
}

static void add_quoted(struct strbuf *out, struct str s)
{
    s = str_slice(s, 0, utf8_cut(s, LOG_VALUE_MAX));
    strbuf_add_char(out, '"');
    while (s.len)
        s = str_slice(s, add_char_escaped(out, s), s.len);
    strbuf_add_char(out, '"');
}

static bool plain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_-.:/@+,", c));
}

static void add_value(struct strbuf *out, struct str s, enum log_format format)
{
    bool plain = format == LOG_FORMAT_KV && s.len > 0 && s.len <= LOG_VALUE_MAX;
    for (size_t i = 0; plain && i < s.len; i++)
        plain = plain_char(s.ptr[i]);
    if (plain)
        strbuf_add_str(out, s);
    else
        add_quoted(out, s);
}

static void add_field(struct strbuf *out, enum log_format format, const struct log_field *f)
{
    bool json = format == LOG_FORMAT_JSON;
    if (out->len > (json ? 1U : 0U))
        strbuf_add_char(out, json ? ',' : ' ');
    if (json)
        add_quoted(out, str_of(f->key));
    else
        strbuf_add_cstr(out, f->key);
    strbuf_add_char(out, json ? ':' : '=');
    if (f->kind == LOG_KIND_INT)
        strbuf_add_i64(out, f->num);
    else
        add_value(out, f->str, format);
}

/* Adds the fields that fit; a line that grows too long ends early and says so. */
static void add_fields(struct strbuf *out, enum log_format format, const struct log_field *fields)
{
    for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++) {
        if (out->len > LOG_LINE_MAX / 8) {
            add_field(out, format, &LOG_CSTR("cut", "true"));
            return;
        }
        add_field(out, format, f);
    }
}

static void write_all(struct str lines)
{
    while (lines.len) {
        ssize_t n = write(STDERR_FILENO, lines.ptr, lines.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* a log that cannot be written has nowhere to complain */
        lines = str_slice(lines, (size_t)n, lines.len);
    }
}

void log_flush(void)
{
    struct gathering *g = &g_gathering;
    write_all(strbuf_str(&g->lines));
    strbuf_reset(&g->lines);
}

void log_gather(void (*ask)(void *arg), void *arg)
{
    struct gathering *g = &g_gathering;
    log_flush();
    strbuf_release(&g->lines);
    *g = (struct gathering){.ask = ask, .arg = arg};
    strbuf_init(&g->lines, LOG_GATHERED_MAX);
}

static void put_line(enum log_level level, struct str line)
{
    struct gathering *g = &g_gathering;
    if (g->lines.len + line.len > LOG_GATHERED_MAX)
        log_flush();
    if (!g->ask || level >= LOG_WARN || line.len > LOG_GATHERED_MAX) {
        log_flush();
        write_all(line);
        return;
    }
    bool first = g->lines.len == 0;
    strbuf_add_str(&g->lines, line);
    if (first)
        g->ask(g->arg);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if ((int)level < atomic_load(&g_min))
        return;
    enum log_format format = (enum log_format)atomic_load(&g_format);
    char ts[CLOCK_ISO_MAX];
    clock_iso(clock_wall_ms(), ts);
    AUTO_STRBUF line;
    strbuf_init(&line, LOG_LINE_MAX);
    if (format == LOG_FORMAT_JSON)
        strbuf_add_char(&line, '{');
    add_field(&line, format, &LOG_CSTR("ts", ts));
    add_field(&line, format, &LOG_CSTR("level", LEVELS[level]));
    add_field(&line, format, &LOG_CSTR("event", event));
    add_fields(&line, format, fields);
    strbuf_add_cstr(&line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
    put_line(level, strbuf_str(&line));
}
