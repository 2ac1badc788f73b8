/* Public ids: a short prefix, an underscore and 26 characters of Crockford base32: 48 bits of wall-clock
 * milliseconds and 80 random bits, so that ids of one kind sort by creation. "db_01jd…". Any thread. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/attr.h"
#include "base/str.h"

#define ID_MAX 40

struct id {
    char text[ID_MAX]; /* NUL-terminated */
};

/* `prefix` without the underscore, at most 8 characters ("db", "tok", "ns", "usr", "req", "ql"). */
struct id id_new(const char *prefix);
/* The same with 128 random bits and no time: nobody guesses one. */
struct id id_new_random(const char *prefix);
/* Ids in rising order, without asking the kernel for each: the random part of the first is counted up, so
 * they are unique but can be guessed. One thread at a time; zero-initialised. */
struct id_sequence {
    struct id last;
    int64_t ms;
};
struct id id_next(struct id_sequence *seq, const char *prefix);

bool id_valid(struct str s, const char *prefix);
/* When an id of id_new or id_next was made; 0: it is none. */
int64_t id_time_ms(struct str s, const char *prefix);
static inline struct str id_str(const struct id *id)
{
    return str_of(id->text);
}

#endif
