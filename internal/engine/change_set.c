/* The change set's bytes. */
#include "engine/change_set.h"
#include "base/check.h"
#include "base/mem.h"

enum { VARINT_MAX = 10, REAL_BYTES = 8 };

/* --- Writing --- */

static size_t write_number(char *out, uint64_t n)
{
    size_t len = 0;
    for (; n > 0x7f; n >>= 7)
        out[len++] = (char)((n & 0x7f) | 0x80);
    out[len++] = (char)n;
    return len;
}

void change_put_number(struct strbuf *out, uint64_t n)
{
    char bytes[VARINT_MAX];
    strbuf_add(out, bytes, write_number(bytes, n));
}

void change_put_name(struct strbuf *out, struct str name)
{
    change_put_number(out, name.len);
    strbuf_add_str(out, name);
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t n)
{
    uint64_t bits = (n >> 1) ^ (n & 1 ? UINT64_MAX : 0);
    int64_t v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Written for every cell of every row. */
char *change_write_cell(char *out, const struct change_cell *cell)
{
    *out++ = (char)cell->kind;
    switch (cell->kind) {
    case CHANGE_INT: return out + write_number(out, zigzag(cell->integer));
    case CHANGE_REAL: memcpy(out, &cell->real, REAL_BYTES); return out + REAL_BYTES;
    case CHANGE_TEXT:
    case CHANGE_BLOB:
        out += write_number(out, cell->bytes.len);
        if (cell->bytes.len)
            memcpy(out, cell->bytes.ptr, cell->bytes.len);
        return out + cell->bytes.len;
    default: return out;
    }
}

void change_put_cell(struct strbuf *out, const struct change_cell *cell)
{
    char *at = strbuf_reserve(out, CHANGE_CELL_HEAD_MAX + cell->bytes.len);
    if (at)
        strbuf_commit(out, (size_t)(change_write_cell(at, cell) - at));
}

void change_put_head(struct strbuf *out, const struct change_table_view *t)
{
    change_put_name(out, t->name);
    change_put_number(out, t->flags);
    change_put_number(out, t->column_count);
    for (size_t i = 0; i < t->column_count; i++) {
        change_put_name(out, t->columns[i].name);
        change_put_number(out, t->columns[i].flags);
    }
}

/* --- Reading --- */

/* Every row of every set goes through here, several times: pointers, and nothing that is not inline. */
static inline bool take_number(const unsigned char **at, const unsigned char *end, uint64_t *ret)
{
    const unsigned char *p = *at;
    uint64_t n = 0;
    for (unsigned i = 0; i < VARINT_MAX && p < end; i++) {
        uint64_t byte = *p++;
        if (i == VARINT_MAX - 1 && byte > 1)
            return false;
        n |= (byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        if (i > 0 && byte == 0)
            return false; /* there is a shorter form */
        *at = p;
        *ret = n;
        return true;
    }
    return false;
}

static inline bool take_bytes(const unsigned char **at, const unsigned char *end, size_t max, struct str *ret)
{
    uint64_t len;
    if (!take_number(at, end, &len) || len > max || len > (size_t)(end - *at))
        return false;
    *ret = str_make(*at, (size_t)len);
    *at += len;
    return true;
}

static inline bool take_cell(const unsigned char **at, const unsigned char *end, struct change_cell *ret)
{
    uint64_t n;
    if (*at == end || **at >= CHANGE_KINDS)
        return false;
    *ret = (struct change_cell){.kind = (enum change_kind) * *at, .bytes = STR_EMPTY};
    ++*at;
    switch (ret->kind) {
    case CHANGE_INT:
        if (!take_number(at, end, &n))
            return false;
        ret->integer = unzigzag(n);
        return true;
    case CHANGE_REAL:
        if (end - *at < REAL_BYTES)
            return false;
        memcpy(&ret->real, *at, REAL_BYTES);
        *at += REAL_BYTES;
        return true;
    case CHANGE_TEXT:
    case CHANGE_BLOB: return take_bytes(at, end, SIZE_MAX, &ret->bytes);
    default: return true;
    }
}

static inline const unsigned char *begin_of(struct str s)
{
    return (const unsigned char *)s.ptr;
}

static inline const unsigned char *end_of(struct str s)
{
    return (const unsigned char *)s.ptr + s.len;
}

static inline struct str between(const unsigned char *from, const unsigned char *to)
{
    return str_make(from, (size_t)(to - from));
}

struct change_cell change_cell_next(struct str *cells)
{
    struct change_cell cell;
    const unsigned char *at = begin_of(*cells), *end = end_of(*cells);
    bool ok = take_cell(&at, end, &cell);
    CHECK(ok);
    *cells = between(at, end);
    return cell;
}

enum change_kind change_cell_skip(struct str *cells)
{
    if (cells->len && *cells->ptr == CHANGE_SAME) {
        *cells = str_make(cells->ptr + 1, cells->len - 1);
        return CHANGE_SAME;
    }
    return change_cell_next(cells).kind;
}

static uint64_t bits_of(double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

bool change_cell_eq(const struct change_cell *a, const struct change_cell *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == CHANGE_REAL)
        return bits_of(a->real) == bits_of(b->real);
    return a->integer == b->integer && str_eq(a->bytes, b->bytes);
}

static enum err_code damaged(struct err *err)
{
    return err_set(err, ERR_INTERNAL, "a stored change set is damaged");
}

static bool reader_number(struct change_reader *r, uint64_t *ret)
{
    const unsigned char *at = begin_of(r->rest), *end = end_of(r->rest);
    bool ok = take_number(&at, end, ret);
    r->rest = between(at, end);
    return ok;
}

static bool reader_bytes(struct change_reader *r, size_t max, struct str *ret)
{
    const unsigned char *at = begin_of(r->rest), *end = end_of(r->rest);
    bool ok = take_bytes(&at, end, max, ret);
    r->rest = between(at, end);
    return ok;
}

enum err_code change_reader_init(struct change_reader *r, struct str bytes, struct err *err)
{
    size_t magic = sizeof CHANGE_SET_MAGIC - 1;
    *r = (struct change_reader){.rest = str_slice(bytes, magic, bytes.len)};
    if (!str_starts(bytes, S(CHANGE_SET_MAGIC)) || !reader_number(r, &r->tables_left) ||
        r->tables_left > CHANGE_TABLES_MAX)
        return damaged(err);
    return ERR_OK;
}

void change_reader_release(struct change_reader *r)
{
    mem_free(r->columns);
    r->columns = NULL;
    r->columns_cap = 0;
}

static bool take_columns(struct change_reader *r, uint64_t count)
{
    uint64_t flags;
    if (count == 0 || count > CHANGE_COLUMNS_MAX || count > r->rest.len)
        return false;
    if (count > r->columns_cap) {
        r->columns = mem_grow(r->columns, (size_t)count, sizeof r->columns[0]);
        r->columns_cap = (size_t)count;
    }
    for (size_t i = 0; i < count; i++) {
        if (!reader_bytes(r, CHANGE_NAME_MAX, &r->columns[i].name) || !reader_number(r, &flags) ||
            flags > CHANGE_COLUMN_FLAGS || ((flags & CHANGE_COLUMN_ROWID) && i > 0))
            return false;
        r->columns[i].flags = (unsigned)flags;
    }
    return true;
}

enum err_code change_table_next(
    struct change_reader *r, bool *ret_found, struct change_table_view *ret, struct err *err)
{
    uint64_t flags, columns;
    *ret_found = r->tables_left > 0;
    if (r->tables_left == 0)
        return r->rest.len ? damaged(err) : ERR_OK;
    r->tables_left--;
    const char *begin = r->rest.ptr;
    if (!reader_bytes(r, CHANGE_NAME_MAX, &ret->name) || !reader_number(r, &flags) ||
        flags > CHANGE_TABLE_FLAGS || !reader_number(r, &columns) || !take_columns(r, columns))
        return damaged(err);
    ret->head = str_make(begin, (size_t)(r->rest.ptr - begin));
    ret->flags = (unsigned)flags;
    ret->column_count = (size_t)columns;
    ret->columns = r->columns;
    if (!reader_number(r, &ret->row_count) || !reader_bytes(r, SIZE_MAX, &ret->rows))
        return damaged(err);
    return ERR_OK;
}

/* What one half of a row may leave out: nothing, but for the halves of an UPDATE. A column changed in both or
 * in none; the old one always tells the key. */
enum half { HALF_WHOLE, HALF_OLD, HALF_NEW };

static inline bool may_be(const struct change_table_view *t, enum half half, size_t i, bool same, bool *left)
{
    if (half == HALF_WHOLE)
        return !same;
    bool key = t->columns[i].flags & (CHANGE_COLUMN_KEY | CHANGE_COLUMN_ROWID);
    if (half == HALF_NEW)
        return key || left[i] == same;
    left[i] = same;
    return !(key && same);
}

static inline bool take_half(const struct change_table_view *t, enum half half, bool *left,
    const unsigned char **at, const unsigned char *end, struct str *ret)
{
    struct change_cell cell;
    const unsigned char *begin = *at;
    for (size_t i = 0; i < t->column_count; i++) {
        bool same = *at < end && **at == CHANGE_SAME;
        if (same)
            ++*at;
        else if (!take_cell(at, end, &cell))
            return false;
        if (!may_be(t, half, i, same, left))
            return false;
    }
    *ret = between(begin, *at);
    return true;
}

enum err_code change_row_next(const struct change_table_view *t, struct str *rest, bool *ret_found,
    struct change_row *ret, struct err *err)
{
    bool left[CHANGE_COLUMNS_MAX]; /* filled as far as it is read */
    const unsigned char *begin = begin_of(*rest), *at = begin + 1, *end = end_of(*rest);
    *ret_found = rest->len > 0;
    if (rest->len == 0)
        return ERR_OK;
    unsigned op = *begin & ~(unsigned)CHANGE_INDIRECT;
    *ret = (struct change_row){.op = (enum change_op)op,
        .indirect = *begin & CHANGE_INDIRECT,
        .old_cells = {NULL, 0},
        .new_cells = {NULL, 0}};
    if (op == 0 || op >= CHANGE_OP_COUNT)
        return damaged(err);
    bool update = op == CHANGE_UPDATE;
    if (op != CHANGE_INSERT && !take_half(t, update ? HALF_OLD : HALF_WHOLE, left, &at, end, &ret->old_cells))
        return damaged(err);
    if (op != CHANGE_DELETE && !take_half(t, update ? HALF_NEW : HALF_WHOLE, left, &at, end, &ret->new_cells))
        return damaged(err);
    ret->bytes = between(begin, at);
    *rest = between(at, end);
    return ERR_OK;
}

void change_row_columns(const struct change_table_view *t, const struct change_row *row, bool *touched)
{
    struct change_cell cell;
    const unsigned char *at = begin_of(row->new_cells), *end = end_of(row->new_cells);
    for (size_t i = 0; row->op == CHANGE_UPDATE && i < t->column_count; i++) {
        bool ok = take_cell(&at, end, &cell);
        CHECK(ok);
        touched[i] |= cell.kind != CHANGE_SAME;
    }
}

/* --- Whole sets --- */

typedef enum err_code table_fn(void *arg, const struct change_table_view *t, struct err *err);

static enum err_code each_table(struct str bytes, table_fn *fn, void *arg, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = change_reader_init(&r, bytes, err);
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found)
            code = fn(arg, &t, err);
    }
    change_reader_release(&r);
    return code;
}

