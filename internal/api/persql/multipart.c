/* memmem finds the boundaries; glibc declares it for GNU sources alone. */
#define _GNU_SOURCE
#include "api/persql/multipart.h"

#include <string.h>

#define BOUNDARY_MAX  70 /* RFC 2046 */
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
    if (!b.ptr || !b.len || b.len > BOUNDARY_MAX)
        return false;
    for (size_t i = 0; i < b.len; i++)
        if (!is_boundary_char(b.ptr[i]))
            return false;
    *ret_boundary = b;
    return true;
}

/* A delimiter is CRLF "--" boundary; the first one may stand at the start of the body. */
struct scan {
    struct str rest;
    char delimiter[BOUNDARY_MAX + 5];
    size_t delimiter_len;
};

static void scan_init(struct scan *s, struct str body, struct str boundary)
{
    s->rest = body;
    memcpy(s->delimiter, "\r\n--", 4);
    memcpy(s->delimiter + 4, boundary.ptr, boundary.len);
    s->delimiter_len = 4 + boundary.len;
}

/* Behind a delimiter: "--" ends the body, CRLF begins a part, anything else is malformed. */
enum after { AFTER_PART, AFTER_END, AFTER_BAD };

static enum after scan_after_delimiter(struct scan *s)
{
    if (str_starts(s->rest, S("--")))
        return AFTER_END;
    if (!str_starts(s->rest, S("\r\n")))
        return AFTER_BAD;
    s->rest = str_slice(s->rest, 2, s->rest.len);
    return AFTER_PART;
}

static bool scan_to_delimiter(struct scan *s, struct str *ret_before)
{
    const char *at = memmem(s->rest.ptr, s->rest.len, s->delimiter, s->delimiter_len);
    if (!at)
        return false;
    size_t n = (size_t)(at - s->rest.ptr);
    *ret_before = str_slice(s->rest, 0, n);
    s->rest = str_slice(s->rest, n + s->delimiter_len, s->rest.len);
    return true;
}

/* Reads one header line of a part into what it means for us; false when malformed. */
static bool part_header(struct str line, struct str *name, struct multipart_file *file)
{
    struct str value = line, key;
    if (!str_cut(&value, ':', &key) || !value.ptr || !key.len)
        return false;
    value = str_trim(value);
    if (str_eq_nocase(key, S("Content-Type"))) {
        file->content_type = value;
    } else if (str_eq_nocase(key, S("Content-Disposition"))) {
        if (name->ptr || !str_starts_nocase(value, S("form-data")))
            return false;
        *name = header_param(value, S("name"));
        struct str filename = header_param(value, S("filename"));
        file->filename = filename.ptr ? filename : STR_EMPTY;
        return name->ptr != NULL;
    }
    return true;
}

/* Splits one part at its empty line. */
static bool part_split(struct str part, struct str *name, struct multipart_file *file)
{
    *name = (struct str){NULL, 0};
    *file = (struct multipart_file){STR_EMPTY, STR_EMPTY, STR_EMPTY};
    size_t head = 0;
    for (;;) {
        struct str rest = str_slice(part, head, part.len);
        const char *eol = memmem(rest.ptr, rest.len, "\r\n", 2);
        if (!eol || head > PART_HEAD_MAX)
            return false;
        size_t n = (size_t)(eol - rest.ptr);
        head += n + 2;
        if (n == 0)
            break;
        if (!part_header(str_slice(rest, 0, n), name, file))
            return false;
    }
    file->bytes = str_slice(part, head, part.len);
    return name->ptr != NULL;
}

static enum err_code malformed(struct err *err)
{
    return err_set(err, ERR_INVALID, "The multipart body is malformed");
}

static bool scan_first(struct scan *s)
{
    struct str first = str_make(s->delimiter + 2, s->delimiter_len - 2), skipped;
    if (!str_starts(s->rest, first))
        return scan_to_delimiter(s, &skipped);
    s->rest = str_slice(s->rest, first.len, s->rest.len);
    return true;
}

enum err_code multipart_file(
    struct str body, struct str boundary, struct multipart_file *ret, struct err *err)
{
    struct scan s;
    bool found = false;
    scan_init(&s, body, boundary);
    if (!scan_first(&s))
        return malformed(err);
    for (unsigned parts = 0;; parts++) {
        enum after after = scan_after_delimiter(&s);
        if (after == AFTER_END)
            break;
        struct str part, name;
        struct multipart_file file;
        if (after == AFTER_BAD || parts == PARTS_MAX || !scan_to_delimiter(&s, &part) ||
            !part_split(part, &name, &file))
            return malformed(err);
        if (!str_eq(name, S("file")))
            continue;
        if (found)
            return err_field(err, "/file", "The multipart body has two parts named \"file\"");
        found = true;
        *ret = file;
    }
    return found ? ERR_OK : err_field(err, "/file", "The multipart body has no part named \"file\"");
}
