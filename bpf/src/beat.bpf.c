// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks at the page of beats from a timer in the kernel, so that a missed beat
 * is noticed also when nothing in user space runs any more. Each miss is told
 * once, and stays in a table for whoever comes later.
 *
 * It can hand over a miss of our own beats, so that the countdown fires at once:
 * built with SHISA_CLPKA, to our own module where that is loaded; else by ending the
 * process that pings. The timer may not do that itself, for it interrupts anybody: the
 * pinger is killed when it next leaves a CPU.
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#define RING_BYTES (64 * 1024)
#include "emit.h"

exported(miss_record);

#define CLOCK_MONOTONIC 1
#define SIGKILL 9

const volatile u64 period_ns = 10 * 1000 * 1000;

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, BEAT_CELLS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct beat_slot);
} page SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 2 * BEAT_CELLS);
	__type(key, u32);
	__type(value, struct miss_record);
} missed SEC(".maps");

/* Beats of other processes, each in a cell of its own: they cannot forge ours. */
struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, BEAT_CELLS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct beat_slot);
} guests SEC(".maps");

/* Written here only: an update from user space would cancel the timer. */
struct beat_clock {
	struct bpf_timer timer;
	u64 ticks;
	s64 last;               /* when it ticked last */
	u64 late;               /* longest time between two ticks, beyond the period */
	s64 resumed;            /* when the latest pause ended */
};

struct beat_orders {
	s64 strike;             /* age at which a miss of ours is handed over; 0: never */
	s64 pinger;             /* process to kill then; 0: none */
};

/* Apart from the clock: programs that run beside the timer may not see a map with one. */
struct beat_sentence {
	s64 struck;             /* the beat whose miss was handed over last */
	s64 condemned;          /* cell+1 of the miss that is still to be handed over */
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct beat_clock);
} clock SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct beat_orders);
} orders SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct beat_sentence);
} sentence SEC(".maps");

/*
 * The miss that is to be handed over, or NULL. It is forgiven when that beat came
 * after all, is no longer promised, or the orders are off.
 */
static inline struct miss_record *condemned(struct beat_orders *o, struct beat_sentence *v)
{
	u32 cell = v->condemned - 1;
	struct miss_record *m;
	struct beat_slot *s;

	if (!v->condemned)
		return NULL;
	m = bpf_map_lookup_elem(&missed, &cell);
	s = bpf_map_lookup_elem(&page, &cell);
	if (!m || !s)
		return NULL;
	if (!o->strike || !(s->flags & BEAT_USED) || *(volatile s64 *)&s->last != v->struck) {
		v->condemned = 0;
		return NULL;
	}
	return m;
}

#ifdef SHISA_CLPKA
/* kmod/bpf.c. Prototypes of kernel functions must be the kernel's to the letter. */
#define KSYM __attribute__((section(".ksyms")))
extern void clpka_bpf_miss(void) KSYM;
extern void clpka_bpf_note(const char *text, u32 text__sz) KSYM;

static inline void carry_out(struct beat_orders *o, struct beat_sentence *v)
{
	char text[] = "the kernel missed beat .......................";
	struct miss_record *m = condemned(o, v);

	if (!m)
		return;
	__builtin_memcpy(text + sizeof(text) - 1 - sizeof(m->name), m->name, sizeof(m->name));
	clpka_bpf_note(text, sizeof(text));
	clpka_bpf_miss();
	m->handed = 2;
	v->condemned = 0;
}
#else
static inline void carry_out(struct beat_orders *o, struct beat_sentence *v)
{
	condemned(o, v);        /* strike() does it, if anybody; a beat that came is seen here */
}

/* Runs whenever a thread of the pinger leaves a CPU, on a counter of its own switches. */
SEC("perf_event")
int strike(void *ctx)
{
	u32 zero = 0;
	struct beat_orders *o = bpf_map_lookup_elem(&orders, &zero);
	struct beat_sentence *v = bpf_map_lookup_elem(&sentence, &zero);
	struct miss_record *m;

	if (!o || !v || bpf_get_current_pid_tgid() >> 32 != (u64)o->pinger)
		return 0;
	m = condemned(o, v);
	if (m && !bpf_send_signal(SIGKILL)) {
		m->handed = 1;
		v->condemned = 0;
	}
	return 0;
}
#endif

