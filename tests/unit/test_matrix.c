/* tests/matrix/expected.def against routes.def, capabilities.def and roles.def: a route without cells does
 * not compile, and each cell is worked out here a second time, from the policy's tables and not by dispatch's
 * code. */
#include "api/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum group { STRANGERS, TOKENS, PEOPLE, FORGED, GROUP_COUNT };

static const struct column {
    enum group group;
    char letter;
} columns[] = {
#define COLUMN(group, letter, credential, text) {group, letter},
#include "matrix/expected.def"
};

/* Cells that are worked out one by one; strangers share one. */
#define COLUMN(group, letter, credential, text) +(group == TOKENS)
enum {
    TOKEN_COLUMNS = 0
#include "matrix/expected.def"
};
#define COLUMN(group, letter, credential, text) +(group == PEOPLE)
enum {
    PEOPLE_COLUMNS = 0
#include "matrix/expected.def"
};
#define COLUMN(group, letter, credential, text) +(group == FORGED)
enum {
    FORGED_COLUMNS = 0
#include "matrix/expected.def"
};

static const struct cells {
    const char *name;
    int status;
    const char *group[GROUP_COUNT];
} cells[] = {
#define CELLS(route, status, strangers, tokens, people, forged)                                              \
    [ROUTE_##route] = {#route, status, {strangers, tokens, people, forged}},
#include "matrix/expected.def"
};

/* A route without a row: its name is not declared here. */
enum {
#define CELLS(route, status, strangers, tokens, people, forged) HAS_CELLS_##route,
#include "matrix/expected.def"
};
#define ROUTE(id, method, path, auth, cap, run, op, handler)                                                 \
    _Static_assert(HAS_CELLS_##id >= 0, "tests/matrix/expected.def has a row for each route");
#include "api/routes.def"
#undef ROUTE

#define CELLS(route, status, strangers, tokens, people, forged)                                              \
    _Static_assert(sizeof(strangers) == 2 && sizeof(tokens) == TOKEN_COLUMNS + 1 &&                          \
                       sizeof(people) == PEOPLE_COLUMNS + 1 && sizeof(forged) == FORGED_COLUMNS + 1,         \
        #route ": a cell for each column");
#include "matrix/expected.def"

#define ELSEWHERE(part, kind, tokens, people, forged)                                                        \
    _Static_assert(sizeof(tokens) == TOKEN_COLUMNS + 1 && sizeof(people) == PEOPLE_COLUMNS + 1 &&            \
                       sizeof(forged) == FORGED_COLUMNS + 1,                                                 \
        #part ": a cell for each column");
#include "matrix/expected.def"

/* --- The policy, once more --- */

static bool path_has(const struct api_route *r, const char *part)
{
    return strstr(r->path, part) != NULL;
}

static bool token_may(const struct api_route *r, char letter)
{
    const struct capability_row *row = &capability_table[r->cap];
    bool limited = strchr("tbopve+-TB", letter) != NULL;
    unsigned role = letter == 'r' || letter == 'v' || letter == '-' ? WIRE_ROLE_READONLY
                    : letter == 'w'                                 ? WIRE_ROLE_READWRITE
                                                                    : WIRE_ROLE_ADMIN;
    return role >= row->role && !(limited && row->scope == CAP_SCOPE_WHOLE);
}

/* Of roles.def. */
static enum member_role least_role(enum capability cap)
{
    static const enum member_role least[CAP_COUNT] = {
#define MAY(capability, role) [CAP_##capability] = MEMBER_##role,
#include "roles.def"
    };
    return least[cap];
}

/* Of the person for whom a program holds it; a share takes the place of the namespace's role. */
static enum member_role role_behind(char letter)
{
    switch (letter) {
    case 'p': return MEMBER_OWNER;
    case 'e':
    case '+': return MEMBER_EDITOR;
    case 'v':
    case '-': return MEMBER_VIEWER;
    default: return MEMBER_NONE;
    }
}

static bool person_behind_may(const struct api_route *r, char letter)
{
    enum member_role role = role_behind(letter), least = least_role(r->cap);
    return !role || (least && role >= least);
}

static char token_cell(const struct api_route *r, char letter)
{
    if (letter == 's' || letter == 'g')
        return 'u';
    if (letter == 'd' || (letter == 'x' && path_has(r, "{ns}")) || !token_may(r, letter) ||
        !person_behind_may(r, letter))
        return 'f';
    if (letter == 'x' && (path_has(r, "{db}") || path_has(r, "{id}")))
        return 'n';
    bool of_branches = r->cap == CAP_BRANCH || r->cap == CAP_BRANCH_LIST;
    bool beyond = letter == 'o' || letter == 'B' || (letter == 'T' && !of_branches);
    return beyond && path_has(r, "{db}") ? 'f' : '.';
}

static bool is_confirmed(enum capability cap)
{
    static const bool confirmed[CAP_COUNT] = {
#define CONFIRMED(capability) [CAP_##capability] = true,
#include "roles.def"
    };
    return confirmed[cap];
}

static enum member_role role_of(const struct api_route *r, char letter)
{
    switch (letter) {
    case 'v': return MEMBER_VIEWER;
    case '+': return r->in_database ? MEMBER_EDITOR : MEMBER_VIEWER;
    case 'e': return MEMBER_EDITOR;
    case 'a':
    case '-': return MEMBER_ADMIN;
    case 'o':
    case 'k': return MEMBER_OWNER;
    default: return MEMBER_NONE;
    }
}

static char person_cell(const struct api_route *r, char letter)
{
    enum member_role role = role_of(r, letter);
    if (path_has(r, "{ns}") && !role)
        return 'n';
    if (path_has(r, "{ns}") && (!least_role(r->cap) || role < least_role(r->cap)))
        return 'f';
    return letter == 'k' && is_confirmed(r->cap) ? 'p' : '.';
}

static char forged_cell(const struct api_route *r, char letter)
{
    if (letter == '&')
        return r->auth == AUTH_COOKIE ? person_cell(r, 'o') : token_cell(r, 'r');
    if (r->auth == AUTH_BEARER || (r->auth == AUTH_EITHER && letter == '!'))
        return 'u';
    return letter == '!' || r->method == HTTP_GET ? person_cell(r, 'o') : 'c';
}

/* Where no credential is needed, another site's page may still not send a browser. */
static char open_cell(const struct api_route *r, const struct column *c)
{
    bool guarded = r->auth == AUTH_OPEN || (r->auth == AUTH_PAGE && r->method != HTTP_GET);
    return guarded && c->group == FORGED && (c->letter == 'w' || c->letter == 'x') ? 'c' : '.';
}

static char policy_cell(const struct api_route *r, const struct column *c)
{
    if (r->auth <= AUTH_PAGE)
        return open_cell(r, c);
    switch (c->group) {
    case TOKENS: return r->auth == AUTH_COOKIE ? 'u' : token_cell(r, c->letter);
    case PEOPLE: return r->auth == AUTH_BEARER ? 'u' : person_cell(r, c->letter);
    case FORGED: return forged_cell(r, c->letter);
    default: return 'u';
    }
}

void test_matrix__every_cell_is_what_the_policy_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUTE_COUNT; i++) {
        size_t at[GROUP_COUNT] = {0};
        for (size_t n = 0; n < ARRAY_LEN(columns); n++) {
            const struct column *c = &columns[n];
            char cell = cells[i].group[c->group][c->group == STRANGERS ? 0 : at[c->group]++];
            char want = policy_cell(&api_routes[i], c);
            bool beyond = strchr("UFNIB", cell) && want == '.'; /* who knows more refuses */
            if (cell != want && !beyond)
                fail_msg("%s as %c of group %d: the table says %c, the policy %c", cells[i].name, c->letter,
                    (int)c->group, cell, want);
        }
        assert_string_equal(cells[i].name, api_routes[i].name);
    }
}

/* Whatever a route answers when it is allowed, it is no refusal of who asks, but where nobody has to be
 * anybody. */
void test_matrix__what_is_allowed_is_not_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUTE_COUNT; i++)
        if (cells[i].status == 401 || cells[i].status == 403)
            assert_true(api_routes[i].auth <= AUTH_PAGE);
        else
            assert_true(cells[i].status >= 200 && cells[i].status < 500);
}
