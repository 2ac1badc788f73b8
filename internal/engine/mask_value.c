/* One value, masked. What must not meet is moved about by a Feistel network whose round function is
 * SipHash-2-4, for it is asked many times for each value: a secret one-to-one way from all values of a form
 * to all values of that form. Tokens are cut from HMAC-SHA256. */
#include "engine/mask.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "engine/mask_names.h"

#include <math.h>

enum {
    ROUNDS = 8,
    SYMBOLS_MAX = 64, /* longer ones are covered by a stream instead */
    SMALL_BITS = 52,  /* integers below 2^52 stay there: JavaScript reads them exactly */
};

enum purpose { TOKEN, BLOB, REAL, TEXT, NAME, EMAIL, DATE, INTEGER, BYTES, SHAPE, DIGITS, PURPOSE_COUNT };

struct masking {
    const struct mask_keys *keys;
    struct strbuf *out;
};

/* --- Pseudorandom numbers --- */

void mask_keys_make(struct mask_keys *ret, struct str secret)
{
    CHECK((int)PURPOSE_COUNT <= (int)ARRAY_LEN(ret->of));
    for (size_t i = 0; i < PURPOSE_COUNT; i++) {
        const unsigned char purpose = (unsigned char)i;
        ret->of[i] = digest_hmac(secret, str_make(&purpose, 1));
    }
}

static struct digest tag_of(const struct masking *m, enum purpose purpose, struct str data)
{
    return digest_hmac(digest_str(&m->keys->of[purpose]), data);
}

static uint64_t get_u64(const unsigned char *at)
{
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | at[i];
    return n;
}

static uint64_t prf(const struct digest *key, const void *data, size_t len)
{
    const uint64_t k[2] = {get_u64(key->bytes), get_u64(key->bytes + 8)};
    return siphash(k, str_make(data, len), 2, 4);
}

/* As many as are asked for, from one seed. */
struct stream {
    struct digest seed;
    uint64_t counter;
};

static uint64_t stream_next(struct stream *s)
{
    uint64_t n = s->counter++;
    return prf(&s->seed, &n, sizeof n);
}

/* --- Moving about --- */

/* Numbers, each below its radix. */
struct symbols {
    uint32_t value[SYMBOLS_MAX];
    uint64_t radix[SYMBOLS_MAX]; /* at most 2^32 */
    size_t count;
};

/* What one half says in one round, to each number of the other. */
struct round_input {
    uint64_t form, round;
    uint32_t value[SYMBOLS_MAX];
};

/* Adds to [from, to) what the others say. */
static void round_of(
    const struct digest *key, struct round_input *in, struct symbols *s, size_t from, size_t to)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (i < from || i >= to)
            in->value[count++] = s->value[i];
    }
    uint64_t said[2] = {prf(key, in, offsetof(struct round_input, value) + count * sizeof in->value[0]), 0};
    for (size_t i = from; i < to; i++, said[1]++)
        s->value[i] = (uint32_t)((s->value[i] + prf(key, said, sizeof said) % s->radix[i]) % s->radix[i]);
}

/* `form` is what stays the same. */
static void move(const struct masking *m, enum purpose purpose, struct str form, struct symbols *s)
{
    const struct digest *key = &m->keys->of[purpose];
    struct round_input in = {.form = prf(key, form.ptr, form.len)};
    size_t half = s->count / 2;
    for (in.round = 0; in.round < ROUNDS; in.round++) {
        if (in.round % 2)
            round_of(key, &in, s, half, s->count);
        else
            round_of(key, &in, s, 0, half);
    }
}

/* All 64 bits, or the lower 52. */
static uint64_t move_bits(const struct masking *m, uint64_t n, int bits)
{
    struct symbols s = {.count = 2};
    int half = bits / 2;
    for (int i = 0; i < 2; i++) {
        s.radix[i] = UINT64_C(1) << half;
        s.value[i] = (uint32_t)(n >> (half * i) & (s.radix[i] - 1));
    }
    move(m, INTEGER, bits == 64 ? S("64") : S("52"), &s);
    return (uint64_t)s.value[1] << half | s.value[0];
}

static bool is_small(uint64_t n)
{
    return n >> SMALL_BITS == 0;
}

