// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: the countdown, and what it does when it has run out.
 *
 * Every online CPU has a pinned timer of its own in hard interrupt context, on
 * PREEMPT_RT too, and all look at the same deadlines: one CPU that still takes
 * interrupts is enough. A ping only stores a deadline; the timers see it when they
 * expire, and start anew for the time that is left, CLPKA_PERIOD_NS at most. The
 * period bounds what nobody told them: a timer that left with its CPU, a beat
 * missed in NMI context.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/percpu.h>

#include "internal.h"

#define CLPKA_PERIOD_NS		((u64)NSEC_PER_SEC)
#define CLPKA_SILENT_NS		(3 * CLPKA_PERIOD_NS / 2)	/* a CPU that missed its timer */
#define CLPKA_TURN_NS		((u64)NSEC_PER_SEC)	/* to act, before the next CPU tries */
#define CLPKA_POWER_OFF_NS	(10 * CLPKA_TURN_NS)	/* to power off in order, at least */
#define CLPKA_STACKS		16	/* shown at most: of tasks, of CPUs */
#define CLPKA_LINE		200	/* of a note; what is longer is broken */

static int evidence_ms = 200;
module_param(evidence_ms, int, 0644);
MODULE_PARM_DESC(evidence_ms, "Time for evidence before acting, in ms (0 to 10000, default 200)");

static int nmi;
module_param(nmi, int, 0444);
MODULE_PARM_DESC(nmi, "1: an unknown NMI acts when the deadline has passed; x86 (0 or 1, default 0)");

CLPKA_ATOMIC64_LOCK;

struct clpka_countdown clpka_main = { .name = "main" };
struct clpka_countdown clpka_down = { .name = "shutdown" };
struct clpka_ping clpka_pings;
const char * const clpka_action_names[] = { "none", "reset", "panic", "crash", "power_off" };
char clpka_notes[2][CLPKA_NOTE_MAX + 1];
bool clpka_suspending;

struct clpka_cpu {
	struct hrtimer timer;
	bool live;
	u64 seen;			/* when this CPU looked last */
};

static DEFINE_PER_CPU(struct clpka_cpu, clpka_cpu);

/* What has run out; written once, before clpka_limit says so. */
static unsigned long clpka_acting;
static u32 clpka_action;
static u64 clpka_grace_ns;		/* for an orderly power-off */
static atomic64_t clpka_limit;		/* when the next CPU acts; 0: nothing ran out */
static atomic_t clpka_to_show = ATOMIC_INIT(CLPKA_STACKS);

static void clpka_do_power_off(struct work_struct *work)
{
	kernel_power_off();
	emergency_restart();	/* it came back: there is no way to power off */
}

static DECLARE_WORK(clpka_power_off_work, clpka_do_power_off);

/*
 * Acts, unless another CPU took the turn that ended at @limit. Any context. CPUs
 * act one after the other: two at once would spoil each other's crash record.
 */
static void clpka_act(u64 limit)
{
	u32 action = READ_ONCE(clpka_action);
	u64 turn = action == CLPKA_ACTION_POWER_OFF ? clpka_grace_ns : CLPKA_TURN_NS;

	if (atomic64_cmpxchg(&clpka_limit, limit, ktime_get_mono_fast_ns() + turn) != limit)
		return;
	switch (action) {
	case CLPKA_ACTION_POWER_OFF:
		WRITE_ONCE(clpka_action, CLPKA_ACTION_RESET);	/* the next turn */
		atomic_set(&clpka_to_show, 0);
		schedule_work(&clpka_power_off_work);
		return;
	case CLPKA_ACTION_PANIC:
		panic("clpka: not pinged in time");
	case CLPKA_ACTION_CRASH:
		__builtin_trap();	/* an oops in interrupt context is fatal */
	}
	emergency_restart();
}

static void clpka_print_note(const char *text)
{
	while (*text) {
		int n = min_t(size_t, strcspn(text, "\n"), CLPKA_LINE);

		pr_emerg("note: %.*s\n", n, text);
		text += n;
		text += *text == '\n';
	}
}

