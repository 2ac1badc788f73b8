/* Flights: calls on their way, found by id in constant time, ordered by the time at which they need
 * attention. */
#include "base/check.h"
#include "base/mem.h"
#include "supervise/state.h"

static struct flight *slot_new(struct supervisor *s)
{
    if (s->slot_count == s->slot_cap) {
        s->slot_cap = s->slot_cap ? s->slot_cap * 2 : 64;
        s->slots = mem_grow(s->slots, s->slot_cap, sizeof(struct flight *));
    }
    struct flight *f = MEM_NEW(struct flight);
    f->s = s;
    f->id = ++s->slot_count;
    list_init(&f->node);
    s->slots[s->slot_count - 1] = f;
    return f;
}

struct flight *flight_new(struct supervisor *s, struct database *db, struct engine_call *call)
{
    struct flight *f;
    if (list_empty(&s->free_flights)) {
        f = slot_new(s);
    } else {
        f = LIST_FIRST(&s->free_flights, struct flight, node);
        list_remove(&f->node);
    }
    *f = (struct flight){.s = s, .db = db, .call = call, .id = f->id + (UINT64_C(1) << 32)};
    list_init(&f->node);
    call->flight = f;
    db->open++;
    s->flight_count++;
    return f;
}

struct flight *flight_find(struct supervisor *s, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    if (slot == 0 || slot > s->slot_count)
        return NULL;
    struct flight *f = s->slots[slot - 1];
    return f->db && f->id == id ? f : NULL;
}

/* --- the heap --- */

static void heap_put(struct supervisor *s, uint32_t at, struct flight *f)
{
    s->heap[at] = f;
    f->heap_at = at + 1;
}

static void heap_sift_up(struct supervisor *s, uint32_t at, struct flight *f)
{
    for (; at > 0 && s->heap[(at - 1) / 2]->due_us > f->due_us; at = (at - 1) / 2)
        heap_put(s, at, s->heap[(at - 1) / 2]);
    heap_put(s, at, f);
}

static void heap_sift_down(struct supervisor *s, uint32_t at, struct flight *f)
{
    for (uint32_t child = 2 * at + 1; child < s->heap_count; child = 2 * at + 1) {
        if (child + 1 < s->heap_count && s->heap[child + 1]->due_us < s->heap[child]->due_us)
            child++;
        if (s->heap[child]->due_us >= f->due_us)
            break;
        heap_put(s, at, s->heap[child]);
        at = child;
    }
    heap_put(s, at, f);
}

static void heap_remove(struct flight *f)
{
    struct supervisor *s = f->s;
    if (f->heap_at == 0)
        return;
    uint32_t at = f->heap_at - 1;
    struct flight *last = s->heap[--s->heap_count];
    f->heap_at = 0;
    if (last == f)
        return;
    if (at > 0 && s->heap[(at - 1) / 2]->due_us > last->due_us)
        heap_sift_up(s, at, last);
    else
        heap_sift_down(s, at, last);
}

void flight_due(struct flight *f, int64_t due_us)
{
    struct supervisor *s = f->s;
    heap_remove(f);
    if (s->heap_count == s->heap_cap) {
        s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 64;
        s->heap = mem_grow(s->heap, s->heap_cap, sizeof(struct flight *));
    }
    f->due_us = due_us;
    heap_sift_up(s, s->heap_count++, f);
    if (s->heap[0] == f)
        deadline_arm(s);
}

/* --- the end of a flight --- */

static void flight_unlink(struct flight *f)
{
    struct peer *e = f->engine;
    heap_remove(f);
    list_remove(&f->node);
    if (!e) {
        CHECK(f->db->waiting_count > 0);
        f->db->waiting_count--;
        return;
    }
    CHECK(e->sent_count > 0 && e->sent_bytes >= f->size);
    e->sent_count--;
    e->sent_bytes -= f->size;
    e->cancelled_count -= f->cancelled;
}

static void flight_free(struct flight *f)
{
    struct supervisor *s = f->s;
    CHECK(f->db->open > 0);
    if (f->trial)
        breaker_trial_dropped(&f->db->breaker);
    f->db->open--;
    s->flight_count--;
    database_touch(f->db);
    f->db = NULL;
    list_push_front(&s->free_flights, &f->node);
}

void flight_finish(struct flight *f, const struct err *err)
{
    struct engine_call *call = f->call;
    flight_unlink(f);
    flight_free(f);
    if (!call)
        return;
    call->flight = NULL;
    call->on_done(call, err);
}

void flight_orphan(struct flight *f, const struct err *err)
{
    struct engine_call *call = f->call;
    CHECK(f->engine && call);
    heap_remove(f);
    f->call = NULL;
    call->flight = NULL;
    call->on_done(call, err);
}

void flights_release(struct supervisor *s)
{
    CHECK(s->flight_count == 0 && s->heap_count == 0);
    for (uint32_t i = 0; i < s->slot_count; i++)
        mem_free(s->slots[i]);
    mem_free(s->slots);
    mem_free(s->heap);
}
