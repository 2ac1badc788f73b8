/* memmem finds the boundaries; glibc declares it for GNU sources alone. */
#define _GNU_SOURCE
#include "api/persql/multipart.h"
#include "base/check.h"

#include <string.h>

#define PARTS_MAX     32
#define PART_HEAD_MAX 4096

static bool is_boundary_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("'()+_,-./:=?", c));
}

/* Value of a parameter like name="x" or name=x in a header value; ptr NULL when absent. Quoted values may not
 * hold escapes: browsers write %22 for a quote. */
static struct str header_param(struct str value, struct str name)
{
    struct str part;
    bool first = true;
    while (str_cut(&value, ';', &part)) {
        struct str key;
        if (first || !str_cut(&part, '=', &key) || !part.ptr || !str_eq_nocase(str_trim(key), name)) {
            first = false;
            continue;
        }
        part = str_trim(part);
        if (part.len >= 2 && part.ptr[0] == '"' && part.ptr[part.len - 1] == '"')
            part = str_slice(part, 1, part.len - 1);
        return memchr(part.ptr, '"', part.len) || memchr(part.ptr, '\\', part.len) ? (struct str){NULL, 0}
                                                                                   : part;
    }
    return (struct str){NULL, 0};
}

bool multipart_boundary(struct str content_type, struct str *ret_boundary)
{
    struct str rest = content_type, type;
    if (!str_cut(&rest, ';', &type) || !str_eq_nocase(str_trim(type), S("multipart/form-data")))
        return false;
    struct str b = header_param(content_type, S("boundary"));
    if (!b.ptr || !b.len || b.len > MULTIPART_BOUNDARY_MAX)
        return false;
    for (size_t i = 0; i < b.len; i++)
        if (!is_boundary_char(b.ptr[i]))
            return false;
    *ret_boundary = b;
    return true;
}

/* A delimiter is CRLF "--" boundary; the first one may stand at the start of the body. */
void multipart_init(struct multipart *m, struct str boundary)
{
    CHECK(boundary.len <= MULTIPART_BOUNDARY_MAX);
    *m = (struct multipart){.state = MULTIPART_PREAMBLE, .matched = 2};
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.ptr, boundary.len);
    m->delimiter_len = 4 + boundary.len;
    strbuf_init(&m->head, PART_HEAD_MAX);
}

void multipart_release(struct multipart *m)
{
    strbuf_release(&m->head);
}

static enum err_code malformed(struct multipart *m, struct err *err)
{
    m->state = MULTIPART_BAD;
    return err_set(err, ERR_INVALID, "The multipart body is malformed");
}

/* How much of the end of `s` may be the beginning of a delimiter. Only its first byte is a CR. */
static size_t delimiter_begun(const struct multipart *m, struct str s)
{
    size_t most = s.len < m->delimiter_len - 1 ? s.len : m->delimiter_len - 1;
    for (size_t n = most; n > 0; n--) {
        const char *tail = s.ptr + s.len - n;
        if (*tail == '\r' && memcmp(tail, m->delimiter, n) == 0)
            return n;
    }
    return 0;
}

enum found { FOUND_NOT, FOUND_BEGUN, FOUND_ALL };

/* Goes on with a delimiter that an earlier piece began. When it is none, what was held back of it is content.
 */
static enum found go_on(struct multipart *m, struct str *in, struct str *ret_content)
{
    size_t left = m->delimiter_len - m->matched, n = left < in->len ? left : in->len;
    if (memcmp(m->delimiter + m->matched, in->ptr, n) != 0) {
        *ret_content = str_make(m->delimiter, m->matched);
        m->matched = 0;
        return FOUND_NOT;
    }
    m->matched += n;
    *in = str_slice(*in, n, in->len);
    return m->matched == m->delimiter_len ? FOUND_ALL : FOUND_BEGUN;
}

static enum found search(struct multipart *m, struct str *in, struct str *ret_content)
{
    const char *at = memmem(in->ptr, in->len, m->delimiter, m->delimiter_len);
    size_t n = at ? (size_t)(at - in->ptr) : in->len - delimiter_begun(m, *in);
    *ret_content = str_slice(*in, 0, n);
    m->matched = at ? m->delimiter_len : in->len - n;
    *in = str_slice(*in, at ? n + m->delimiter_len : in->len, in->len);
    return at ? FOUND_ALL : m->matched > 0 ? FOUND_BEGUN : FOUND_NOT;
}