/* CPUs that take no interrupts; tasks in uninterruptible sleep, and what they wait in. */
static void clpka_print_stuck(u64 now, u64 until)
{
	struct task_struct *p, *t;
	int cpu, left = CLPKA_STACKS;

	for_each_online_cpu(cpu) {
		const struct clpka_cpu *c = &per_cpu(clpka_cpu, cpu);
		u64 seen = READ_ONCE(c->seen);

		if (READ_ONCE(c->live) && now > seen + CLPKA_SILENT_NS)
			pr_emerg("cpu%d took no timer interrupt for %lu ms\n", cpu,
				 clpka_ms(now - seen));
	}
	rcu_read_lock();
	for_each_process_thread(p, t) {
		if (task_state_to_char(t) != 'D')
			continue;
		if (!left-- || ktime_get_mono_fast_ns() > until)
			goto out;
		sched_show_task(t);
	}
out:
	rcu_read_unlock();
}

/* These lines are the record that is looked for after the next boot: keep them stable. */
static void clpka_report(struct clpka_countdown *cd, u32 action, u64 deadline, u64 now)
{
	bool missed = deadline == CLPKA_MISSED;
	u64 last = atomic64_read(&clpka_pings.last_ns);

	pr_emerg("FIRED countdown=%s action=%s reason=%s timeout_ms=%u late_us=%lu\n",
		 cd->name, clpka_action_names[action], missed ? "beat" : "timeout",
		 READ_ONCE(cd->conf.timeout_ms),
		 missed ? 0 : (unsigned long)div_u64(now - deadline, NSEC_PER_USEC));
	pr_emerg("last ping %lu ms ago by %s[%d], pings %lu, longest gap %lu ms, system state %d\n",
		 last ? clpka_ms(now - last) : 0, clpka_pings.comm, clpka_pings.pid,
		 (unsigned long)atomic64_read(&clpka_pings.count),
		 clpka_ms(atomic64_read(&clpka_pings.gap_max_ns)), (int)system_state);
	clpka_print_note(clpka_notes[0]);
	clpka_print_note(clpka_notes[1]);
}

/*
 * The WARN is no bug report: it shows the registers of this CPU, and makes threaded
 * consoles print what they have, which a mere pr_emerg() does not. Without such
 * consoles an idle CPU does not spend the time: its registers say nothing.
 */
static void clpka_fire(struct clpka_countdown *cd, u64 deadline, u64 now)
{
	u64 evidence_ns = (u64)clamp(READ_ONCE(evidence_ms), 0, 10000) * NSEC_PER_MSEC;
	u32 action = READ_ONCE(cd->conf.action);

	if (action != CLPKA_ACTION_NONE) {
		if (test_and_set_bit(0, &clpka_acting))
			return;		/* the other countdown was faster */
		clpka_action = action;
		clpka_grace_ns = max(CLPKA_POWER_OFF_NS, (u64)cd->conf.timeout_ms * NSEC_PER_MSEC);
		atomic64_xchg(&clpka_limit, now + evidence_ns);	/* a barrier */
		/* A panic, ours or panic_on_warn's, must not hang for ever. */
		if (!panic_timeout)
			panic_timeout = 1;
	}
	clpka_report(cd, action, deadline, now);
	if (action == CLPKA_ACTION_NONE)
		return;
	if (evidence_ns) {
		clpka_print_stuck(now, now + evidence_ns / 2);
		WARN_ON(current->pid || CLPKA_CONSOLES_LAG);
	}
	clpka_act(now + evidence_ns);
}

/* Fires if the deadline has passed, on one CPU only. Returns whether it did. */
static bool clpka_expire(struct clpka_countdown *cd, u64 now)
{
	u64 deadline = atomic64_read(&cd->deadline);
	bool acts = READ_ONCE(cd->conf.action) != CLPKA_ACTION_NONE;

	if (deadline == CLPKA_OFF || deadline > now || READ_ONCE(clpka_suspending) ||
	    atomic64_cmpxchg(&cd->deadline, deadline, acts ? CLPKA_OFF : CLPKA_WAITING) != deadline)
		return false;
	clpka_fire(cd, deadline, now);
	return true;
}