static enum err_code check_table(void *arg, const struct change_table_view *t, struct err *err)
{
    struct str rest = t->rows;
    struct change_row row;
    uint64_t rows = 0;
    bool found = true;
    (void)arg;
    while (found) {
        enum err_code code = change_row_next(t, &rest, &found, &row, err);
        if (code)
            return code;
        rows += found;
    }
    return rows == t->row_count ? ERR_OK : damaged(err);
}

enum err_code change_set_check(struct str bytes, struct err *err)
{
    return each_table(bytes, check_table, NULL, err);
}

static enum err_code count_rows(void *arg, const struct change_table_view *t, struct err *err)
{
    (void)err;
    *(uint64_t *)arg += t->row_count;
    return ERR_OK;
}

static void add_number(struct digest_stream *digest, uint64_t n)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(n >> (8 * i));
    digest_stream_add(digest, str_make(bytes, sizeof bytes));
}

/* Nobody named the row id of a table that has a key, nor that of a new row. */
static struct str without_rowid(
    const struct change_table_view *t, const struct change_row *row, struct str cells)
{
    if (!(t->columns[0].flags & CHANGE_COLUMN_ROWID) || cells.ptr == NULL)
        return cells;
    if (row->op == CHANGE_INSERT || (t->flags & CHANGE_TABLE_HAS_KEY))
        (void)change_cell_next(&cells);
    return cells;
}

