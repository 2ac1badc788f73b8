/* Accounts and namespaces. */
#include "account/account.h"
#include "lib/control_fixture.h"
#include "tenant/member.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void test_account__addresses(void **state)
{
    static char too_long[300];
    static const struct {
        const char *email, *why;
    } ROWS[] = {
        {"ada@example.com", NULL},
        {"a@b", NULL},
        {"\xc3\xa4@b.de", NULL},
        {"", "must not be empty"},
        {"ada", "must look like"},
        {"@example.com", "must look like"},
        {"ada@", "must look like"},
        {"a@b@c", "must look like"},
        {"a b@c", "no white space"},
        {"a\n@c", "no white space"},
        {"a\xff@c", "no white space"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(
            account_check_email(str_of(ROWS[i].email), &err), ROWS[i].why ? ERR_INVALID : ERR_OK);
        if (ROWS[i].why)
            assert_non_null(strstr(err.message, ROWS[i].why));
    }
    memset(too_long, 'a', sizeof too_long);
    too_long[100] = '@';
    assert_int_equal(account_check_email(str_make(too_long, 254), NULL), ERR_OK);
    assert_int_equal(account_check_email(str_make(too_long, 255), NULL), ERR_INVALID);
}

void test_account__one_for_each_address_whatever_its_case(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct account ada, found;
    struct err err = ERR_INIT;

    (void)state;
    control_fixture_init(&fx);
    assert_int_equal(account_get(fx.db, S("ada@example.com"), &found, &err), ERR_NOT_FOUND);
    assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
    assert_int_equal(account_create(fx.db, &TEST_ACTOR,
                         &(struct account_new){S("Ada@Example.com"), STR_EMPTY, "hash"}, &ada, &err),
        ERR_OK);
    assert_int_equal(account_create(fx.db, &TEST_ACTOR,
                         &(struct account_new){S("ada@example.COM"), STR_EMPTY, "hash"}, &found, &err),
        ERR_CONFLICT);
    assert_int_equal(member_add(fx.db, &TEST_ACTOR, &fx.tenant.id, &ada.id, MEMBER_OWNER, &err), ERR_OK);
    assert_int_equal(tx_commit(fx.db, NULL), ERR_OK);
    assert_int_equal(account_get(fx.db, S("ADA@example.com"), &found, &err), ERR_OK);
    assert_string_equal(found.id.text, ada.id.text);
    assert_string_equal(found.email, "Ada@Example.com");
}

void test_account__namespaces_are_unique_and_reserved(void **state)
{
    static const struct {
        const char *slug, *name;
        enum err_code code;
    } ROWS[] = {{"acme", "", ERR_CONFLICT}, {"oauth", "", ERR_INVALID}, {"A", "", ERR_INVALID},
        {"good", "\xff", ERR_INVALID}, {"good", "Good", ERR_OK}, {"other", "", ERR_OK}};
    AUTO_CONTROL_FIXTURE fx;
    struct tenant t;

    (void)state;
    control_fixture_init(&fx);
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(tx_begin_write(fx.db, NULL), ERR_OK);
        enum err_code code =
            tenant_create(fx.db, &TEST_ACTOR, str_of(ROWS[i].slug), str_of(ROWS[i].name), &t, NULL);
        assert_int_equal(tx_end(fx.db, code, NULL), ROWS[i].code);
    }
    assert_int_equal(tenant_get(fx.db, S("other"), &t, NULL), ERR_OK);
    assert_string_equal(t.name, "other");
    assert_int_equal(tenant_get(fx.db, S("none"), &t, NULL), ERR_NOT_FOUND);
}