/* Those that do not fit move among themselves: out of 2^64 a step seldom ends elsewhere. */
static int64_t move_integer(const struct masking *m, int64_t number)
{
    uint64_t n = (uint64_t)number;
    if (is_small(n))
        return (int64_t)move_bits(m, n, SMALL_BITS);
    do {
        n = move_bits(m, n, 64);
    } while (is_small(n));
    return (int64_t)n;
}

/* --- hash --- */

static struct mask_value as_text(struct strbuf *out)
{
    return (struct mask_value){.type = MASK_T_TEXT, .bytes = strbuf_str(out)};
}

/* 32 characters, the first a letter: no column takes it for a number. */
static struct mask_value token(const struct masking *m, struct str text)
{
    struct digest d = tag_of(m, TOKEN, text);
    strbuf_add_char(m->out, (char)('a' + (d.bytes[0] & 15)));
    for (int i = 1; i < 32; i++)
        strbuf_add_char(m->out, "0123456789abcdef"[d.bytes[i / 2] >> (i % 2 ? 4 : 0) & 15]);
    return as_text(m->out);
}

static struct mask_value hash_blob(const struct masking *m, struct str blob)
{
    struct symbols s = {.count = blob.len};
    struct mask_value v = {.type = MASK_T_BLOB};
    if (blob.len > SYMBOLS_MAX) {
        struct stream stream = {.seed = tag_of(m, BLOB, blob)};
        for (size_t i = 0; i < SYMBOLS_MAX; i++)
            strbuf_add_char(m->out, (char)stream_next(&stream));
        v.bytes = strbuf_str(m->out);
        return v;
    }
    for (size_t i = 0; i < s.count; i++) {
        s.radix[i] = 256;
        s.value[i] = (unsigned char)blob.ptr[i];
    }
    unsigned char len = (unsigned char)blob.len;
    move(m, BYTES, str_make(&len, 1), &s);
    for (size_t i = 0; i < s.count; i++)
        strbuf_add_char(m->out, (char)s.value[i]);
    v.bytes = strbuf_str(m->out);
    return v;
}

static struct mask_value hash_real(const struct masking *m, double real)
{
    struct digest d = tag_of(m, REAL, str_make(&real, sizeof real));
    return (struct mask_value){
        .type = MASK_T_REAL, .real = (double)(get_u64(d.bytes) >> 11) / (double)(UINT64_C(1) << 53)};
}

static struct mask_value hash(const struct masking *m, const struct mask_value *in)
{
    switch (in->type) {
    case MASK_T_INT: return (struct mask_value){.type = MASK_T_INT, .number = move_integer(m, in->number)};
    case MASK_T_REAL: return hash_real(m, in->real);
    case MASK_T_TEXT: return token(m, in->bytes);
    case MASK_T_BLOB: return hash_blob(m, in->bytes);
    default: return *in;
    }
}

/* --- shape --- */

/* What a character may become: the first of how many. 0: it stays. */
static uint32_t class_of(char c, char *ret_first)
{
    *ret_first = c >= '0' && c <= '9' ? '0' : c >= 'a' && c <= 'z' ? 'a' : 'A';
    if (c >= '0' && c <= '9')
        return 10;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? 26 : 0;
}

/* true: ASCII, with something to move. */
static bool has_shape(struct str s, size_t *ret_count)
{
    char first;
    *ret_count = 0;
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80 || s.ptr[i] == '\0')
            return false;
        *ret_count += class_of(s.ptr[i], &first) > 0;
    }
    return *ret_count > 0;
}

static struct mask_value shape_long(const struct masking *m, struct str s)
{
    struct stream stream = {.seed = tag_of(m, TEXT, s)};
    for (size_t i = 0; i < s.len; i++) {
        char first;
        uint32_t radix = class_of(s.ptr[i], &first);
        strbuf_add_char(m->out, radix ? (char)(first + (char)(stream_next(&stream) % radix)) : s.ptr[i]);
    }
    return as_text(m->out);
}

