/* GET /invite/{id}: what the link of an invitation shows. The same for every link: whether it holds is told
 * to the person it is for, when it is accepted. */
#include "api/html.h"
#include "api/request.h"

route_loop_fn console_invite_page;

static const char PAGE[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Invitation - Holdfast</title>\n"
    "<h1>You are invited</h1>\n"
    "<p>Somebody invited you to a namespace on this Holdfast server. The invitation is for your address "
    "alone, for one "
    "use, for seven days.</p>\n"
    "<ol>\n"
    "<li>Without an account, make one: <code>POST /api/auth/sign-up/email</code> with <code>email</code>, "
    "<code>password</code> and, as <code>invitation</code>, the last part of this page's address.</li>\n"
    "<li>Sign in: <code>POST /api/auth/sign-in/email</code>.</li>\n"
    "<li>Accept: <code>POST /api/invitations/</code>last part of this page's "
    "address<code>/accept</code>.</li>\n"
    "</ol>\n"
    "</html>\n";

void console_invite_page(struct api_request *r)
{
    html_reply(r, 200, str_of(PAGE));
}
