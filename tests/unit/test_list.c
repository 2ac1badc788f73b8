/* The intrusive list. */
#include "base/list.h"
#include "lib/unit.h"

struct item {
    char letter;
    struct list in;
};

static void expect_order(struct list *head, const char *want)
{
    AUTO_STRBUF got;
    struct list *it, *nx;
    strbuf_init(&got, 100);
    LIST_EACH(it, nx, head)
    strbuf_add_char(&got, LIST_ITEM(it, struct item, in)->letter);
    expect_str(strbuf_str(&got), want);
}

void test_list__keeps_order_and_lets_items_go(void **state)
{
    struct item a = {.letter = 'a'}, b = {.letter = 'b'}, c = {.letter = 'c'};
    struct list head, *it, *nx;
    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    list_push_back(&head, &b.in);
    list_push_back(&head, &c.in);
    list_push_front(&head, &a.in);
    expect_order(&head, "abc");
    assert_int_equal(LIST_FIRST(&head, struct item, in)->letter, 'a');
    list_remove(&b.in);
    list_remove(&b.in); /* harmless */
    expect_order(&head, "ac");
    list_insert_before(&c.in, &b.in);
    expect_order(&head, "abc");
    LIST_EACH(it, nx, &head)
    list_remove(it);
    assert_true(list_empty(&head));
}
