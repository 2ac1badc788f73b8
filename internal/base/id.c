/* Public ids: time first, then randomness, in lower-case Crockford base32. */
#include "base/id.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/rand.h"

/* The time takes 48 bits and, with the two zero bits in front, ends on a character's edge. */
enum { ID_BYTES = 16, ID_TIME_BYTES = 6, ID_CHARS = 26, ID_TIME_CHARS = 10, ID_PREFIX_MAX = 8 };

static const char ALPHABET[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void put_time(unsigned char bytes[ID_BYTES], int64_t ms)
{
    for (unsigned i = 0; i < ID_TIME_BYTES; i++)
        bytes[i] = (unsigned char)((uint64_t)ms >> (40 - 8 * i));
}

/* 128 bits in 26 groups of five, the first of which has only three. */
static void encode_base32(const unsigned char bytes[ID_BYTES], char *out)
{
    unsigned acc = 0, bits = 2; /* two zero bits in front make the total a multiple of five */
    for (size_t i = 0; i < ID_BYTES; i++) {
        acc = acc << 8 | bytes[i];
        bits += 8;
        for (; bits >= 5; bits -= 5)
            *out++ = ALPHABET[acc >> (bits - 5) & 31];
        acc &= (1U << bits) - 1;
    }
    CHECK(bits == 0);
}

/* Adds one to the last ten characters, fifty of the random bits; false when they are used up. */
static bool count_up(struct id *id)
{
    enum { COUNTED = 10 };
    char *end = id->text + strlen(id->text);
    for (char *p = end - 1; p >= end - COUNTED; p--) {
        const char *digit = strchr(ALPHABET, *p);
        CHECK(digit != NULL);
        *p = digit[1] ? digit[1] : ALPHABET[0];
        if (digit[1])
            return true;
    }
    return false;
}

static void set_time(struct id *id, int64_t ms)
{
    unsigned char bytes[ID_BYTES] = {0};
    char text[ID_CHARS];
    put_time(bytes, ms);
    encode_base32(bytes, text);
    memcpy(id->text + strlen(id->text) - ID_CHARS, text, ID_TIME_CHARS);
}

struct id id_next(struct id_sequence *seq, const char *prefix)
{
    int64_t now = clock_wall_ms();
    bool anew = seq->last.text[0] == '\0' || !count_up(&seq->last);
    if (anew)
        seq->last = id_new(prefix);
    if (now > seq->ms)
        seq->ms = now;
    else if (!anew)
        return seq->last;
    set_time(&seq->last, seq->ms); /* a clock that was set back does not break the order */
    return seq->last;
}

static struct id make(const char *prefix, size_t time_bytes)
{
    struct id id = {.text = ""};
    unsigned char bytes[ID_BYTES];
    size_t n = strlen(prefix);
    CHECK(n > 0 && n <= ID_PREFIX_MAX);
    put_time(bytes, clock_wall_ms());
    rand_bytes(bytes + time_bytes, sizeof bytes - time_bytes);
    memcpy(id.text, prefix, n);
    id.text[n] = '_';
    encode_base32(bytes, id.text + n + 1);
    return id;
}

struct id id_new(const char *prefix)
{
    return make(prefix, ID_TIME_BYTES);
}

struct id id_new_random(const char *prefix)
{
    return make(prefix, 0);
}

bool id_valid(struct str s, const char *prefix)
{
    struct str p = str_of(prefix);
    if (s.len != p.len + 1 + ID_CHARS || !str_starts(s, p) || s.ptr[p.len] != '_' || s.ptr[p.len + 1] > '7')
        return false;
    for (size_t i = p.len + 1; i < s.len; i++)
        if (!memchr(ALPHABET, s.ptr[i], sizeof ALPHABET - 1))
            return false;
    return true;
}

int64_t id_time_ms(struct str s, const char *prefix)
{
    uint64_t ms = 0;
    if (!id_valid(s, prefix))
        return 0;
    for (size_t i = s.len - ID_CHARS; i < s.len - ID_CHARS + ID_TIME_CHARS; i++)
        ms = ms << 5 | (uint64_t)(strchr(ALPHABET, s.ptr[i]) - ALPHABET);
    return (int64_t)ms;
}
