/* Removing what nobody can use any more: in small rounds, so that the write lock is held for moments. */
#include "base/clock.h"
#include "base/limits.h"
#include "oauth/access.h"

#define SQL_CODES                                                                                            \
    "DELETE FROM oauth_code WHERE hash IN (SELECT hash FROM oauth_code WHERE expires_at < ?1 LIMIT ?2)"
/* The API tokens go first: their access rows go with them. */
#define SQL_TOKENS                                                                                           \
    "DELETE FROM token WHERE id IN (SELECT token_id FROM oauth_access WHERE expires_at < ?1 AND token_id "   \
    "IS NOT NULL LIMIT ?2)"
/* What a program held that is gone. */
#define SQL_ORPHANS                                                                                          \
    "DELETE FROM token WHERE id IN (SELECT id FROM token t WHERE account_id IS NOT NULL"                     \
    " AND NOT EXISTS (SELECT 1 FROM oauth_access x WHERE x.token_id = t.id) LIMIT ?1)"
#define SQL_ACCESS                                                                                           \
    "DELETE FROM oauth_access WHERE hash IN (SELECT hash FROM oauth_access WHERE expires_at < ?1 LIMIT ?2)"
#define SQL_REFRESH                                                                                          \
    "DELETE FROM oauth_refresh WHERE hash IN (SELECT hash FROM oauth_refresh WHERE expires_at < ?1 LIMIT "   \
    "?2)"
#define SQL_CLIENTS                                                                                          \
    "DELETE FROM oauth_client WHERE id IN (SELECT c.id FROM oauth_client c WHERE c.namespace_id IS NULL"     \
    " AND c.created_at < ?1 AND NOT EXISTS (SELECT 1 FROM oauth_grant g WHERE g.client_id = c.id) LIMIT ?2)"

#define MS_PER_DAY 86400000

enum err_code access_purge(struct db *db, bool *more, struct err *err)
{
    const int64_t now = clock_wall_ms(), most = LIMIT_PURGE_ROWS;
    const struct db_value limit = db_int(most);
    enum err_code code =
        db_purge(db, SQL_CODES, DB_ARGS(db_int(now - LIMIT_OAUTH_CODE_KEPT_MS), limit), most, more, err);

    if (!code)
        code = db_purge(db, SQL_TOKENS, DB_ARGS(db_int(now - MS_PER_DAY), limit), most, more, err);
    if (!code)
        code = db_purge(db, SQL_ACCESS, DB_ARGS(db_int(now - MS_PER_DAY), limit), most, more, err);
    if (!code)
        code = db_purge(db, SQL_ORPHANS, DB_ARGS(limit), most, more, err);
    if (!code)
        code = db_purge(db, SQL_REFRESH, DB_ARGS(db_int(now), limit), most, more, err);
    return code ? code
                : db_purge(
                      db, SQL_CLIENTS, DB_ARGS(db_int(now - LIMIT_OAUTH_UNUSED_MS), limit), most, more, err);
}
