/* The migrations in the binary are the files of migrations/, in order. */
#include "sqlite/migrations_embedded.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void expect_well_formed(const struct migration_file *files)
{
    for (int i = 0; files[i].number != 0; i++) {
        assert_int_equal(files[i].number, i + 1);
        assert_non_null(strchr(files[i].sql, ';'));
        assert_true(strlen(files[i].name) > 0);
    }
}

void test_migrations__are_numbered_without_a_gap(void **state)
{
    (void)state;
    expect_well_formed(migrations_control);
    expect_well_formed(migrations_tenant);
}
