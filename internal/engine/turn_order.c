/* The order of writes. */
#include "engine/turn_order.h"
#include "engine/task.h"

bool turn_proposes(enum wire_op op)
{
    return op == WIRE_OP_PROPOSE || op == WIRE_OP_PROPOSAL_UNDO || op == WIRE_OP_UNDO;
}

static bool only_proposes(const struct task *t)
{
    return t->write && turn_proposes(t->op.call.op);
}

void turn_sort(struct engine *eng)
{
    struct task *others[TURN_TASKS_MAX];
    size_t kept = 0, count = 0;
    for (size_t i = 0; i < eng->task_count; i++) {
        if (only_proposes(eng->tasks[i]))
            eng->tasks[kept++] = eng->tasks[i];
        else
            others[count++] = eng->tasks[i];
    }
    for (size_t i = 0; i < count; i++)
        eng->tasks[kept + i] = others[i];
}

static bool go_together(const struct task *a, const struct task *b)
{
    return a->under_policies == b->under_policies && only_proposes(a) == only_proposes(b);
}

size_t turn_end_of_group(const struct engine *eng, size_t first)
{
    size_t end = first + 1;
    while (end < eng->task_count &&
           !(eng->tasks[end]->write && !go_together(eng->tasks[first], eng->tasks[end])))
        end++;
    return end;
}
