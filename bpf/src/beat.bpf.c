// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks at the page of beats from a timer in the kernel, so that a missed beat
 * is noticed also when nothing in user space runs any more. Each miss is told
 * once, and stays in a table for whoever comes later.
 *
 * It can hand over a miss of our own beats, so that the countdown fires at once:
 * built with SHISA_CLPKA, to our own module where that is loaded; with
 * SHISA_KILL, by ending the process that pings, on kernels that let a program
 * signal a task (6.13).
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#define RING_BYTES (64 * 1024)
#include "emit.h"

exported(miss_record);

#define CLOCK_MONOTONIC 1
#define SIGKILL 9
#define EPERM 1

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
	s64 struck;             /* the beat whose miss was handed over last */
	s64 condemned;          /* cell+1 of the miss that is still to be handed over */
};

struct beat_orders {
	s64 strike;             /* age at which a miss of ours is handed over; 0: never */
	s64 pinger;             /* process to kill then; 0: none */
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

/* Prototypes of kernel functions must be the kernel's to the letter. */
#define KSYM __attribute__((section(".ksyms")))

/* hand_over() answers 0 or less if it is to be tried again. */
#if defined(SHISA_CLPKA)
/* kmod/bpf.c */
extern void clpka_bpf_miss(void) KSYM;
extern void clpka_bpf_note(const char *text, u32 text__sz) KSYM;

static inline int hand_over(struct beat_orders *o, struct miss_record *m)
{
	char text[] = "the kernel missed beat .......................";

	__builtin_memcpy(text + sizeof(text) - 1 - sizeof(m->name), m->name, sizeof(m->name));
	clpka_bpf_note(text, sizeof(text));
	clpka_bpf_miss();
	return 2;
}
#elif defined(SHISA_KILL)
/* kernel/bpf/helpers.c, kernel/trace/bpf_trace.c */
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };
extern struct task_struct *bpf_task_from_pid(s32 pid) KSYM;
extern void bpf_task_release(struct task_struct *p) KSYM;
extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type, u64 value) KSYM;

/* A tick that interrupts an idle CPU may not signal (EPERM). */
static inline int hand_over(struct beat_orders *o, struct miss_record *m)
{
	struct task_struct *task;
	int err;

	if (!o->pinger)
		return 3;
	task = bpf_task_from_pid(o->pinger);
	if (!task)
		return 1;       /* gone: as good as killed */
	err = bpf_send_signal_task(task, SIGKILL, PIDTYPE_TGID, 0);
	bpf_task_release(task);
	if (!err)
		return 1;
	return err == -EPERM ? err : 3;
}
#else
static inline int hand_over(struct beat_orders *o, struct miss_record *m) { return 3; }
#endif

/* It is spared when that beat came after all, is no longer promised, or the orders are off. */
static inline void carry_out(struct beat_clock *c, struct beat_orders *o)
{
	struct miss_record *m;
	struct beat_slot *s;
	u32 cell;

	if (!c->condemned)
		return;
	cell = c->condemned - 1;
	m = bpf_map_lookup_elem(&missed, &cell);
	s = bpf_map_lookup_elem(&page, &cell);
	if (!m || !s)
		return;
	if (!o->strike || !(s->flags & BEAT_USED) || *(volatile s64 *)&s->last != c->struck) {
		c->condemned = 0;
		return;
	}
	m->handed = hand_over(o, m);
	if (m->handed > 0)
		c->condemned = 0;
}

/*
 * While a hypervisor paused the machine nobody could beat: every limit starts
 * anew then. A stall in which not even this timer ran is not for us to judge.
 */
#define PAUSE_NS (1000LL * 1000 * 1000)

static inline int judge(struct beat_slot *s, u32 cell, s64 now)
{
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
	if (!m || !c || !o)
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
	if (o->strike && now - from > o->strike && c->struck != last && cell < BEAT_CELLS) {
		c->struck = last;
		c->condemned = cell + 1;
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

static inline void look(struct beat_clock *c, s64 now)
{
	u32 cell;

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
}

/*
 * A miss that could not be handed over is tried again so often that a tick soon hits a
 * CPU that is not idle, also on a machine where only the pinger wakes up now and then.
 */
#define RETRY_NS (50 * 1000)

static int tick(void *map, u32 *key, struct beat_clock *c)
{
	struct beat_orders *o = bpf_map_lookup_elem(&orders, key);
	s64 now = bpf_ktime_get_ns();

	if (!o)
		return 0;
	if (now - c->last >= (s64)period_ns)
		look(c, now);
	carry_out(c, o);
	bpf_timer_start(&c->timer, c->condemned ? RETRY_NS : period_ns, 0);
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
