/* Who a request comes from, as the audit log names it. */
#include "audit/actor.h"
#include "api/request.h"

const struct actor *request_actor(struct api_request *r)
{
    struct actor *by = ARENA_NEW(&r->arena, struct actor);

    if (!r->who) {
        by->kind = ACTOR_STRANGER;
    } else if (r->who->person) {
        by->kind = ACTOR_USER;
        by->user_id = r->who->person->account.id;
    } else {
        by->kind = ACTOR_TOKEN;
        by->token_id = r->who->id->token_id;
    }
    by->client = http_header(r->http, "User-Agent");
    by->address = http_peer(r->http);
    by->request_id = http_request_id(r->http);
    r->by = by;
    return by;
}
