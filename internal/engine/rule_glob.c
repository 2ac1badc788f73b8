/* Globs over names of tables. */
#include "engine/rule.h"

static bool same_letter(char a, char b)
{
    char x = a >= 'A' && a <= 'Z' ? (char)(a | 32) : a, y = b >= 'A' && b <= 'Z' ? (char)(b | 32) : b;
    return x == y;
}

/* One character of UTF-8, or a byte that begins none. */
static size_t next_char(struct str s, size_t at)
{
    at++;
    while (at < s.len && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
        at++;
    return at;
}

/* After the last star everything is tried at one place further: at most the product of the lengths. */
bool rule_glob_matches(struct str glob, struct str name)
{
    size_t g = 0, n = 0, star = SIZE_MAX, tried = 0;
    while (n < name.len) {
        if (g < glob.len && glob.ptr[g] == '*') {
            star = g++;
            tried = n;
        } else if (g < glob.len && glob.ptr[g] == '?') {
            g++;
            n = next_char(name, n);
        } else if (g < glob.len && same_letter(glob.ptr[g], name.ptr[n])) {
            g++;
            n++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            n = ++tried;
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.ptr[g] == '*')
        g++;
    return g == glob.len;
}
