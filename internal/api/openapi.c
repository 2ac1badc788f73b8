#include "api/openapi.h"

#include "api/cookie.h"
#include "api/route.h"
#include "base/check.h"
#include "json/jsonw.h"

struct doc {
    const char *tag, *summary, *description, *request, *answer;
};
struct arg {
    enum route_id route;
    const char *where, *name, *type;
    bool required;
    const char *description;
};
struct schema {
    const char *name, *description;
};
struct field {
    const char *schema, *name, *type;
    bool required;
    const char *description;
};

#define DOC(id, tag, summary, description, request, answer)
#define ARG(id, where, name, type, required, description)                                                    \
    {ROUTE_##id, where, name, type, required, description},
static const struct arg args[] = {
#include "api/routes_doc.def"
};
#undef DOC
#undef ARG
#define DOC(id, ...) [ROUTE_##id] = {__VA_ARGS__},
#define ARG(id, where, name, type, required, description)
static const struct doc docs[ROUTE_COUNT] = {
#include "api/routes_doc.def"
};
#undef DOC
#undef ARG

#define SCHEMA(name, description) {#name, description},
#define FIELD(schema, name, type, required, description)
static const struct schema schemas[] = {
#include "api/schemas.def"
};
#undef SCHEMA
#undef FIELD
#define SCHEMA(name, description)
#define FIELD(schema, name, type, required, description) {#schema, name, type, required, description},
static const struct field fields[] = {
#include "api/schemas.def"
};
#undef SCHEMA
#undef FIELD

bool openapi_answers_bare(unsigned route)
{
    CHECK(route < ROUTE_COUNT);
    struct str answer = str_of(docs[route].answer);
    return str_starts(answer, S("raw:")) || str_starts(answer, S("text:"));
}

const char *openapi_query_arg(unsigned route, unsigned nth)
{
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        if (args[i].route == route && strcmp(args[i].where, "query") == 0 && nth-- == 0)
            return args[i].name;
    return NULL;
}

bool openapi_is_strict(unsigned route)
{
    static const char *const TAGS[] = {
        "branches", "snapshots", "archives", "proposals", "rules", "approvals"};
    bool strict = false;
    CHECK(route < ROUTE_COUNT);
    if (str_starts(str_of(docs[route].answer), S("text:text/html"))) /* who follows a link may bring more */
        return false;
    for (size_t i = 0; i < ARRAY_LEN(TAGS); i++)
        strict |= strcmp(docs[route].tag, TAGS[i]) == 0;
    return strict;
}

static void write_ref(struct jsonw *w, struct str name)
{
    char text[80] = "#/components/schemas/";
    size_t n = strlen(text);
    CHECK(n + name.len < sizeof(text));
    memcpy(text + n, name.ptr, name.len);
    jsonw_key(w, "$ref");
    jsonw_text(w, str_make(text, n + name.len));
}

static void write_simple_type(struct jsonw *w, struct str type, bool nullable)
{
    bool time = str_eq(type, S("time"));
    struct str name = time ? S("string") : type;
    jsonw_key(w, "type");
    if (nullable) {
        jsonw_array(w);
        jsonw_text(w, name);
        jsonw_text(w, S("null"));
        jsonw_array_end(w);
    } else {
        jsonw_text(w, name);
    }
    if (time)
        JSONW_CSTR(w, "format", "date-time");
}

/* Members of a schema object that stands for `type`, into an object that is open. */
static void write_type(struct jsonw *w, struct str type)
{
    bool nullable = str_ends(type, S("?"));
    if (nullable)
        type = str_slice(type, 0, type.len - 1);
    if (str_eq(type, S("any")))
        return;
    if (type.ptr[0] >= 'A' && type.ptr[0] <= 'Z') {
        write_ref(w, type);
        return;
    }
    if (type.ptr[0] != '[') {
        write_simple_type(w, type, nullable);
        return;
    }
    write_simple_type(w, S("array"), nullable);
    jsonw_key(w, "items");
    jsonw_object(w);
    write_type(w, str_slice(type, 1, type.len - 1));
    jsonw_object_end(w);
}

static void write_typed(struct jsonw *w, const char *key, struct str type, const char *description)
{
    jsonw_key(w, key);
    jsonw_object(w);
    write_type(w, type);
    if (description[0])
        JSONW_CSTR(w, "description", description);
    jsonw_object_end(w);
}

static void write_required(struct jsonw *w, const char *schema)
{
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].schema, schema) != 0 || !fields[i].required)
            continue;
        if (!any) {
            jsonw_key(w, "required");
            jsonw_array(w);
        }
        any = true;
        jsonw_cstr(w, fields[i].name);
    }
    if (any)
        jsonw_array_end(w);
}

