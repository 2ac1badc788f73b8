/* See chunked.h. */
#include "http/chunked.h"
#include "base/check.h"

enum { SIZE_DIGITS_MAX = 15 };

enum state { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, LAST_CR, LAST_LF, OVER, BAD };

void chunked_init(struct chunked *k)
{
    *k = (struct chunked){.state = SIZE};
}

static void bad(struct chunked *k, const char *reason)
{
    k->state = BAD;
    k->reason = reason;
}

static void expect(struct chunked *k, char c, char wanted, enum state next, const char *reason)
{
    if (c == wanted)
        k->state = (int)next;
    else
        bad(k, reason);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void read_size(struct chunked *k, char c)
{
    int digit = hex_value(c);
    if (digit >= 0 && k->digits < SIZE_DIGITS_MAX) {
        k->left = k->left * 16 + (uint64_t)digit;
        k->digits++;
    } else if (c == '\r' && k->digits > 0) {
        k->state = SIZE_LF;
    } else if (c == ';' && k->digits > 0) {
        bad(k, "chunk extensions are not accepted in a request body");
    } else {
        bad(k, "the size of a chunk is not 1 to 15 hexadecimal digits and CR LF");
    }
}

static void end_of_size(struct chunked *k, char c)
{
    enum state next = k->left > 0 ? DATA : LAST_CR;
    expect(k, c, '\n', next, "the size of a chunk does not end with CR LF");
    k->digits = 0;
}

static void read_byte(struct chunked *k, char c)
{
    switch ((enum state)k->state) {
    case SIZE: read_size(k, c); return;
    case SIZE_LF: end_of_size(k, c); return;
    case DATA_CR: expect(k, c, '\r', DATA_LF, "a chunk is longer than its size says"); return;
    case DATA_LF: expect(k, c, '\n', SIZE, "a chunk does not end with CR LF"); return;
    case LAST_CR: expect(k, c, '\r', LAST_LF, "trailers are not accepted behind a request body"); return;
    case LAST_LF: expect(k, c, '\n', OVER, "the last chunk does not end with CR LF"); return;
    case DATA:
    case OVER:
    case BAD: break;
    }
    UNREACHABLE("these states read no single byte");
}

static struct str take_data(struct chunked *k, struct str *in)
{
    size_t n = k->left < in->len ? (size_t)k->left : in->len;
    struct str data = str_slice(*in, 0, n);
    *in = str_slice(*in, n, in->len);
    k->left -= n;
    if (k->left == 0)
        k->state = DATA_CR;
    return data;
}

enum chunked_status chunked_read(struct chunked *k, struct str *in, struct str *ret_data)
{
    *ret_data = STR_EMPTY;
    while (k->state != OVER && k->state != BAD) {
        if (in->len == 0)
            return CHUNKED_MORE;
        if (k->state == DATA) {
            *ret_data = take_data(k, in);
            return CHUNKED_DATA;
        }
        read_byte(k, in->ptr[0]);
        *in = str_slice(*in, 1, in->len);
    }
    return k->state == OVER ? CHUNKED_DONE : CHUNKED_BAD;
}
