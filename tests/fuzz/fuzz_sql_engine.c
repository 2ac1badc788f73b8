/* SQL through a real engine: guard, authorizer, limits, deadlines, turns and savepoints; lib/sql_lab.h says
 * what must hold whatever the SQL is. An input is a script, a call a line:
 *
 *   who   a admin, w readwrite, r readonly; A W R the same with a table scope (open_one, notes, both, fresh)
 *   what  q query, b batch, t batch in a transaction, e explain, v validate, i import, d describe, s schema,
 *         c doctor, l query log, n tables, f search
 *   how   a space, or & when the call shares its turn with the next line's
 *   text  SQL; " ;; " parts the statements of a batch, " ?? " precedes the parameters of a statement, as JSON
 *
 *   wq INSERT INTO open_one(body) VALUES (?1) ?? ["x"]
 *
 * Other characters are taken for one of these, so that every input means something. */
#include "base/mem.h"
#include "json/jsonw.h"
#include "lib/sql_lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { INPUT_MAX = 1 << 16, LINES_MAX = 24, BODY_MAX = 1 << 20, HEAD_LEN = 3 };

static const struct str SCOPE[] = {{"open_one", 8}, {"notes", 5}, {"both", 4}, {"fresh", 5}};

static const struct {
    char letter;
    enum wire_op op;
} WHATS[] = {{'q', WIRE_OP_QUERY}, {'b', WIRE_OP_BATCH}, {'t', WIRE_OP_BATCH}, {'e', WIRE_OP_EXPLAIN},
    {'v', WIRE_OP_VALIDATE}, {'i', WIRE_OP_IMPORT}, {'d', WIRE_OP_DESCRIBE}, {'s', WIRE_OP_SCHEMA},
    {'c', WIRE_OP_DOCTOR}, {'l', WIRE_OP_QUERY_LOG}, {'n', WIRE_OP_TABLES}, {'f', WIRE_OP_SEARCH}};

/* Takes what stands before `mark`; false: it is not there. */
static bool cut_at(struct str *rest, struct str mark, struct str *ret)
{
    for (size_t i = 0; i + mark.len <= rest->len; i++) {
        if (memcmp(rest->ptr + i, mark.ptr, mark.len) == 0) {
            *ret = str_slice(*rest, 0, i);
            *rest = str_slice(*rest, i + mark.len, rest->len);
            return true;
        }
    }
    *ret = *rest;
    *rest = STR_EMPTY;
    return false;
}

/* {"sql":…,"params":…}; the parameters as they stand, JSON or not. */
static void add_statement(struct strbuf *out, struct str text)
{
    struct jsonw w;
    struct str sql;
    bool params = cut_at(&text, S(" ?? "), &sql);
    strbuf_add_cstr(out, "{\"sql\":");
    jsonw_init(&w, out);
    jsonw_text(&w, sql);
    if (params) {
        strbuf_add_cstr(out, ",\"params\":");
        strbuf_add_str(out, text);
    }
    strbuf_add_char(out, '}');
}

static void add_batch(struct strbuf *out, struct str text, bool transaction)
{
    struct str part;
    bool more = true;
    strbuf_addf(out, "{\"transaction\":%s,\"statements\":[", transaction ? "true" : "false");
    while (more) {
        more = cut_at(&text, S(" ;; "), &part);
        add_statement(out, part);
        if (more)
            strbuf_add_char(out, ',');
    }
    strbuf_add_cstr(out, "]}");
}

static void set_who(struct wire_call *call, unsigned char c)
{
    static const struct {
        char letter;
        enum wire_role role;
    } WHO[] = {{'a', WIRE_ROLE_ADMIN}, {'w', WIRE_ROLE_READWRITE}, {'r', WIRE_ROLE_READONLY}};
    size_t which = c % ARRAY_LEN(WHO);
    for (size_t i = 0; i < ARRAY_LEN(WHO); i++)
        which = (c | 0x20) == WHO[i].letter ? i : which;
    call->role = WHO[which].role;
    call->has_table_scope = !(c & 0x20);
    call->tables = SCOPE;
    call->table_count = call->has_table_scope ? ARRAY_LEN(SCOPE) : 0;
}

static void set_what(struct wire_call *call, unsigned char c, struct str text, struct strbuf *body)
{
    size_t which = 0;
    for (size_t i = 0; i < ARRAY_LEN(WHATS); i++)
        which = c == (unsigned char)WHATS[i].letter ? i : which;
    call->op = WHATS[which].op;
    if (call->op == WIRE_OP_IMPORT) {
        call->args[call->arg_count++] = (struct wire_arg){S("format"), S("sql")};
        strbuf_add_str(body, text);
    } else if (call->op == WIRE_OP_SEARCH) {
        call->args[call->arg_count++] = (struct wire_arg){S("q"), text};
    } else if (call->op == WIRE_OP_BATCH) {
        add_batch(body, text, WHATS[which].letter == 't');
    } else {
        add_statement(body, text);
    }
    call->body = strbuf_str(body);
}

/* The bodies of a turn, which its calls point into. */
struct bodies {
    struct strbuf text[SQL_LAB_CALLS_MAX];
};

static void run_line(struct bodies *b, struct str line)
{
    struct wire_call call = {.request_id = S("r"),
        .token_id = S("t"),
        .idempotency_key = STR_EMPTY,
        .plan_key = STR_EMPTY,
        .plan_step = STR_EMPTY};
    if (line.len < HEAD_LEN)
        return;
    struct strbuf *body = &b->text[sql_lab_waiting()];
    strbuf_reset(body);
    set_who(&call, (unsigned char)line.ptr[0]);
    set_what(&call, (unsigned char)line.ptr[1], str_slice(line, HEAD_LEN, line.len), body);
    if (strbuf_failed(body))
        return;
    sql_lab_call(&call);
    if (line.ptr[2] != '&' || sql_lab_waiting() == SQL_LAB_CALLS_MAX)
        sql_lab_turn();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    sql_lab_open();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bodies b;
    struct str line, rest = str_make(data, size);
    if (size > INPUT_MAX)
        return -1;
    for (size_t i = 0; i < SQL_LAB_CALLS_MAX; i++)
        strbuf_init(&b.text[i], BODY_MAX);
    sql_lab_begin();
    for (size_t n = 0; n < LINES_MAX && str_cut(&rest, '\n', &line); n++)
        run_line(&b, line);
    sql_lab_turn();
    run_line(&b, S("aq SELECT count(*) FROM sqlite_schema")); /* whatever happened, the database goes on */
    sql_lab_end();
    for (size_t i = 0; i < SQL_LAB_CALLS_MAX; i++)
        strbuf_release(&b.text[i]);
    return 0;
}
