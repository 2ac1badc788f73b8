/* A database's rules, invariants and masks as files, for `holdfast policy`:
 *
 *   DIR/rules/100-many-rows.json     one rule; the number is its order, the rest its name
 *   DIR/invariants/no-debt.json      one SELECT that must return no rows
 *   DIR/masks/users-email.json       the mask of one column; without DIR/masks the files say nothing of masks
 *   DIR/fixtures/orders.json         writes, and what is to be decided of them: policy_test.c
 *
 * The members are those of the routes approval-rules, invariants and masks. */
#ifndef CMD_HOLDFAST_POLICY_H
#define CMD_HOLDFAST_POLICY_H

#include "engine/mask.h"
#include "remote.h"

#define POLICY_RULES_DIR      "rules"
#define POLICY_INVARIANTS_DIR "invariants"
#define POLICY_MASKS_DIR      "masks"
#define POLICY_FIXTURES_DIR   "fixtures"

/* The row of --dir; `values` has a member `dir`. */
#define POLICY_DIR_OPTION(values, help_text)                                                                 \
    {                                                                                                        \
        .name = "dir", .type = OPTION_TEXT, .offset = offsetof(values, dir), .value = "DIR",                 \
        .fallback = "policy", .help = (help_text)                                                            \
    }

struct policy_rule {
    struct policy_rule *next;
    struct str file; /* "100-many-rows.json"; ptr NULL: it is in no file */
    struct str id;   /* the server's; ptr NULL: it is in no database */
    int64_t order;
    struct str table_glob, when, action, approver_role, note; /* ptr NULL: none */
    int64_t approvals;
};

struct policy_invariant {
    struct policy_invariant *next;
    struct str file, id; /* as above */
    struct str name, query, note;
};

struct policy_mask {
    struct policy_mask *next;
    struct str file; /* as above */
    struct str table, column;
    struct mask mask;
};

struct policy {
    struct policy_rule *rules; /* in the order in which they are asked */
    struct policy_invariant *invariants;
    struct policy_mask *masks;
    bool says_masks;         /* of files: there is a directory of them */
    struct str mask_problem; /* of a server: why no masked branch can be made; ptr NULL: one can */
};

/* Not where they come from. */
bool policy_same_rule(const struct policy_rule *a, const struct policy_rule *b);
bool policy_same_invariant(const struct policy_invariant *a, const struct policy_invariant *b);

/* policy_read.c: arena memory. A directory that is not there is ERR_NOT_FOUND, one without rules/ and
 * invariants/ is empty. ERR_INVALID names the file and what is wrong in it. */
MUST_CHECK enum err_code policy_read_dir(
    struct arena *a, const char *dir, struct policy *ret, struct err *err);
MUST_CHECK enum err_code policy_read_server(struct remote *r, struct policy *ret, struct err *err);
/* The files of a folder of the directory that end in .json, sorted; none when it is not there. */
struct policy_file {
    struct policy_file *next;
    struct str name;
};
MUST_CHECK enum err_code policy_list_files(
    struct arena *a, const char *dir, struct policy_file **ret, struct err *err);
MUST_CHECK enum err_code policy_read_json(
    struct arena *a, const char *dir, struct str name, const struct jsonr_value **ret, struct err *err);

/* policy_masks.c */
MUST_CHECK enum err_code policy_read_masks_dir(
    struct arena *a, const char *dir, struct policy *ret, struct err *err);
MUST_CHECK enum err_code policy_read_masks_server(struct remote *r, struct policy *ret, struct err *err);
/* That of the same column; NULL: there is none. */
struct policy_mask *policy_mask_of(const struct policy *in, const struct policy_mask *like);
void policy_write_mask(struct strbuf *out, const struct policy_mask *m);
MUST_CHECK enum err_code policy_send_masks(struct remote *r, const struct policy *files, struct err *err);
/* "users.email" and "email {…}": for people. Arena memory. */
struct str policy_mask_name(struct arena *a, const struct policy_mask *m);
struct str policy_mask_title(struct arena *a, const struct policy_mask *m);

/* As they stand in files. */
void policy_write_rule(struct strbuf *out, const struct policy_rule *r);
void policy_write_invariant(struct strbuf *out, const struct policy_invariant *i);
/* The member "rules" of an open object. */
void policy_put_rules(struct jsonw *w, const struct policy_rule *first);
/* Stores one, removes one. */
MUST_CHECK enum err_code policy_send_invariant(
    struct remote *r, const struct policy_invariant *i, struct err *err);
MUST_CHECK enum err_code policy_drop_invariant(
    struct remote *r, const struct policy_invariant *i, struct err *err);
/* Rules of files get the names of their files for ids: "100-many-rows". */
void policy_name_by_file(struct policy *p);

/* What the server decided: of the routes that only judge. */
struct policy_decision {
    struct str decision;              /* "allow" */
    const struct jsonr_value *hits;   /* an array */
    const struct jsonr_value *broken; /* names of invariants; NULL: none */
};
MUST_CHECK enum err_code policy_read_decision(
    const struct jsonr_value *data, struct policy_decision *ret, struct err *err);
/* "deny by 100-no-deletes, 200-more". Arena memory. */
struct str policy_tell_decision(struct arena *a, const struct policy_decision *d);
bool policy_hit_by(const struct policy_decision *d, struct str rule);

/* "deny production_*": for people. Arena memory. */
struct str policy_rule_title(struct arena *a, const struct policy_rule *r);

#endif