/* Looks at one deadline. Returns ns until it is worth another look. */
static u64 clpka_look(struct clpka_countdown *cd, u64 now)
{
	u64 pre = (u64)READ_ONCE(cd->conf.pretimeout_ms) * NSEC_PER_MSEC;
	u64 deadline = atomic64_read(&cd->deadline);

	if (deadline == CLPKA_OFF || clpka_expire(cd, now) || deadline <= now)
		return CLPKA_PERIOD_NS;
	if (deadline - now > pre)
		return deadline - now - pre;
	if (atomic64_xchg(&cd->warned, deadline) != deadline)
		clpka_announce_pretimeout(cd);
	return deadline - now;
}

/*
 * Looks at everything. Returns ns until the next look; 0: nothing is armed. When a
 * countdown has run out on another CPU, this one shows what it was doing, unless
 * that was nothing, and acts when that CPU's turn is over.
 */
static u64 clpka_look_all(u64 now)
{
	u64 limit = atomic64_read(&clpka_limit);

	if (limit && now >= limit) {
		clpka_act(limit);
		return NSEC_PER_MSEC;
	}
	if (limit) {
		if (current->pid && atomic_dec_return(&clpka_to_show) >= 0)
			dump_stack();
		return limit - now;
	}
	if (!clpka_armed(&clpka_main) && !clpka_armed(&clpka_down))
		return 0;
	if (READ_ONCE(clpka_suspending))
		return CLPKA_PERIOD_NS;
	return min3(CLPKA_PERIOD_NS, clpka_look(&clpka_main, now), clpka_look(&clpka_down, now));
}

void clpka_look_now(void)
{
	clpka_look_all(ktime_get_mono_fast_ns());
}

static enum hrtimer_restart clpka_tick(struct hrtimer *timer)
{
	struct clpka_cpu *c = container_of(timer, struct clpka_cpu, timer);
	u64 now = ktime_get_mono_fast_ns(), wait = 0;

