/* Buffered output of exports. */
#include "engine/sink.h"

enum {
    SINK_WORTH = 128 << 10,  /* a frame's chunk is at most 256 KiB */
    SINK_ROW_MAX = 48 << 20, /* one row as text: SQLite's own limit on a row, in hex and with room to spare */
    SINK_KEEP = 512 << 10,
};

void sink_init(struct sink *s, enum err_code (*pass)(void *arg, struct str bytes, struct err *err), void *arg)
{
    *s = (struct sink){.pass = pass, .arg = arg};
    strbuf_init(&s->buf, SINK_ROW_MAX);
}

void sink_release(struct sink *s)
{
    strbuf_release(&s->buf);
}

bool sink_begins(const struct sink *s)
{
    return s->total == 0 && s->buf.len >= SINK_WORTH;
}

enum err_code sink_end(struct sink *s, struct err *err)
{
    if (strbuf_failed(&s->buf))
        return err_set(err, ERR_TOO_LARGE, "a row is too large to be exported");
    if (s->buf.len == 0)
        return ERR_OK;
    s->total += s->buf.len;
    enum err_code code = s->pass(s->arg, strbuf_str(&s->buf), err);
    strbuf_shrink(&s->buf, SINK_KEEP);
    return code;
}

enum err_code sink_row_end(struct sink *s, struct err *err)
{
    if (s->buf.len < SINK_WORTH && !strbuf_failed(&s->buf))
        return ERR_OK;
    return sink_end(s, err);
}
