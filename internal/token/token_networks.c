/* The addresses that a token may be used from: a column of text, "10.0.0.0/8 2001:db8::/32", in the order in
 * which they were given. */
#include "token/token_internal.h"
#include "base/check.h"
#include "base/limits.h"

static bool given_before(const struct network *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (network_within(&all[i], &all[count]) && network_within(&all[count], &all[i]))
            return true;
    return false;
}

enum err_code token_networks_join(
    struct arena *a, const struct str *texts, size_t count, struct str *ret_stored, struct err *err)
{
    struct network *all = count ? arena_alloc(a, count * sizeof *all) : NULL;
    struct str stored = {NULL, 0};

    if (count > LIMIT_TOKEN_ADDRESSES)
        return err_field(
            err, "/allowedAddresses", "may name at most %d networks", (int)LIMIT_TOKEN_ADDRESSES);
    if (count && !all)
        return err_set(err, ERR_TOO_LARGE, "too many addresses");
    for (size_t i = 0; i < count; i++) {
        char pointer[32], text[NETWORK_TEXT_SIZE];
        str_print(pointer, sizeof pointer, "/allowedAddresses/%zu", i);
        if (!network_parse(texts[i], &all[i]))
            return err_field(err, pointer,
                "must be an IP address or a network like 10.0.0.0/8 or 2001:db8::/32, with no bits set "
                "behind "
                "its prefix");
        if (given_before(all, i))
            return err_field(err, pointer, "names a network a second time");
        network_text(&all[i], text);
        stored = i ? arena_printf(a, STR_FMT " %s", STR_ARG(stored), text) : arena_printf(a, "%s", text);
        if (!stored.ptr)
            return err_set(err, ERR_TOO_LARGE, "too many addresses");
    }
    *ret_stored = stored;
    return ERR_OK;
}

size_t token_networks_count(struct str stored)
{
    struct str part;
    size_t count = 0;

    while (stored.len && str_cut(&stored, ' ', &part))
        count++;
    return count;
}

void token_networks_read(struct str stored, struct network *ret)
{
    struct str part;

    while (stored.len && str_cut(&stored, ' ', &part)) {
        bool good = network_parse(part, ret++);
        CHECK(good); /* network_text() wrote it */
    }
}

void token_networks_split(struct arena *a, struct str stored, const struct str **ret, size_t *ret_count)
{
    size_t count = token_networks_count(stored), n = 0;
    struct str part, *texts = count ? arena_alloc(a, count * sizeof *texts) : NULL;

    *ret = texts;
    *ret_count = 0;
    while (texts && stored.len && str_cut(&stored, ' ', &part))
        texts[n++] = arena_copy(a, part);
    if (texts)
        *ret_count = count;
}