static void write_schema(struct jsonw *w, const struct schema *s)
{
    bool any = false;
    jsonw_key(w, s->name);
    jsonw_object(w);
    JSONW_CSTR(w, "description", s->description);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].schema, s->name) != 0)
            continue;
        if (!any) {
            JSONW_CSTR(w, "type", "object");
            jsonw_key(w, "properties");
            jsonw_object(w);
        }
        any = true;
        write_typed(w, fields[i].name, str_of(fields[i].type), fields[i].description);
    }
    if (any) {
        jsonw_object_end(w);
        write_required(w, s->name);
    }
    jsonw_object_end(w);
}

static void write_parameter(struct jsonw *w, const char *where, struct str name, const char *type,
    bool required, const char *description)
{
    jsonw_object(w);
    JSONW_TEXT(w, "name", name);
    JSONW_CSTR(w, "in", where);
    JSONW_BOOL(w, "required", required);
    if (description[0])
        JSONW_CSTR(w, "description", description);
    write_typed(w, "schema", str_of(type), "");
    jsonw_object_end(w);
}

static const char *path_param(struct str segment)
{
    if (str_eq(segment, S("{ns}")))
        return "Slug of the namespace.";
    return str_eq(segment, S("{db}")) ? "Slug of the database." : "Id, as lists show it.";
}

static void write_parameters(struct jsonw *w, const struct api_route *r)
{
    struct str rest = str_of(r->path), segment;
    jsonw_key(w, "parameters");
    jsonw_array(w);
    while (str_cut(&rest, '/', &segment))
        if (str_starts(segment, S("{")))
            write_parameter(
                w, "path", str_slice(segment, 1, segment.len - 1), "string", true, path_param(segment));
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        if (args[i].route == r->id)
            write_parameter(
                w, args[i].where, str_of(args[i].name), args[i].type, args[i].required, args[i].description);
    jsonw_array_end(w);
}

static void write_media(struct jsonw *w, const char *type, struct str schema)
{
    jsonw_key(w, type);
    jsonw_object(w);
    write_typed(w, "schema", schema, "");
    jsonw_object_end(w);
}

static void write_content(struct jsonw *w, const char *type, struct str schema)
{
    jsonw_key(w, "content");
    jsonw_object(w);
    write_media(w, type, schema);
    jsonw_object_end(w);
}

/* The kinds that an import tells apart; octets need ?format=. */
static void write_file_content(struct jsonw *w)
{
    static const char *const BARE[] = {"application/sql", "text/csv", "application/x-ndjson",
        "application/vnd.sqlite3", "application/octet-stream"};
    jsonw_key(w, "content");
    jsonw_object(w);
    write_media(w, "multipart/form-data", S("ImportForm"));
    for (size_t i = 0; i < ARRAY_LEN(BARE); i++)
        write_media(w, BARE[i], S("string"));
    jsonw_object_end(w);
}

static void write_request(struct jsonw *w, const struct doc *d)
{
    if (!d->request[0])
        return;
    jsonw_key(w, "requestBody");
    jsonw_object(w);
    JSONW_BOOL(w, "required", true);
    if (strcmp(d->request, "raw:file") == 0)
        write_file_content(w);
    else if (str_starts(str_of(d->request), S("form:")))
        write_content(w, "application/x-www-form-urlencoded", str_of(d->request + 5));
    else
        write_content(w, "application/json", str_of(d->request));
    jsonw_object_end(w);
}

/* {"success":true,"data":…} and, where an engine answers, "meta". */
static void write_enveloped(struct jsonw *w, const struct api_route *r, struct str data)
{
    jsonw_key(w, "content");
    jsonw_object(w);
    jsonw_key(w, "application/json");
    jsonw_object(w);
    jsonw_key(w, "schema");
    jsonw_object(w);
    JSONW_CSTR(w, "type", "object");
    jsonw_key(w, "properties");
    jsonw_object(w);
    write_typed(w, "success", S("boolean"), "");
    write_typed(w, "data", data, "");
    if (r->op != WIRE_OP_NONE)
        write_typed(w, "meta", S("Meta"), "");
    jsonw_object_end(w);
    jsonw_object_end(w);
    jsonw_object_end(w);
    jsonw_object_end(w);
}

static void write_answer(struct jsonw *w, const struct api_route *r, const struct doc *d)
{
    struct str answer = str_of(d->answer);
    jsonw_key(w, "200");
    jsonw_object(w);
    JSONW_CSTR(w, "description", "Done.");
    if (str_starts(answer, S("text:")))
        write_content(w, d->answer + 5, S("string"));
    else if (str_starts(answer, S("raw:")))
        write_content(w, "application/json", str_slice(answer, 4, answer.len));
    else
        write_enveloped(w, r, answer);
    jsonw_object_end(w);
}

static void write_error(struct jsonw *w, const char *status, const char *description)
{
    jsonw_key(w, status);
    jsonw_object(w);
    JSONW_CSTR(w, "description", description);
    write_content(w, "application/json", S("Error"));
    jsonw_object_end(w);
}

