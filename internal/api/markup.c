#include "api/markup.h"

#include "base/enc.h"

static void add_char(struct strbuf *out, struct str c)
{
    switch (c.ptr[0]) {
    case '&': MARKUP(out, "&amp;"); break;
    case '<': MARKUP(out, "&lt;"); break;
    case '>': MARKUP(out, "&gt;"); break;
    case '"': MARKUP(out, "&quot;"); break;
    case '\'': MARKUP(out, "&#39;"); break;
    case '`': MARKUP(out, "&#96;"); break;
    case '\0': MARKUP(out, "\xef\xbf\xbd"); break;
    default: strbuf_add_str(out, c);
    }
}

/* Bytes that are no UTF-8 would be read in another way by each browser. */
void markup_text(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = utf8_first(str_slice(text, i, text.len));
        if (n)
            add_char(out, str_slice(text, i, i + n));
        else
            MARKUP(out, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
}

void markup_attr(struct strbuf *out, const char *name, struct str value)
{
    strbuf_add_char(out, ' ');
    strbuf_add_cstr(out, name);
    MARKUP(out, "=\"");
    markup_text(out, value);
    strbuf_add_char(out, '"');
}
