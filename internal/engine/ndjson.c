/* The NDJSON reader. */
#include "engine/ndjson.h"
#include "base/arena.h"

void ndjson_init(struct ndjson *n, struct import_source *in, struct arena *arena)
{
    *n = (struct ndjson){.in = in, .arena = arena};
    strbuf_init(&n->text, NDJSON_LINE_MAX);
}

void ndjson_release(struct ndjson *n)
{
    strbuf_release(&n->text);
}

static enum err_code fail_at(const struct ndjson *n, enum err_code code, struct err *err)
{
    struct err inner;
    if (!err)
        return code;
    inner = *err;
    return err_set(err, code, "line %llu: %s", (unsigned long long)n->line, inner.message);
}

/* Takes one line, without its end; false when there is none. */
static bool take_line(struct ndjson *n)
{
    struct str part;
    strbuf_reset(&n->text);
    n->line = n->in->line;
    if (import_peek(n->in) == IMPORT_END)
        return false;
    do {
        part = import_take_until(n->in, '\n');
        strbuf_add_str(&n->text, part);
    } while (part.len && part.ptr[part.len - 1] != '\n' && !strbuf_failed(&n->text));
    return true;
}

/* The next line that is not blank; *ret_found false at the end. */
static enum err_code next_line(struct ndjson *n, bool *ret_found, struct err *err)
{
    do
        *ret_found = take_line(n);
    while (*ret_found && !strbuf_failed(&n->text) && str_trim(strbuf_str(&n->text)).len == 0);
    if (n->in->failed)
        return err_set(err, ERR_IO, "the file to import could not be read to its end");
    if (strbuf_failed(&n->text))
        return err_set(err, ERR_TOO_LARGE, "line %llu is longer than %d bytes", (unsigned long long)n->line,
            (int)NDJSON_LINE_MAX);
    return ERR_OK;
}

enum err_code ndjson_next(struct ndjson *n, bool *ret_found, struct err *err)
{
    enum err_code code = next_line(n, ret_found, err);
    if (code || !*ret_found)
        return code;
    arena_release(n->arena);
    code = jsonr_parse(n->arena, str_trim(strbuf_str(&n->text)), &n->row, err);
    if (code)
        return fail_at(n, code, err);
    if (jsonr_kind(n->row) != JSONR_OBJECT)
        return err_set(err, ERR_INVALID, "line %llu: must be an object, is %s", (unsigned long long)n->line,
            jsonr_kind_name(jsonr_kind(n->row)));
    if (jsonr_count(n->row) > NDJSON_COLUMNS_MAX)
        return err_set(err, ERR_INVALID, "line %llu: more than %d members", (unsigned long long)n->line,
            (int)NDJSON_COLUMNS_MAX);
    return ERR_OK;
}