	/* On another CPU ours went offline and the timer was moved: it retires. */
	if (c == &per_cpu(clpka_cpu, smp_processor_id())) {
		WRITE_ONCE(c->seen, now);
		wait = clpka_look_all(now);
	}
	WRITE_ONCE(c->live, wait);
	hrtimer_set_expires(timer, ns_to_ktime(now + wait));
	return wait ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

/* Starts the timer of this CPU anew. Interrupts are off. */
static void clpka_start(void *unused)
{
	struct clpka_cpu *c = &per_cpu(clpka_cpu, smp_processor_id());
	u64 now = ktime_get_mono_fast_ns(), wait = clpka_look_all(now);

	if (!wait)
		return;
	WRITE_ONCE(c->seen, now);
	WRITE_ONCE(c->live, true);
	hrtimer_start(&c->timer, ns_to_ktime(wait), HRTIMER_MODE_REL_PINNED_HARD);
}

unsigned int clpka_covered(void)
{
	unsigned int cpu, n = 0;

	for_each_online_cpu(cpu)
		n += READ_ONCE(per_cpu(clpka_cpu, cpu).live);
	return n;
}

/*
 * Sees to it that every online CPU watches. @all restarts every timer, because a
 * deadline came nearer; else only if a CPU has none, because it came online lately.
 * Waits for no CPU, so a stuck one does no harm: this CPU starts its own timer first.
 */
void clpka_cover(bool all)
{
	if (!all && clpka_covered() == num_online_cpus())
		return;
	local_irq_disable();
	clpka_start(NULL);
	local_irq_enable();
	on_each_cpu(clpka_start, NULL, 0);
}

/* Gives a countdown its full time, armed before or not. clpka_cover() is to follow. */
void clpka_restart(struct clpka_countdown *cd)
{
	atomic64_set(&cd->deadline, ktime_get_mono_fast_ns() +
		     (u64)READ_ONCE(cd->conf.timeout_ms) * NSEC_PER_MSEC);
}

/*
 * Moves the main deadline, if it is armed. Any context, NMI included: it takes no
 * lock. Returns whether there was something to ping.
 */
bool clpka_ping(void)
{
	u64 now = ktime_get_mono_fast_ns();
	u64 next = now + (u64)READ_ONCE(clpka_main.conf.timeout_ms) * NSEC_PER_MSEC;
	u64 last, deadline = atomic64_read(&clpka_main.deadline);

	if (deadline == CLPKA_OFF || deadline == CLPKA_MISSED)
		return false;
	/* If this fails, another ping was faster, or the time was up. */
	atomic64_cmpxchg(&clpka_main.deadline, deadline, next);
	last = atomic64_xchg(&clpka_pings.last_ns, now);
	if (last && now > last + atomic64_read(&clpka_pings.gap_max_ns))
		atomic64_set(&clpka_pings.gap_max_ns, now - last);
	atomic64_inc(&clpka_pings.count);
	return true;
}

/*
 * While user space is frozen nobody can ping, and how long the machine sleeps says
 * nothing about its health: the countdowns stop, and start in full again.
 */
static int clpka_pm(struct notifier_block *nb, unsigned long event, void *unused)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		WRITE_ONCE(clpka_suspending, true);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_SUSPEND:
	case PM_POST_RESTORE:
		atomic64_set(&clpka_pings.last_ns, 0);
		if (clpka_armed(&clpka_main))
			clpka_restart(&clpka_main);
		if (clpka_armed(&clpka_down))
			clpka_restart(&clpka_down);
		WRITE_ONCE(clpka_suspending, false);
		clpka_cover(true);
	}
	return NOTIFY_DONE;
}

static struct notifier_block clpka_pm_notifier = { .notifier_call = clpka_pm };

static int clpka_power_off_failed(struct sys_off_data *data)
{
	pr_emerg("no way to power off worked: reset\n");
	emergency_restart();
	return NOTIFY_DONE;
}

/*
 * Turns a power-off that fails into a reset. Only while that is wanted: the handler
 * makes the kernel believe that it can power off.
 */
void clpka_guard_power_off(void)
{
	static struct sys_off_handler *handler;	/* or an error: there is no such thing */
	bool on = clpka_armed(&clpka_down) ||
		  (clpka_armed(&clpka_main) && clpka_main.conf.action == CLPKA_ACTION_POWER_OFF);

	if (on && !handler)
		handler = register_sys_off_handler(SYS_OFF_MODE_POWER_OFF, SYS_OFF_PRIO_LOW,
						   clpka_power_off_failed, NULL);
	if (on)
		return;
	unregister_sys_off_handler(handler);
	handler = NULL;
}

/* A watchdog chip's NMI gets through even when every CPU has its interrupts off. */
static int clpka_nmi(unsigned int type, struct pt_regs *regs)
{
	return clpka_expire(&clpka_main, ktime_get_mono_fast_ns()) ? NMI_HANDLED : NMI_DONE;
}

void clpka_countdown_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_setup(&per_cpu(clpka_cpu, cpu).timer, clpka_tick,
			      CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	register_pm_notifier(&clpka_pm_notifier);
	if (nmi && register_nmi_handler(NMI_UNKNOWN, clpka_nmi, 0, "clpka")) {
		pr_warn("no handler of NMIs here\n");
		nmi = 0;
	}
}

void clpka_countdown_exit(void)
{
	int cpu;

	if (nmi)
		unregister_nmi_handler(NMI_UNKNOWN, "clpka");
	unregister_pm_notifier(&clpka_pm_notifier);
	for_each_possible_cpu(cpu)
		hrtimer_cancel(&per_cpu(clpka_cpu, cpu).timer);
	cancel_work_sync(&clpka_power_off_work);
}