/* The same characters but for what moves, in order of the text: what all texts of that form share. */
static void take_symbols(struct str text, struct symbols *s, char *form)
{
    for (size_t i = 0; i < text.len; i++) {
        char first;
        uint32_t radix = class_of(text.ptr[i], &first);
        form[i] = radix ? first : text.ptr[i];
        if (!radix)
            continue;
        s->radix[s->count] = radix;
        s->value[s->count++] = (uint32_t)(text.ptr[i] - first);
    }
}

static struct mask_value shape_text(const struct masking *m, struct str text)
{
    struct symbols s = {.count = 0};
    char form[4 * SYMBOLS_MAX], first;
    size_t count, at = 0;
    if (!has_shape(text, &count))
        return token(m, text);
    if (count > SYMBOLS_MAX || text.len > sizeof form)
        return shape_long(m, text);
    take_symbols(text, &s, form);
    move(m, SHAPE, str_make(form, text.len), &s);
    for (size_t i = 0; i < text.len; i++)
        strbuf_add_char(
            m->out, class_of(text.ptr[i], &first) ? (char)(first + (char)s.value[at++]) : text.ptr[i]);
    return as_text(m->out);
}

/* As many digits, the first no 0. The longest may come out too large, and go on until they do not. */
static uint64_t move_digits(const struct masking *m, uint64_t n, uint64_t max)
{
    char text[24], form[3];
    str_print(text, sizeof text, "%llu", (unsigned long long)n);
    size_t count = strlen(text);
    str_print(form, sizeof form, "%zu", count);
    do {
        struct symbols s = {.count = count};
        for (size_t i = count; i-- > 0; n /= 10) {
            bool leads = i == 0 && count > 1;
            s.radix[i] = leads ? 9 : 10;
            s.value[i] = (uint32_t)(n % 10) - (leads ? 1 : 0);
        }
        move(m, DIGITS, str_of(form), &s);
        for (size_t i = 0; i < count; i++)
            n = n * 10 + s.value[i] + (i == 0 && count > 1 ? 1 : 0);
    } while (n > max);
    return n;
}

static struct mask_value shape_integer(const struct masking *m, int64_t number)
{
    uint64_t most = (uint64_t)INT64_MAX + (number < 0);
    uint64_t n = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    n = move_digits(m, n, most);
    return (struct mask_value){.type = MASK_T_INT, .number = (int64_t)(number < 0 ? 0 - n : n)};
}

/* The same sign and power of ten. */
static struct mask_value shape_real(const struct masking *m, double real)
{
    struct mask_value v = hash_real(m, real);
    double size = fabs(real);
    if (!isfinite(real) || size < 1e-300)
        return v;
    v.real = copysign((1 + 9 * v.real) * pow(10, floor(log10(size))), real);
    if (!isfinite(v.real))
        v.real = copysign(1e308, real);
    return v;
}

static struct mask_value shape(const struct masking *m, const struct mask_value *in)
{
    switch (in->type) {
    case MASK_T_INT: return shape_integer(m, in->number);
    case MASK_T_REAL: return shape_real(m, in->real);
    case MASK_T_TEXT: return shape_text(m, in->bytes);
    default: return hash(m, in);
    }
}

/* --- name, email, date --- */

/* Numbers count as their text for these, so that a name has one mask whatever its column makes of it. */
static struct digest tag_of_value(const struct masking *m, enum purpose purpose, const struct mask_value *in)
{
    char text[40];
    if (in->type == MASK_T_INT)
        str_print(text, sizeof text, "%lld", (long long)in->number);
    else if (in->type == MASK_T_REAL)
        str_print(text, sizeof text, "%.15g", in->real);
    else
        return tag_of(m, purpose, in->bytes);
    return tag_of(m, purpose, str_of(text));
}

static struct mask_value name(const struct masking *m, const struct mask *mask, const struct mask_value *in)
{
    struct digest d = tag_of_value(m, NAME, in);
    if (mask->part != MASK_LAST)
        strbuf_add_cstr(m->out, MASK_FIRST_NAMES[d.bytes[0] % ARRAY_LEN(MASK_FIRST_NAMES)]);
    if (mask->part == MASK_FULL)
        strbuf_add_char(m->out, ' ');
    if (mask->part != MASK_FIRST)
        strbuf_add_cstr(m->out, MASK_LAST_NAMES[d.bytes[1] % ARRAY_LEN(MASK_LAST_NAMES)]);
    return as_text(m->out);
}

