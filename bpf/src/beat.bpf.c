// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looks at the page of beats from a timer in the kernel, so that a missed beat
 * is noticed also when nothing in user space runs any more. Each miss is told
 * once, and stays in a table for whoever comes later.
 *
 * Built a second time with SHISA_KILL, for kernels that let a program signal a
 * task (6.13): there it can end the process that pings the countdown.
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
	__uint(max_entries, BEAT_CELLS);
	__type(key, u32);
	__type(value, struct miss_record);
} missed SEC(".maps");

struct beat_clock {
	struct bpf_timer timer;
	u64 ticks;
	u64 last;               /* when it ticked last */
	u64 late;               /* longest time between two ticks, beyond the period */
};

/* Not in the clock's map: an update from user space would cancel the timer. */
struct beat_orders {
	s32 pinger;             /* process to kill on a miss; 0: none */
	s32 condemned;          /* slot+1 of the miss for which it is still to be killed */
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

#ifdef SHISA_KILL
/* Prototypes must be the kernel's to the letter (kernel/bpf/helpers.c, kernel/trace/bpf_trace.c). */
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };
extern struct task_struct *bpf_task_from_pid(s32 pid) __attribute__((section(".ksyms")));
extern void bpf_task_release(struct task_struct *p) __attribute__((section(".ksyms")));
extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type, u64 value)
	__attribute__((section(".ksyms")));

static inline int kill(s32 pid)
{
	struct task_struct *task = bpf_task_from_pid(pid);
	int err;

	if (!task)
		return 1;       /* gone: as good as killed */
	err = bpf_send_signal_task(task, SIGKILL, PIDTYPE_TGID, 0);
	bpf_task_release(task);
	return err ? err : 1;
}
#else
static inline int kill(s32 pid) { return -EPERM; }
#endif

/* A tick that interrupts an idle CPU may not signal (EPERM): try at each until it works. */
static inline void carry_out(struct beat_orders *o)
{
	struct miss_record *m;
	u32 slot;

	if (!o->condemned || !o->pinger)
		return;
	slot = o->condemned - 1;
	m = bpf_map_lookup_elem(&missed, &slot);
	if (!m)
		return;
	m->killed = kill(o->pinger);
	if (m->killed != -EPERM)
		o->condemned = 0;
}

static inline void judge(void *ctx, struct beat_orders *o, u32 slot, s64 now)
{
	struct beat_slot *s = bpf_map_lookup_elem(&page, &slot);
	struct miss_record *m = bpf_map_lookup_elem(&missed, &slot);
	s64 last;

	if (!s || !m || !(s->flags & BEAT_USED) || s->limit <= 0)
		return;
	count(SEEN);
	last = *(volatile s64 *)&s->last;
	/* A beat stored after this tick read the clock is fresh, not from the future. */
	if (last > now && last - now < (s64)period_ns)
		return;
	if (last <= now && now - last <= s->limit)
		return;
	if (m->at && m->last == last)
		return;         /* told already */

	m->at = now;
	m->last = last;
	m->limit = s->limit;
	m->slot = slot - BEAT_FIRST_SLOT;
	m->misses++;
	m->killed = 0;
	__builtin_memcpy(m->name, s->name, sizeof(m->name));
	if (o->pinger && !o->condemned)
		o->condemned = slot + 1;
	emit(ctx, m, sizeof(*m));
}

static int tick(void *map, u32 *key, struct beat_clock *c)
{
	struct beat_orders *o = bpf_map_lookup_elem(&orders, key);
	s64 now = bpf_ktime_get_ns();
	u32 slot;

	if (!o)
		return 0;
	c->ticks++;
	if (c->last && now - c->last > period_ns + c->late)
		c->late = now - c->last - period_ns;
	c->last = now;
	for (slot = BEAT_FIRST_SLOT; slot < BEAT_CELLS; slot++)
		judge(c, o, slot, now);
	carry_out(o);
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
