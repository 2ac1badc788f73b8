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
void change_put_cell(struct strbuf *out, const struct change_cell *cell)
{
    char *at = strbuf_reserve(out, 1 + VARINT_MAX + cell->bytes.len);
    size_t len = 1;
    if (!at)
        return;
    at[0] = (char)cell->kind;
    switch (cell->kind) {
    case CHANGE_INT: len += write_number(at + len, zigzag(cell->integer)); break;
    case CHANGE_REAL:
        memcpy(at + len, &cell->real, REAL_BYTES);
        len += REAL_BYTES;
        break;
    case CHANGE_TEXT:
    case CHANGE_BLOB:
        len += write_number(at + len, cell->bytes.len);
        memcpy(at + len, cell->bytes.ptr, cell->bytes.len);
        len += cell->bytes.len;
        break;
    default: break;
    }
    strbuf_commit(out, len);
}

/* --- Reading --- */

static bool take_number(struct str *rest, uint64_t *ret)
{
    uint64_t n = 0;
    for (size_t i = 0; i < rest->len && i < VARINT_MAX; i++) {
        uint64_t byte = (unsigned char)rest->ptr[i];
        if (i == VARINT_MAX - 1 && byte > 1)
            return false;
        n |= (byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        if (i > 0 && byte == 0)
            return false; /* there is a shorter form */
        *rest = str_slice(*rest, i + 1, rest->len);
        *ret = n;
        return true;
    }
    return false;
}

static bool take_bytes(struct str *rest, size_t max, struct str *ret)
{
    uint64_t len;
    if (!take_number(rest, &len) || len > max || len > rest->len)
        return false;
    *ret = str_slice(*rest, 0, (size_t)len);
    *rest = str_slice(*rest, (size_t)len, rest->len);
    return true;
}

static bool take_cell(struct str *rest, struct change_cell *ret)
{
    uint64_t n;
    if (rest->len == 0 || (unsigned char)rest->ptr[0] >= CHANGE_KINDS)
        return false;
    *ret = (struct change_cell){.kind = (enum change_kind)rest->ptr[0], .bytes = STR_EMPTY};
    *rest = str_slice(*rest, 1, rest->len);
    switch (ret->kind) {
    case CHANGE_INT:
        if (!take_number(rest, &n))
            return false;
        ret->integer = unzigzag(n);
        return true;
    case CHANGE_REAL:
        if (rest->len < REAL_BYTES)
            return false;
        memcpy(&ret->real, rest->ptr, REAL_BYTES);
        *rest = str_slice(*rest, REAL_BYTES, rest->len);
        return true;
    case CHANGE_TEXT:
    case CHANGE_BLOB: return take_bytes(rest, SIZE_MAX, &ret->bytes);
    default: return true;
    }
}

struct change_cell change_cell_next(struct str *cells)
{
    struct change_cell cell;
    bool ok = take_cell(cells, &cell);
    CHECK(ok);
    return cell;
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

enum err_code change_reader_init(struct change_reader *r, struct str bytes, struct err *err)
{
    size_t magic = sizeof CHANGE_SET_MAGIC - 1;
    *r = (struct change_reader){.rest = str_slice(bytes, magic, bytes.len)};
    if (!str_starts(bytes, S(CHANGE_SET_MAGIC)) || !take_number(&r->rest, &r->tables_left) ||
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
        if (!take_bytes(&r->rest, CHANGE_NAME_MAX, &r->columns[i].name) || !take_number(&r->rest, &flags) ||
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
    if (!take_bytes(&r->rest, CHANGE_NAME_MAX, &ret->name) || !take_number(&r->rest, &flags) ||
        flags > CHANGE_TABLE_FLAGS || !take_number(&r->rest, &columns) || !take_columns(r, columns))
        return damaged(err);
    ret->head = str_make(begin, (size_t)(r->rest.ptr - begin));
    ret->flags = (unsigned)flags;
    ret->column_count = (size_t)columns;
    ret->columns = r->columns;
    if (!take_number(&r->rest, &ret->row_count) || !take_bytes(&r->rest, SIZE_MAX, &ret->rows))
        return damaged(err);
    return ERR_OK;
}

/* A row that stands for itself: only the halves of an UPDATE leave something out. */
static bool take_cells(struct str *rest, size_t count, bool may_leave_out, struct str *ret)
{
    struct change_cell cell;
    const char *begin = rest->ptr;
    for (size_t i = 0; i < count; i++) {
        if (!take_cell(rest, &cell) || (cell.kind == CHANGE_SAME && !may_leave_out))
            return false;
    }
    *ret = str_make(begin, (size_t)(rest->ptr - begin));
    return true;
}

/* A column changed in both halves or in none; the key is always told. */
static bool halves_fit(const struct change_table_view *t, struct str old_cells, struct str new_cells)
{
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell was = change_cell_next(&old_cells), is = change_cell_next(&new_cells);
        bool key = t->columns[i].flags & (CHANGE_COLUMN_KEY | CHANGE_COLUMN_ROWID);
        if (key ? was.kind == CHANGE_SAME : (was.kind == CHANGE_SAME) != (is.kind == CHANGE_SAME))
            return false;
    }
    return true;
}

enum err_code change_row_next(const struct change_table_view *t, struct str *rest, bool *ret_found,
    struct change_row *ret, struct err *err)
{
    *ret_found = rest->len > 0;
    if (rest->len == 0)
        return ERR_OK;
    const char *begin = rest->ptr;
    unsigned op = (unsigned char)rest->ptr[0] & ~(unsigned)CHANGE_INDIRECT;
    *ret = (struct change_row){.op = (enum change_op)op,
        .indirect = rest->ptr[0] & CHANGE_INDIRECT,
        .old_cells = {NULL, 0},
        .new_cells = {NULL, 0}};
    *rest = str_slice(*rest, 1, rest->len);
    if (op == 0 || op >= CHANGE_OP_COUNT)
        return damaged(err);
    bool update = op == CHANGE_UPDATE;
    if (op != CHANGE_INSERT && !take_cells(rest, t->column_count, update, &ret->old_cells))
        return damaged(err);
    if (op != CHANGE_DELETE && !take_cells(rest, t->column_count, update, &ret->new_cells))
        return damaged(err);
    if (update && !halves_fit(t, ret->old_cells, ret->new_cells))
        return damaged(err);
    ret->bytes = str_make(begin, (size_t)(rest->ptr - begin));
    return ERR_OK;
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
static void put_turned(struct strbuf *out, const struct change_table_view *t, const struct change_row *row)
{
    struct str old_cells = row->old_cells, new_cells = row->new_cells;
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell was = change_cell_next(&old_cells), is = change_cell_next(&new_cells);
        change_put_cell(out, is.kind == CHANGE_SAME ? &was : &is);
    }
    old_cells = row->old_cells;
    new_cells = row->new_cells;
    for (size_t i = 0; i < t->column_count; i++) {
        struct change_cell was = change_cell_next(&old_cells), is = change_cell_next(&new_cells);
        change_put_cell(out, is.kind == CHANGE_SAME ? &is : &was);
    }
}

static void put_inverse(struct strbuf *out, const struct change_table_view *t, const struct change_row *row)
{
    static const enum change_op INVERSE[] = {
        [CHANGE_INSERT] = CHANGE_DELETE, [CHANGE_UPDATE] = CHANGE_UPDATE, [CHANGE_DELETE] = CHANGE_INSERT};
    strbuf_add_char(out, (char)((int)INVERSE[row->op] | (row->indirect ? CHANGE_INDIRECT : 0)));
    if (row->op == CHANGE_UPDATE)
        put_turned(out, t, row);
    else
        strbuf_add_str(out, row->op == CHANGE_INSERT ? row->new_cells : row->old_cells);
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
