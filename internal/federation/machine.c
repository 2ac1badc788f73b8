/* See machine.h. */
#include "federation/machine_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "crypto/digest.h"

#define MS_PER_S    1000
#define HOUR_MS     3600000
#define RETRY_S     600
#define DIGEST_HEX  12
#define HASHED_MAX  (SLUG_SIZE - 1 - DIGEST_HEX - 1)
#define PREFIX_SIZE 4

struct actor machine_actor(struct arena *a, const struct actor *request, const struct foreign_identity *who)
{
    struct actor by = *request;

    by.kind = ACTOR_MACHINE;
    by.name =
        arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(who->issuer), STR_ARG(str_slice(who->name, 0, 255)));
    return by;
}

/* --- Slugs --- */

static const char *prefix_of(enum issuer_kind kind)
{
    switch (kind) {
    case ISSUER_GITHUB: return "gh-";
    case ISSUER_GITLAB: return "gl-";
    case ISSUER_GOOGLE:
    case ISSUER_OTHER: return "ci-";
    }
    UNREACHABLE("every kind has one");
}

static bool all_of(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) && !strchr(more, c))
            return false;
    }
    return s.len > 0;
}

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return true;
}

/* Would the name with a digest behind it be some other repository's plain one? */
static bool looks_hashed(struct str name)
{
    return name.len >= DIGEST_HEX && is_hex(str_slice(name, name.len - DIGEST_HEX, name.len)) &&
           (name.len == DIGEST_HEX || name.ptr[name.len - DIGEST_HEX - 1] == '-');
}

/* "owner-name" for "owner/name" is the name of one repository alone only if owner has no hyphen. */
static bool is_plain(const struct foreign_identity *who, struct str key)
{
    struct str name = key, owner;

    if (who->kind != ISSUER_GITHUB && who->kind != ISSUER_GITLAB)
        return false;
    if (!str_cut(&name, '/', &owner) || !name.ptr || !all_of(owner, "") || !all_of(name, "-"))
        return false;
    return name.ptr[name.len - 1] != '-' && !looks_hashed(name) && key.len + PREFIX_SIZE < SLUG_SIZE;
}

static struct str with_digest(struct arena *a, const struct foreign_identity *who, struct str key)
{
    AUTO_STRBUF hex;
    struct str text = arena_printf(a, STR_FMT "\n" STR_FMT, STR_ARG(who->issuer), STR_ARG(key));
    struct digest d = digest_sha256(text);
    struct str words =
        slug_from_text(a, arena_printf(a, "%s" STR_FMT, prefix_of(who->kind), STR_ARG(key)), HASHED_MAX);

    strbuf_init(&hex, (size_t)2 * DIGEST_BYTES);
    digest_hex(&hex, &d);
    return arena_printf(a, STR_FMT "-%.*s", STR_ARG(words), DIGEST_HEX, strbuf_cstr(&hex));
}

struct str machine_slug(struct arena *a, const struct foreign_identity *who)
{
    struct str key = repo_key(a, who->kind, who->name), owner, name = key;

    if (!is_plain(who, key))
        return with_digest(a, who, key);
    bool cut = str_cut(&name, '/', &owner);
    CHECK(cut); /* it is plain */
    return arena_printf(a, "%s" STR_FMT "-" STR_FMT, prefix_of(who->kind), STR_ARG(owner), STR_ARG(name));
}

/* --- Passes --- */

static enum err_code check_rate(struct db *db, const struct id *machine, struct err *err)
{
    int64_t count;
    enum err_code code = token_count_machine(db, id_str(machine), clock_wall_ms() - HOUR_MS, &count, err);

    if (code || count < LIMIT_MACHINE_TOKENS_PER_HOUR)
        return code;
    return err_retry(err, ERR_RATE_LIMITED, RETRY_S,
        "It was given %d tokens within an hour; use one of them, or wait",
        (int)LIMIT_MACHINE_TOKENS_PER_HOUR);
}

enum err_code machine_mint(struct db *db, const struct actor *by, struct arena *a,
    const struct machine_mint *in, struct token *ret, struct secret *ret_secret, struct err *err)
{
    const struct token_new wish = {.namespace_id = in->namespace_id,
        .name = str_slice(in->name, 0, utf8_cut(in->name, LIMIT_TOKEN_NAME_BYTES)),
        .role = WIRE_ROLE_ADMIN,
        .database_id = in->database_id,
        .expires_in_s = LIMIT_MACHINE_TOKEN_MS / MS_PER_S,
        .machine_id = in->machine_id,
        .assertion_id = in->assertion_id};
    enum err_code code = check_rate(db, &in->machine_id, err);

    return code ? code : token_create(db, by, a, &wish, ret, ret_secret, err);
}

static enum err_code connect_in_tx(struct db *db, const struct actor *by, struct arena *a,
    const struct foreign_identity *who, struct machine_pass *ret, struct err *err)
{
    struct repo_binding bound;
    enum err_code code = repo_admit(db, by, a, who, &bound, err);

    if (!code)
        code = machine_database(db, by, &(struct machine_owner){bound.namespace_id, who->issuer, who->id},
            machine_slug(a, who), who->name, &ret->database, &ret->made, err);
    if (code)
        return code;
    return machine_mint(db, by, a,
        &(struct machine_mint){
            .machine_id = bound.id,
            .namespace_id = bound.namespace_id,
            .database_id = ret->database.id,
            .name = who->name,
        },
        &ret->token, &ret->secret, err);
}

enum err_code machine_connect(struct db *db, const struct registry_disk *disk, const struct actor *by,
    struct arena *a, const struct foreign_identity *who, struct machine_pass *ret, struct err *err)
{
    enum err_code code = tx_begin_write(db, err);

    if (!code)
        code = tx_end(db, connect_in_tx(db, by, a, who, ret, err), err);
    return code ? code : registry_create_settle(db, disk, &ret->database, err);
}
