#include "api/scope.h"

struct place place_of(const struct registry_entry *e)
{
    struct place p = {.id = e->id};
    if (e->ref[0])
        p.parent_id = e->parent_id;
    return p;
}

static bool same(const struct id *a, const struct id *b)
{
    return str_eq(id_str(a), id_str(b));
}

enum err_code scope_check(
    const struct identity *who, enum capability cap, const struct place *place, struct err *err)
{
    bool of_branches = cap == CAP_BRANCH || cap == CAP_BRANCH_LIST;
    if (who->database_id.text[0] &&
        (!place || (!same(&who->database_id, &place->id) && !same(&who->database_id, &place->parent_id))))
        return err_set(err, ERR_FORBIDDEN, "Token scope does not include this database");
    if (who->branches_only && !of_branches && (!place || !place->parent_id.text[0]))
        return err_set(err, ERR_FORBIDDEN,
            "A psql_test_ token acts on branches alone, and this is none: call a branch of it, or use a "
            "psql_live_ "
            "token");
    return place ? ERR_OK : err_set(err, ERR_NOT_FOUND, "No such database");
}