static void add_lower(struct strbuf *out, const char *text)
{
    for (; *text; text++)
        strbuf_add_char(out, (char)(*text >= 'A' && *text <= 'Z' ? *text + 32 : *text));
}

/* mia.huber.4k2xq7w3m9zt0@example.com: 65 bits behind the names. */
static struct mask_value email(const struct masking *m, const struct mask *mask, const struct mask_value *in)
{
    struct digest d = tag_of_value(m, EMAIL, in);
    add_lower(m->out, MASK_FIRST_NAMES[d.bytes[0] % ARRAY_LEN(MASK_FIRST_NAMES)]);
    strbuf_add_char(m->out, '.');
    add_lower(m->out, MASK_LAST_NAMES[d.bytes[1] % ARRAY_LEN(MASK_LAST_NAMES)]);
    strbuf_add_char(m->out, '.');
    for (int i = 2; i < 15; i++)
        strbuf_add_char(m->out, "0123456789abcdefghjkmnpqrstvwxyz"[d.bytes[i] & 31]);
    strbuf_add_char(m->out, '@');
    strbuf_add_str(m->out, mask->domain);
    return as_text(m->out);
}

/* Whole weeks, so that weekdays stay. */
static int64_t shift_days(const struct masking *m, int64_t max_days)
{
    struct digest d = tag_of(m, DATE, S("weeks"));
    int64_t weeks = 1 + (int64_t)(get_u64(d.bytes) % (uint64_t)(max_days / 7));
    return 7 * (d.bytes[8] & 1 ? weeks : -weeks);
}

static struct mask_value date(const struct masking *m, const struct mask *mask, const struct mask_value *in)
{
    struct mask_value v = {.type = MASK_T_NULL};
    if (mask_date(shift_days(m, mask->max_days), in, &v, m->out))
        return v;
    strbuf_reset(m->out);
    return shape(m, in);
}

/* --- --- */

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

/* A copy in lower case, in memory of ours, when there is something to fold. */
static struct str fold_text(unsigned fold, struct str s, struct strbuf *copy)
{
    if (fold & MASK_FOLD_SPACES) {
        while (s.len && s.ptr[s.len - 1] == ' ')
            s.len--;
    }
    if (!(fold & MASK_FOLD_CASE))
        return s;
    for (size_t i = 0; i < s.len; i++)
        strbuf_add_char(copy, lower(s.ptr[i]));
    return strbuf_str(copy);
}

static struct mask_value masked(const struct masking *m, const struct mask *mask, const struct mask_value *in)
{
    switch (mask->kind) {
    case MASK_HASH: return hash(m, in);
    case MASK_SHAPE: return shape(m, in);
    case MASK_NAME: return name(m, mask, in);
    case MASK_EMAIL: return email(m, mask, in);
    case MASK_DATE: return date(m, mask, in);
    default: return (struct mask_value){.type = MASK_T_NULL};
    }
}

struct mask_value mask_value(const struct mask_keys *keys, const struct mask *m, unsigned fold,
    const struct mask_value *in, struct strbuf *out)
{
    const struct masking masking = {keys, out};
    struct mask_value v = *in;
    AUTO_STRBUF copy;
    bool bytes = in->type == MASK_T_TEXT || in->type == MASK_T_BLOB;
    strbuf_init(&copy, LIMIT_SQL_VALUE_BYTES);
    strbuf_reset(out);
    if (m->kind == MASK_KEEP || in->type == MASK_T_NULL)
        return v;
    if (m->kind != MASK_NULL && bytes && in->bytes.len == 0)
        return v;
    if (in->type == MASK_T_TEXT)
        v.bytes = fold_text(fold, in->bytes, &copy);
    if (in->type == MASK_T_TEXT && v.bytes.len == 0 && m->kind != MASK_NULL)
        return v; /* spaces that count for nothing */
    if (in->type == MASK_T_REAL && m->kind != MASK_DATE && in->real == floor(in->real) &&
        fabs(in->real) < 9007199254740992.0)
        v = (struct mask_value){.type = MASK_T_INT, .number = (int64_t)in->real};
    return masked(&masking, m, &v);
}