static enum err_code hash_table(void *arg, const struct change_table_view *t, struct err *err)
{
    struct digest_stream *digest = arg;
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    add_number(digest, t->head.len);
    digest_stream_add(digest, t->head);
    add_number(digest, t->row_count);
    if (!(t->columns[0].flags & CHANGE_COLUMN_ROWID)) {
        digest_stream_add(digest, t->rows);
        return ERR_OK;
    }
    for (;;) {
        enum err_code code = change_row_next(t, &rest, &found, &row, err);
        if (code || !found)
            return code;
        digest_stream_add(digest, str_slice(row.bytes, 0, 1));
        digest_stream_add(digest, without_rowid(t, &row, row.old_cells));
        digest_stream_add(digest, without_rowid(t, &row, row.new_cells));
    }
}

enum err_code change_set_count(struct str bytes, uint64_t *ret_rows, struct err *err)
{
    *ret_rows = 0;
    return each_table(bytes, count_rows, ret_rows, err);
}

enum err_code change_set_hash(struct str bytes, struct digest_stream *digest, struct err *err)
{
    return each_table(bytes, hash_table, digest, err);
}

/* --- The inverse --- */

/* The new half says "same" of the key where it stayed, the old one never does. */
static char *write_turned(char *out, const struct change_table_view *t, const struct change_row *row)
{
    const unsigned char *was_end = end_of(row->old_cells), *is_end = end_of(row->new_cells);
    struct change_cell cell;
    for (size_t half = 0; half < 2; half++) {
        const unsigned char *was = begin_of(row->old_cells), *is = begin_of(row->new_cells);
        for (size_t i = 0; i < t->column_count; i++) {
            const unsigned char *a = was, *b = is;
            bool ok = take_cell(&was, was_end, &cell) && take_cell(&is, is_end, &cell);
            CHECK(ok);
            bool from_old = (half == 0) == (*b == CHANGE_SAME);
            size_t len = (size_t)(from_old ? was - a : is - b);
            memcpy(out, from_old ? a : b, len);
            out += len;
        }
    }
    return out;
}