/* Content up to the next delimiter, as far as it is at hand. */
static void read_content(struct multipart *m, struct str *in, struct str *ret_content)
{
    enum found found = m->matched > 0 ? go_on(m, in, ret_content) : search(m, in, ret_content);
    if (found != FOUND_ALL)
        return;
    m->matched = 0;
    m->state = MULTIPART_AFTER;
    m->after_len = 0;
}

/* Behind a delimiter: "--" ends the body, CRLF begins a part, anything else is malformed. */
static enum err_code read_after(struct multipart *m, struct str *in, struct err *err)
{
    m->after[m->after_len++] = in->ptr[0];
    *in = str_slice(*in, 1, in->len);
    if (m->after_len < sizeof m->after)
        return ERR_OK;
    if (memcmp(m->after, "--", 2) == 0) {
        m->state = MULTIPART_END;
        return ERR_OK;
    }
    if (memcmp(m->after, "\r\n", 2) != 0 || m->parts == PARTS_MAX)
        return malformed(m, err);
    m->parts++;
    m->state = MULTIPART_HEAD;
    strbuf_reset(&m->head);
    return ERR_OK;
}

struct part {
    struct str name, filename, content_type; /* views into its head; name.ptr NULL: not seen */
};

/* Reads one header line of a part into what it means for us; false when malformed. */
static bool part_header(struct str line, struct part *part)
{
    struct str value = line, key;
    if (!str_cut(&value, ':', &key) || !value.ptr || !key.len)
        return false;
    value = str_trim(value);
    if (str_eq_nocase(key, S("Content-Type"))) {
        part->content_type = value;
    } else if (str_eq_nocase(key, S("Content-Disposition"))) {
        if (part->name.ptr || !str_starts_nocase(value, S("form-data")))
            return false;
        part->name = header_param(value, S("name"));
        struct str filename = header_param(value, S("filename"));
        part->filename = filename.ptr ? filename : STR_EMPTY;
        return part->name.ptr != NULL;
    }
    return true;
}

static enum err_code begin_part(struct multipart *m, struct err *err)
{
    struct str rest = str_slice(strbuf_str(&m->head), 0, m->head.len - 2);
    struct part part = {.filename = STR_EMPTY, .content_type = STR_EMPTY};
    while (rest.len) {
        const char *eol = memmem(rest.ptr, rest.len, "\r\n", 2);
        size_t n = (size_t)(eol - rest.ptr);
        if (!part_header(str_slice(rest, 0, n), &part))
            return malformed(m, err);
        rest = str_slice(rest, n + 2, rest.len);
    }
    if (!part.name.ptr)
        return malformed(m, err);
    m->state = MULTIPART_SKIPPED;
    if (!str_eq(part.name, S("file")))
        return ERR_OK;
    if (m->found) {
        m->state = MULTIPART_BAD;
        return err_field(err, "/file", "The multipart body has two parts named \"file\"");
    }
    m->found = true;
    m->state = MULTIPART_FILE;
    str_print_cut(m->filename, sizeof m->filename, STR_FMT, STR_ARG(part.filename));
    str_print_cut(m->content_type, sizeof m->content_type, STR_FMT, STR_ARG(part.content_type));
    return ERR_OK;
}

/* The head of a part ends with an empty line, which may be all of it. */
static enum err_code read_head(struct multipart *m, struct str *in, struct err *err)
{
    while (in->len > 0) {
        strbuf_add_char(&m->head, in->ptr[0]);
        *in = str_slice(*in, 1, in->len);
        if (strbuf_failed(&m->head))
            return malformed(m, err);
        struct str head = strbuf_str(&m->head);
        if (str_eq(head, S("\r\n")) || str_ends(head, S("\r\n\r\n")))
            return begin_part(m, err);
    }
    return ERR_OK;
}

enum err_code multipart_read(struct multipart *m, struct str *in, struct str *ret_file, struct err *err)
{
    struct str skipped;
    *ret_file = STR_EMPTY;
    CHECK(in->len > 0);
    switch (m->state) {
    case MULTIPART_PREAMBLE:
    case MULTIPART_SKIPPED: read_content(m, in, &skipped); return ERR_OK;
    case MULTIPART_FILE: read_content(m, in, ret_file); return ERR_OK;
    case MULTIPART_AFTER: return read_after(m, in, err);
    case MULTIPART_HEAD: return read_head(m, in, err);
    case MULTIPART_END: *in = STR_EMPTY; return ERR_OK; /* an epilogue is nobody's */
    case MULTIPART_BAD: break;
    }
    return malformed(m, err);
}

enum err_code multipart_end(struct multipart *m, struct err *err)
{
    if (m->state != MULTIPART_END)
        return malformed(m, err);
    return m->found ? ERR_OK : err_field(err, "/file", "The multipart body has no part named \"file\"");
}