/*
 * While a hypervisor paused the machine nobody could beat: every limit starts
 * anew then. A stall in which not even this timer ran is not for us to judge.
 */
#define PAUSE_NS (1000LL * 1000 * 1000)

static inline int judge(struct beat_slot *s, u32 cell, s64 now)
{
	struct beat_sentence *v;
	struct beat_orders *o;
	struct miss_record *m;
	struct beat_clock *c;
	s64 last, from;
	u32 zero = 0;

	if (!s || !(s->flags & BEAT_USED) || s->limit <= 0)
		return 0;         /* most of them: 124 cells are looked at in each tick */
	m = bpf_map_lookup_elem(&missed, &cell);
	c = bpf_map_lookup_elem(&clock, &zero);
	o = bpf_map_lookup_elem(&orders, &zero);
	v = bpf_map_lookup_elem(&sentence, &zero);
	if (!m || !c || !o || !v)
		return 0;
	count(SEEN);
	last = *(volatile s64 *)&s->last;
	/* A beat stored after this tick read the clock is fresh, not from the future. */
	if (last > now && last - now < (s64)period_ns)
		return 0;
	from = last > now ? 0 : last;
	if (from < c->resumed)
		from = c->resumed;
	if (now - from <= s->limit)
		return 0;
	if (o->strike && now - from > o->strike && v->struck != last && cell < BEAT_CELLS) {
		v->struck = last;
		v->condemned = cell + 1;
	}
	if (m->at && m->last == last)
		return 0;         /* told already */

	m->at = now;
	m->last = last;
	m->limit = s->limit;
	m->slot = cell - BEAT_FIRST_SLOT;
	m->misses++;
	m->handed = 0;
	__builtin_memcpy(m->name, s->name, sizeof(m->name));
	emit(c, m, sizeof(*m));
	return 0;
}

/*
 * Not static: functions that others could call are verified once, by themselves,
 * not for each turn of a loop, which would be beyond the verifier's patience.
 */
noinline int judge_ours(u32 cell, s64 now)
{
	return judge(bpf_map_lookup_elem(&page, &cell), cell, now);
}

noinline int judge_guest(u32 cell, s64 now)
{
	return judge(bpf_map_lookup_elem(&guests, &cell), BEAT_CELLS + cell, now);
}

static int tick(void *map, u32 *key, struct beat_clock *c)
{
	struct beat_orders *o = bpf_map_lookup_elem(&orders, key);
	struct beat_sentence *v = bpf_map_lookup_elem(&sentence, key);
	s64 now = bpf_ktime_get_ns();
	u32 cell;

	if (!o || !v)
		return 0;
	c->ticks++;
	if (c->last && now - c->last > (s64)(period_ns + c->late))
		c->late = now - c->last - period_ns;
	if (c->last && now - c->last > PAUSE_NS)
		c->resumed = now;
	c->last = now;
	for (cell = BEAT_FIRST_SLOT; cell < BEAT_CELLS; cell++)
		judge_ours(cell, now);
	for (cell = 0; cell < BEAT_CELLS; cell++)
		judge_guest(cell, now);
	carry_out(o, v);
	bpf_timer_start(&c->timer, period_ns, 0);
	return 0;
}

/* Run once by bpf(2). */
SEC("syscall")
int arm_syscall(void *ctx)
{
	u32 zero = 0;
	struct beat_clock *c = bpf_map_lookup_elem(&clock, &zero);

	if (!c)
		return 1;
	if (bpf_timer_init(&c->timer, &clock, CLOCK_MONOTONIC))
		return 2;
	if (bpf_timer_set_callback(&c->timer, tick))
		return 3;
	return bpf_timer_start(&c->timer, period_ns, 0) ? 4 : 0;
}
