/* GET /approve/{id}: what the address of a held write shows. The same for every approval: what waits is told
 * to people who signed in and may see it. */
#include "api/html.h"
#include "api/request.h"

route_loop_fn console_approve_page;

static const char PAGE[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Approval - Holdfast</title>\n"
    "<h1>A write waits for approval</h1>\n"
    "<p>A rule of a database on this Holdfast server holds it until people have looked at its rows.</p>\n"
    "<ol>\n"
    "<li>Sign in: <code>POST /api/auth/sign-in/email</code>.</li>\n"
    "<li>Look: <code>GET /api/approvals/</code>last part of this page's address.</li>\n"
    "<li>Decide: <code>POST /api/approvals/</code>last part of this page's "
    "address<code>/decision</code> with <code>decision</code> (<code>approve</code> or <code>deny</code>) "
    "and the <code>hash</code> that you were shown.</li>\n"
    "</ol>\n"
    "</html>\n";

void console_approve_page(struct api_request *r)
{
    html_reply(r, 200, str_of(PAGE));
}