static void put_inverse(struct strbuf *out, const struct change_table_view *t, const struct change_row *row)
{
    static const enum change_op INVERSE[] = {
        [CHANGE_INSERT] = CHANGE_DELETE, [CHANGE_UPDATE] = CHANGE_UPDATE, [CHANGE_DELETE] = CHANGE_INSERT};
    char *begin = strbuf_reserve(out, row->bytes.len), *at = begin; /* the same cells in another order */
    if (!begin)
        return;
    *at++ = (char)((int)INVERSE[row->op] | (row->indirect ? CHANGE_INDIRECT : 0));
    if (row->op == CHANGE_UPDATE) {
        at = write_turned(at, t, row);
    } else {
        memcpy(at, row->bytes.ptr + 1, row->bytes.len - 1);
        at += row->bytes.len - 1;
    }
    strbuf_commit(out, (size_t)(at - begin));
}

static enum err_code invert_table(void *arg, const struct change_table_view *t, struct err *err)
{
    struct strbuf *out = arg;
    struct strbuf rows;
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    enum err_code code = ERR_OK;
    strbuf_init(&rows, out->limit);
    for (;;) {
        code = change_row_next(t, &rest, &found, &row, err);
        if (code || !found)
            break;
        put_inverse(&rows, t, &row);
    }
    if (!code) {
        strbuf_add_str(out, t->head);
        change_put_number(out, t->row_count);
        change_put_name(out, strbuf_str(&rows));
        out->failed |= strbuf_failed(&rows);
    }
    strbuf_release(&rows);
    return code;
}

enum err_code change_set_invert(struct str bytes, struct strbuf *out, struct err *err)
{
    struct change_reader r;
    enum err_code code = change_reader_init(&r, bytes, err);
    if (code)
        return code;
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, r.tables_left);
    change_reader_release(&r);
    code = each_table(bytes, invert_table, out, err);
    if (!code && strbuf_failed(out))
        return err_set(err, ERR_TOO_LARGE, "the change set is too large");
    return code;
}
