#include "api/oauth/pages.h"

#include "api/markup.h"

/* --- Frame --- */

static void begin(struct api_call *c, const char *title)
{
    MARKUP(c->text, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    markup_text(c->text, str_of(title));
    MARKUP(c->text, " - Holdfast</title>\n<main>\n<h1>");
    markup_text(c->text, str_of(title));
    MARKUP(c->text, "</h1>\n");
}

static void end(struct api_call *c, int status, struct str form_origin)
{
    MARKUP(c->text, "</main>\n</html>\n");
    *c->answer = (struct api_answer){.kind = ANSWER_PAGE, .status = status, .form_origin = form_origin};
}

static void paragraph(struct api_call *c, struct str text)
{
    MARKUP(c->text, "<p>");
    markup_text(c->text, text);
    MARKUP(c->text, "</p>\n");
}

static void hidden(struct api_call *c, const char *name, struct str value)
{
    MARKUP(c->text, "<input type=\"hidden\"");
    markup_attr(c->text, "name", str_of(name));
    markup_attr(c->text, "value", value);
    MARKUP(c->text, ">\n");
}

static void begin_form(struct api_call *c, struct str action)
{
    MARKUP(c->text, "<form method=\"post\"");
    markup_attr(c->text, "action", action);
    MARKUP(c->text, ">\n");
}

/* Where the answer of our form may lead the browser. */
static struct str origin(struct api_call *c, struct str uri)
{
    return arena_copy(c->arena, redirect_origin(uri));
}

/* --- Sign in --- */

static void field(struct api_call *c, const char *label, const char *type, const char *name,
    const char *complete, struct str value)
{
    MARKUP(c->text, "<p><label>");
    markup_text(c->text, str_of(label));
    MARKUP(c->text, "<br><input required");
    markup_attr(c->text, "type", str_of(type));
    markup_attr(c->text, "name", str_of(name));
    markup_attr(c->text, "autocomplete", str_of(complete));
    if (value.len)
        markup_attr(c->text, "value", value);
    MARKUP(c->text, "></label></p>\n");
}

void page_sign_in(
    struct api_call *c, const struct ask *ask, struct str email, const char *problem, int status)
{
    struct str address = ask_address(c, ask, false);

    begin(c, "Sign in");
    MARKUP(c->text, "<p>to go on to <strong>");
    markup_text(c->text, str_of(ask->client.name));
    MARKUP(c->text, "</strong></p>\n");
    if (problem[0]) {
        MARKUP(c->text, "<p role=\"alert\">");
        markup_text(c->text, str_of(problem));
        MARKUP(c->text, "</p>\n");
    }
    begin_form(c, S("/oauth/sign-in"));
    hidden(c, "request", str_slice(address, sizeof "/oauth/authorize?" - 1, address.len));
    field(c, "E-mail address", "email", "email", "username", email);
    field(c, "Password", "password", "password", "current-password", STR_EMPTY);
    MARKUP(c->text, "<p><button type=\"submit\">Sign in</button></p>\n</form>\n");
    end(c, status, origin(c, ask->redirect_uri));
}

/* --- Consent --- */

static void list_scopes(struct api_call *c, const struct ask *ask)
{
    bool provisions = ask->client.database_mode == CLIENT_PROVISIONS;

    MARKUP(c->text, "<ul>\n");
    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        if (!(ask->scope >> i & 1))
            continue;
        MARKUP(c->text, "<li>");
        if (i == SCOPE_BIT_DATABASE && provisions)
            MARKUP(c->text,
                "keep its data in one private database in your account: it may read and change everything in "
                "that database, and nothing else of yours");
        else if (i == SCOPE_BIT_DATABASE)
            MARKUP(c->text,
                "read and change everything in the database that you choose, as far as you may yourself, and "
                "nothing else of yours");
        else
            markup_text(c->text, str_of(scope_text((enum scope_bit)i)));
        MARKUP(c->text, "</li>\n");
    }
    MARKUP(c->text, "</ul>\n");
}

static void list_choices(struct api_call *c, const struct consent *k)
{
    if (!k->field)
        return;
    MARKUP(c->text, "<p><label>");
    markup_text(c->text, str_of(k->question));
    MARKUP(c->text, "<br><select");
    markup_attr(c->text, "name", str_of(k->field));
    MARKUP(c->text, ">\n");
    for (size_t i = 0; i < k->choice_count; i++) {
        MARKUP(c->text, "<option");
        markup_attr(c->text, "value", k->choices[i].value);
        MARKUP(c->text, ">");
        markup_text(c->text, k->choices[i].text);
        MARKUP(c->text, "</option>\n");
    }
    MARKUP(c->text, "</select></label></p>\n");
}

static void say_who(struct api_call *c, const struct consent *k)
{
    MARKUP(c->text, "<p><strong>");
    markup_text(c->text, str_of(k->ask->client.name));
    MARKUP(c->text, "</strong> at <code>");
    markup_text(c->text, redirect_origin(k->ask->redirect_uri));
    MARKUP(c->text, "</code> would like to:</p>\n");
    list_scopes(c, k->ask);
    if (!k->ask->client.namespace_id.text[0])
        paragraph(c, S("This app registered itself; nobody here has checked its name."));
    if (redirect_is_loopback(k->ask->redirect_uri))
        paragraph(c, S("It runs on this computer. Go on only if you have just started it yourself."));
    MARKUP(c->text, "<p>You are signed in as <strong>");
    markup_text(c->text, str_of(k->person->account.email));
    MARKUP(c->text, "</strong>. You can take this back at any time.</p>\n");
}

void page_consent(struct api_call *c, const struct consent *k)
{
    begin(c, "Give access?");
    say_who(c, k);
    begin_form(c, ask_address(c, k->ask, true));
    hidden(c, "csrf", str_of(c->csrf));
    list_choices(c, k);
    MARKUP(c->text,
        "<p><button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\n"
        "<button type=\"submit\" name=\"decision\" value=\"deny\">Cancel</button></p>\n</form>\n");
    end(c, 200, origin(c, k->ask->redirect_uri));
}

/* --- Sign out --- */

void page_sign_out(struct api_call *c, const struct person *person, struct str redirect_uri, struct str state,
    struct str client_id)
{
    begin(c, "Sign out?");
    MARKUP(c->text, "<p>You are signed in as <strong>");
    markup_text(c->text, str_of(person->account.email));
    MARKUP(c->text, "</strong>.</p>\n");
    begin_form(c, S("/oauth/end-session"));
    hidden(c, "csrf", str_of(c->csrf));
    if (redirect_uri.len) {
        hidden(c, "client_id", client_id);
        hidden(c, "post_logout_redirect_uri", redirect_uri);
    }
    if (redirect_uri.len && state.ptr)
        hidden(c, "state", state);
    MARKUP(c->text, "<p><button type=\"submit\">Sign out</button></p>\n</form>\n");
    end(c, 200, redirect_uri.len ? origin(c, redirect_uri) : STR_EMPTY);
}

void page_message(struct api_call *c, int status, const char *title, const char *text)
{
    begin(c, title);
    paragraph(c, str_of(text));
    end(c, status, (struct str){NULL, 0});
}
