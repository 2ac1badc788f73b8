/* The tasks of a turn: made when one first needs so many, and given back when the engine is quiet. */
#include "base/mem.h"
#include "engine/task.h"

void turn_init(struct engine *eng)
{
    eng->tasks = mem_array(TURN_TASKS_MAX, sizeof eng->tasks[0]);
}

struct task *turn_task_at(struct engine *eng, size_t i)
{
    if (!eng->tasks[i]) {
        eng->tasks[i] = MEM_NEW(struct task);
        task_init(eng->tasks[i], eng);
    }
    return eng->tasks[i];
}

void turn_trim(struct engine *eng)
{
    for (size_t i = 0; i < TURN_TASKS_MAX && eng->tasks[i]; i++) {
        task_release(eng->tasks[i]);
        mem_free(eng->tasks[i]);
        eng->tasks[i] = NULL;
    }
}

void turn_release(struct engine *eng)
{
    turn_trim(eng);
    mem_free(eng->tasks);
    eng->tasks = NULL;
}
