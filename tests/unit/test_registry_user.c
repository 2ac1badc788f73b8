/* The database of each person of an app: found again, never handed out half made, begun anew when its maker
 * died at any point. */
#include "registry/user.h"
#include "base/clock.h"
#include "lib/control_fixture.h"
#include "lib/fault.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define START_MS 1000000

int teardown_registry_user(void **state)
{
    (void)state;
    clock_test_stop();
    return 0;
}

static void start(struct control_fixture *fx)
{
    clock_test_set(1, START_MS);
    control_fixture_init(fx);
}

static enum err_code open_for(struct control_fixture *fx, const char *subject, struct registry_entry *ret,
    bool *ret_made, struct err *err)
{
    return registry_user_open(
        fx->db, &fx->disk, &TEST_ACTOR, &fx->tenant.id, str_of(subject), ret, ret_made, err);
}

static enum err_code ready(struct control_fixture *fx, const struct registry_entry *e)
{
    enum err_code code = tx_begin_write(fx->db, NULL);

    return code ? code : tx_end(fx->db, registry_user_ready(fx->db, &e->id, NULL), NULL);
}

static struct registry_entry make(struct control_fixture *fx, const char *subject)
{
    struct registry_entry e;
    bool made = false;

    assert_int_equal(open_for(fx, subject, &e, &made, NULL), ERR_OK);
    assert_true(made);
    assert_int_equal(e.status, REGISTRY_HEALTHY);
    assert_int_equal(ready(fx, &e), ERR_OK);
    return e;
}

void test_registry_user__is_found_again(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry again;
    bool made = true;

    (void)state;
    start(&fx);
    struct registry_entry first = make(&fx, "user_42"), other = make(&fx, "User_42");
    assert_string_not_equal(first.id.text, other.id.text);
    assert_string_equal(first.name, "user_42");
    assert_int_equal(open_for(&fx, "user_42", &again, &made, NULL), ERR_OK);
    assert_false(made);
    assert_string_equal(again.id.text, first.id.text);
    ASSERT_AUDIT(&fx, "namespace.created database.created database.created");
}

void test_registry_user__what_has_its_slug_is_not_taken_for_it(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry gone, squat;

    (void)state;
    start(&fx);
    struct registry_entry first = make(&fx, "user_42");
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, str_of(first.slug), &gone, NULL),
        ERR_OK);
    assert_int_equal(registry_create(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, str_of(first.slug),
                         S("user_42"), S("auto"), &squat, NULL),
        ERR_OK);
    struct registry_entry anew = make(&fx, "user_42");
    assert_string_not_equal(anew.id.text, squat.id.text);
    assert_true(str_starts(str_of(anew.slug), str_of(first.slug)));
}

void test_registry_user__nobody_gets_one_that_is_being_made(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry first, again;
    struct err err = ERR_INIT;
    bool made = false;

    (void)state;
    start(&fx);
    assert_int_equal(open_for(&fx, "user_42", &first, &made, NULL), ERR_OK);
    clock_test_advance(59999000);
    assert_int_equal(open_for(&fx, "user_42", &again, &made, &err), ERR_BUSY);
    assert_int_equal(err.retry_after_s, 1);
    clock_test_advance(1000); /* by now its maker has died */
    assert_int_equal(open_for(&fx, "user_42", &again, &made, &err), ERR_OK);
    assert_true(made);
    assert_string_not_equal(again.id.text, first.id.text);
    assert_int_equal(ready(&fx, &again), ERR_OK);
    assert_int_equal(open_for(&fx, "user_42", &first, &made, NULL), ERR_OK);
    assert_false(made);
    assert_string_equal(first.id.text, again.id.text);
}

void test_registry_user__a_deleted_one_is_made_anew(void **state)
{
    AUTO_CONTROL_FIXTURE fx;
    struct registry_entry gone;

    (void)state;
    start(&fx);
    struct registry_entry first = make(&fx, "user_42");
    assert_int_equal(
        registry_delete(fx.db, &fx.disk, &TEST_ACTOR, &fx.tenant.id, str_of(first.slug), &gone, NULL),
        ERR_OK);
    struct registry_entry second = make(&fx, "user_42");
    assert_string_not_equal(second.id.text, first.id.text);
    assert_string_equal(second.slug, first.slug);
}

/* Wherever it fails, the subject's next request but one has a database. */
static void open_under(enum fault_kind kind)
{
    unsigned failed = 0, round = 0;

    fault_start(kind);
    AUTO_CONTROL_FIXTURE fx;
    start(&fx);
    while (fault_next()) {
        struct registry_entry e;
        char subject[32];
        bool made = false;
        fault_off();
        control_fixture_reopen(&fx);
        str_print(subject, sizeof subject, "user_%u", round++);
        fault_rearm();
        enum err_code code = open_for(&fx, subject, &e, &made, NULL);
        fault_off();
        failed += code != ERR_OK;
        if (db_is_broken(fx.db))
            control_fixture_reopen(&fx);
        clock_test_advance(60000000);
        assert_int_equal(open_for(&fx, subject, &e, &made, NULL), ERR_OK);
        assert_true(made); /* it was not ready */
        assert_int_equal(ready(&fx, &e), ERR_OK);
    }
    assert_in_range(fault_points(), 1, 2000);
    assert_in_range(failed, 1, fault_points());
}

void test_registry_user__survives_want_of_memory(void **state)
{
    (void)state;
    open_under(FAULT_SQLITE_MEM);
}

void test_registry_user__survives_a_full_disk(void **state)
{
    (void)state;
    open_under(FAULT_SQLITE_WRITE);
}