static void write_responses(struct jsonw *w, const struct api_route *r, const struct doc *d)
{
    jsonw_key(w, "responses");
    jsonw_object(w);
    write_answer(w, r, d);
    if (r->cap != CAP_PUBLIC) {
        write_error(w, "400", "The request cannot be understood, or SQLite refused the statement.");
        write_error(w, "401", "No token or session, or one that is malformed, unknown, revoked or expired.");
        write_error(w, "403", "The token or the person may not do this.");
        write_error(w, "404", "No such thing in the namespace, or no such namespace of yours.");
    }
    write_error(w, "default", "Any other failure.");
    jsonw_object_end(w);
}

static void write_scheme_needed(struct jsonw *w, const char *scheme)
{
    jsonw_object(w);
    jsonw_key(w, scheme);
    jsonw_array(w);
    jsonw_array_end(w);
    jsonw_object_end(w);
}

/* What differs from the document's default, which is a bearer. */
static void write_route_security(struct jsonw *w, enum route_auth auth)
{
    jsonw_key(w, "security");
    jsonw_array(w);
    if (auth == AUTH_EITHER)
        write_scheme_needed(w, "bearer");
    if (auth == AUTH_EITHER || auth == AUTH_COOKIE)
        write_scheme_needed(w, "session");
    jsonw_array_end(w);
}

static void write_operation(struct jsonw *w, const struct api_route *r)
{
    static const char *const method_keys[HTTP_METHOD_COUNT] = {
        "get", "head", "post", "put", "patch", "delete", "options"};
    const struct doc *d = &docs[r->id];
    CHECK(d->summary); /* a row of routes.def without one in routes_doc.def */
    jsonw_key(w, method_keys[r->method]);
    jsonw_object(w);
    JSONW_CSTR(w, "operationId", r->name);
    jsonw_key(w, "tags");
    jsonw_array(w);
    jsonw_cstr(w, d->tag);
    jsonw_array_end(w);
    JSONW_CSTR(w, "summary", d->summary);
    if (d->description[0])
        JSONW_CSTR(w, "description", d->description);
    JSONW_CSTR(w, "x-capability", capability_table[r->cap].name);
    if (r->auth != AUTH_BEARER)
        write_route_security(w, r->auth);
    write_parameters(w, r);
    write_request(w, d);
    write_responses(w, r, d);
    jsonw_object_end(w);
}

/* Methods of one path stand in one object, so each path is written when its first row comes by. */
static void write_paths(struct jsonw *w)
{
    bool done[ROUTE_COUNT] = {false};
    jsonw_key(w, "paths");
    jsonw_object(w);
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        if (done[i])
            continue;
        jsonw_key(w, api_routes[i].path);
        jsonw_object(w);
        for (unsigned k = i; k < ROUTE_COUNT; k++)
            if (strcmp(api_routes[k].path, api_routes[i].path) == 0) {
                write_operation(w, &api_routes[k]);
                done[k] = true;
            }
        jsonw_object_end(w);
    }
    jsonw_object_end(w);
}

static void write_components(struct jsonw *w)
{
    jsonw_key(w, "components");
    jsonw_object(w);
    jsonw_key(w, "securitySchemes");
    jsonw_object(w);
    jsonw_key(w, "bearer");
    jsonw_object(w);
    JSONW_CSTR(w, "type", "http");
    JSONW_CSTR(w, "scheme", "bearer");
    jsonw_object_end(w);
    jsonw_key(w, "session");
    jsonw_object(w);
    JSONW_CSTR(w, "type", "apiKey");
    JSONW_CSTR(w, "in", "cookie");
    JSONW_CSTR(w, "name", COOKIE_SECURE);
    JSONW_CSTR(w, "description", "Over plain HTTP the cookie is called " COOKIE_PLAIN ".");
    jsonw_object_end(w);
    jsonw_object_end(w);
    jsonw_key(w, "schemas");
    jsonw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++)
        write_schema(w, &schemas[i]);
    jsonw_object_end(w);
    jsonw_object_end(w);
}

static void write_info(struct jsonw *w, struct str server_url)
{
    jsonw_key(w, "info");
    jsonw_object(w);
    JSONW_CSTR(w, "title", "Holdfast");
    JSONW_CSTR(w, "version", HF_VERSION);
    JSONW_CSTR(w, "description", "A SQLite database for every agent, app, pull request and user.");
    jsonw_object_end(w);
    if (!server_url.len)
        return;
    jsonw_key(w, "servers");
    jsonw_array(w);
    jsonw_object(w);
    JSONW_TEXT(w, "url", server_url);
    jsonw_object_end(w);
    jsonw_array_end(w);
}

static void write_security(struct jsonw *w)
{
    jsonw_key(w, "security");
    jsonw_array(w);
    write_scheme_needed(w, "bearer");
    jsonw_array_end(w);
}

void openapi_write(struct strbuf *out, struct str server_url)
{
    struct jsonw w;
    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_CSTR(&w, "openapi", "3.1.0");
    write_info(&w, server_url);
    write_security(&w);
    write_paths(&w);
    write_components(&w);
    jsonw_object_end(&w);
    CHECK(jsonw_done(&w));
}
