/* What makes a password: long enough, and not only made of what everybody tries first. */
#include "base/check.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/password.h"

enum { TEXT_MAX = 256, RUN_MIN = 4, ABOUT_WORD_MIN = 4, DISTINCT_MIN = 5 };

static const struct str WORDS[] = {
#define PASSWORD_WORD(word) {word, sizeof(word) - 1},
#include "password_words.def"
#undef PASSWORD_WORD
};

/* The password in lower case, and which of its bytes count for nothing. */
struct weighed {
    char text[TEXT_MAX];
    bool common[TEXT_MAX];
    size_t len;
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void mark(struct weighed *w, size_t from, size_t len)
{
    for (size_t i = from; i < from + len; i++)
        w->common[i] = true;
}

static void mark_word(struct weighed *w, struct str word)
{
    for (size_t i = 0; i + word.len <= w->len; i++)
        if (memcmp(w->text + i, word.ptr, word.len) == 0)
            mark(w, i, word.len);
}

/* Every run of letters and digits of the address. */
static void mark_words_of(struct weighed *w, struct str about)
{
    char word[TEXT_MAX];
    size_t len = 0;
    for (size_t i = 0; i <= about.len; i++) {
        char c = i < about.len ? lower(about.ptr[i]) : '\0';
        if (is_alnum(c) && len < sizeof word) {
            word[len++] = c;
            continue;
        }
        if (len >= ABOUT_WORD_MIN)
            mark_word(w, str_make(word, len));
        len = 0;
    }
}

/* "aa", "ab", "ba", and neighbours on a keyboard. */
static bool follows(char a, char b)
{
    static const char KEYS[] = "qwertyuiop asdfghjkl zxcvbnm";
    const char *at = a == ' ' ? NULL : memchr(KEYS, a, sizeof KEYS - 1);
    return a == b || (is_alnum(a) && is_alnum(b) && (b == a + 1 || b == a - 1)) || (at && at[1] == b);
}

static void mark_runs(struct weighed *w)
{
    size_t start = 0;
    for (size_t i = 1; i <= w->len; i++) {
        if (i < w->len && follows(w->text[i - 1], w->text[i]))
            continue;
        if (i - start >= RUN_MIN)
            mark(w, start, i - start);
        start = i;
    }
}

/* Letters, digits and characters beyond ASCII that are left; a character counts by its first byte. */
static int count_own(const struct weighed *w)
{
    int own = 0;
    for (size_t i = 0; i < w->len; i++) {
        unsigned char c = (unsigned char)w->text[i];
        own += !w->common[i] && (is_alnum((char)c) || c >= 0xc0);
    }
    return own;
}

static int count_distinct(const struct weighed *w)
{
    bool seen[UINT8_MAX + 1] = {false};
    int distinct = 0;
    for (size_t i = 0; i < w->len; i++) {
        unsigned char c = (unsigned char)w->text[i];
        distinct += !seen[c];
        seen[c] = true;
    }
    return distinct;
}

static bool easy_to_guess(struct str password, struct str about)
{
    struct weighed w = {.len = password.len};
    CHECK(password.len <= sizeof w.text);
    for (size_t i = 0; i < password.len; i++)
        w.text[i] = lower(password.ptr[i]);
    for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
        mark_word(&w, WORDS[i]);
    mark_words_of(&w, about);
    mark_runs(&w);
    bool easy = count_own(&w) < LIMIT_PASSWORD_OWN_CHARS_MIN || count_distinct(&w) < DISTINCT_MIN;
    mem_wipe(&w, sizeof w);
    return easy;
}

static int64_t count_characters(struct str s)
{
    int64_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return count;
}

enum err_code password_check(struct str password, struct str about, const char *pointer, struct err *err)
{
    if (password.len > (size_t)LIMIT_PASSWORD_BYTES_MAX)
        return err_field(err, pointer, "must have at most %d bytes", (int)LIMIT_PASSWORD_BYTES_MAX);
    if (!utf8_valid(password))
        return err_field(err, pointer, "must be UTF-8 text");
    if (count_characters(password) < LIMIT_PASSWORD_CHARS_MIN)
        return err_field(err, pointer, "must have at least %d characters", (int)LIMIT_PASSWORD_CHARS_MIN);
    if (easy_to_guess(password, about))
        return err_field(err, pointer,
            "is made of what everybody tries first: common words, runs of keys, the address; add something "
            "of your "
            "own");
    return ERR_OK;
}
