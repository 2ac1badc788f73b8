/* Refs, slugs and times of branches. */
#include "branch/branch.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "crypto/digest.h"

#define SUM_HEX     10
#define RANDOM_TAIL 6
#define DAY_S       86400
#define TTL_S_MIN   60
#define TTL_DAYS    30

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_ref_char(char c)
{
    return is_alnum(c) || c == '.' || c == '_' || c == '-' || c == '/';
}

enum err_code branch_check_ref(struct str ref, const char *pointer, struct err *err)
{
    size_t good = 0;

    while (good < ref.len && is_ref_char(ref.ptr[good]))
        good++;
    if (ref.len == 0 || ref.len > (size_t)LIMIT_REF_BYTES)
        return err_field(err, pointer, "must be 1 to %d characters", (int)LIMIT_REF_BYTES);
    if (good < ref.len || !is_alnum(ref.ptr[0]))
        return err_field(err, pointer,
            "may hold A-Z, a-z, 0-9, \".\", \"_\", \"-\" and \"/\", and begins with a letter or a digit");
    return ERR_OK;
}

struct str branch_invent_ref(struct arena *a, struct str purpose)
{
    static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char tail[RANDOM_TAIL + 1] = "";
    struct str head = slug_from_text(a, purpose, (size_t)LIMIT_REF_BYTES - RANDOM_TAIL - 1);

    for (size_t i = 0; i < RANDOM_TAIL; i++)
        tail[i] = ALPHABET[rand_below(sizeof ALPHABET - 1)];
    if (!head.len)
        head = S("branch");
    return arena_printf(a, STR_FMT "-%s", STR_ARG(head), tail);
}

static bool is_plain(struct str ref)
{
    for (size_t i = 1; i < ref.len; i++)
        if (ref.ptr[i] == '-' && ref.ptr[i - 1] == '-')
            return false;
    return slug_valid(ref);
}

/* "Feature/Login" of main: main-feature-login-1b2c3d4e5f. */
static void summed_slug(struct str parent, struct str ref, char ret[SLUG_SIZE])
{
    AUTO_ARENA a;
    AUTO_STRBUF hex;
    struct digest d = digest_sha256(ref);
    size_t left = (size_t)LIMIT_SLUG_BYTES - SUM_HEX - 1;

    arena_init(&a, 4096);
    strbuf_init(&hex, (size_t)2 * DIGEST_BYTES);
    digest_hex(&hex, &d);
    CHECK(!strbuf_failed(&hex));
    struct str whole = arena_printf(&a, STR_FMT "-" STR_FMT, STR_ARG(parent), STR_ARG(ref));
    struct str text = slug_from_text(&a, whole, left);
    CHECK(text.len);
    str_print(ret, SLUG_SIZE, STR_FMT "-%.*s", STR_ARG(text), SUM_HEX, strbuf_cstr(&hex));
}

enum err_code branch_slug(struct str parent_slug, struct str ref, char ret[SLUG_SIZE], struct err *err)
{
    enum err_code code = branch_check_ref(ref, "/ref", err);

    if (code)
        return code;
    if (is_plain(ref) && parent_slug.len + 1 + ref.len <= (size_t)LIMIT_SLUG_BYTES)
        str_print(ret, SLUG_SIZE, STR_FMT "-" STR_FMT, STR_ARG(parent_slug), STR_ARG(ref));
    else
        summed_slug(parent_slug, ref, ret);
    return ERR_OK;
}

/* --- Times --- */

static enum err_code read_at(struct str text, int64_t now_ms, int64_t *ret, struct err *err)
{
    int64_t at;

    if (!clock_parse_iso(text, &at))
        return err_field(err, "/expiresAt", "must be a time such as 2026-05-05T12:30:00.000Z");
    if (at <= now_ms || at > now_ms + (int64_t)TTL_DAYS * DAY_S * 1000)
        return err_field(err, "/expiresAt", "must lie ahead, by at most %d days", TTL_DAYS);
    *ret = at;
    return ERR_OK;
}

enum err_code branch_read_ttl(const struct branch_ttl *in, int64_t now_ms, int64_t *ret, struct err *err)
{
    bool days = in->days >= 0, seconds = in->seconds >= 0;

    *ret = -1;
    if (in->at.ptr && (days || seconds))
        return err_field(
            err, "/expiresAt", "says the same as %s: send one of them", days ? "ttlDays" : "ttlSec");
    if (days && seconds)
        return err_field(err, "/ttlDays", "says the same as ttlSec: send one of them");
    if (in->at.ptr)
        return read_at(in->at, now_ms, ret, err);
    if (days && (in->days < 1 || in->days > TTL_DAYS))
        return err_field(err, "/ttlDays", "must be 1 to %d", TTL_DAYS);
    if (seconds && in->seconds && (in->seconds < TTL_S_MIN || in->seconds > (int64_t)TTL_DAYS * DAY_S))
        return err_field(err, "/ttlSec", "must be %d to %d, or 0 to keep it until it is deleted", TTL_S_MIN,
            TTL_DAYS * DAY_S);
    if (days)
        *ret = now_ms + in->days * DAY_S * 1000;
    if (seconds)
        *ret = in->seconds ? now_ms + in->seconds * 1000 : 0;
    return ERR_OK;
}
