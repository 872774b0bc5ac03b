// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: the countdown.
 *
 * Every online CPU has a pinned timer of its own that runs in hard interrupt
 * context, on PREEMPT_RT too, and looks at the shared deadlines. One CPU that
 * still takes interrupts is enough to act. A ping only moves a deadline; the
 * timers find that out when they expire, and start anew for the time that is
 * left, CLPKA_PERIOD_NS at most. The period bounds what nobody told them: a
 * timer that left with its CPU, a beat missed in NMI context.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/suspend.h>

#include "internal.h"

#define CLPKA_PERIOD_NS		((u64)NSEC_PER_SEC)

CLPKA_ATOMIC64_LOCK;

struct clpka_countdown clpka_main = {
	.name = "main",
	.timeout_ms = 60000,
	.action = CLPKA_ACTION_RESET,
};

struct clpka_countdown clpka_down = {
	.name = "shutdown",
	.action = CLPKA_ACTION_RESET,
};

struct clpka_ping clpka_pings;

/* One CPU's timer, and when that CPU last looked. */
struct clpka_cpu {
	struct hrtimer timer;
	bool live;
	u64 seen;
};

static DEFINE_PER_CPU(struct clpka_cpu, clpka_cpu);
static bool clpka_suspending;

bool clpka_paused(void)
{
	return READ_ONCE(clpka_suspending);
}

/* Claims a deadline that has passed. Only one caller gets it. */
static bool clpka_claim(struct clpka_countdown *cd, u64 deadline)
{
	bool acts = READ_ONCE(cd->action) != CLPKA_ACTION_NONE;

	return atomic64_cmpxchg(&cd->deadline, deadline,
				acts ? CLPKA_OFF : CLPKA_WAITING) == deadline;
}

/* Looks at one deadline. Returns ns until it is worth another look. */
static u64 clpka_look(struct clpka_countdown *cd, u64 now)
{
	u64 deadline = atomic64_read(&cd->deadline);
	u64 pre = (u64)READ_ONCE(cd->pretimeout_ms) * NSEC_PER_MSEC;

	if (deadline == CLPKA_OFF)
		return U64_MAX;
	if (deadline <= now) {
		if (clpka_claim(cd, deadline))
			clpka_fire(cd, deadline, now);
		return CLPKA_PERIOD_NS;
	}
	if (!pre || deadline == CLPKA_WAITING)
		return deadline - now;
	if (deadline - now > pre)
		return deadline - now - pre;
	if (atomic64_xchg(&cd->warned, deadline) != deadline)
		clpka_announce_pretimeout(cd);
	return deadline - now;
}

/* Looks at everything. Returns ns until the next look; 0: nothing is armed. */
static u64 clpka_look_all(u64 now)
{
	u64 wait = clpka_fired(now);

	if (wait)	/* another CPU gathers evidence; we see to its limit */
		return wait;
	if (!clpka_armed(&clpka_main) && !clpka_armed(&clpka_down))
		return 0;
	wait = CLPKA_PERIOD_NS;
	if (!clpka_paused()) {
		wait = min(wait, clpka_look(&clpka_main, now));
		wait = min(wait, clpka_look(&clpka_down, now));
	}
	return wait;
}

static enum hrtimer_restart clpka_tick(struct hrtimer *timer)
{
	struct clpka_cpu *c = container_of(timer, struct clpka_cpu, timer);
	u64 now = ktime_get_mono_fast_ns();
	u64 wait;

	/* Our CPU went offline and the timer was moved here: retire. */
	if (c != &per_cpu(clpka_cpu, smp_processor_id())) {
		WRITE_ONCE(c->live, false);
		return HRTIMER_NORESTART;
	}
	WRITE_ONCE(c->seen, now);
	wait = clpka_look_all(now);
	if (!wait) {
		WRITE_ONCE(c->live, false);
		return HRTIMER_NORESTART;
	}
	hrtimer_set_expires(timer, ns_to_ktime(now + wait));
	return HRTIMER_RESTART;
}

/* Starts the timer of this CPU anew. Interrupts are off. */
static void clpka_start(void *unused)
{
	struct clpka_cpu *c = &per_cpu(clpka_cpu, smp_processor_id());
	u64 now = ktime_get_mono_fast_ns();
	u64 wait = clpka_look_all(now);

	if (!wait)
		return;
	WRITE_ONCE(c->seen, now);
	WRITE_ONCE(c->live, true);
	hrtimer_start(&c->timer, ns_to_ktime(wait), HRTIMER_MODE_REL_PINNED_HARD);
}

/**
 * clpka_check() - look at the deadlines now
 *
 * Context: hard interrupt.
 */
void clpka_check(void)
{
	clpka_look_all(ktime_get_mono_fast_ns());
}

/**
 * clpka_check_nmi() - act from an NMI if the main deadline has passed
 *
 * A hardware watchdog set a bit later than we are may still get an NMI through
 * when every CPU has its interrupts off.
 *
 * Return: whether it was ours.
 */
bool clpka_check_nmi(void)
{
	u64 now = ktime_get_mono_fast_ns();
	u64 deadline = atomic64_read(&clpka_main.deadline);

	if (deadline == CLPKA_OFF || deadline > now || clpka_paused() ||
	    !clpka_claim(&clpka_main, deadline))
		return false;
	clpka_fire(&clpka_main, deadline, now);
	return true;
}

/**
 * clpka_cover() - see to it that every online CPU watches the deadlines
 * @all: restart every timer, because a deadline came nearer; else only when a
 *	CPU has none, because it came online lately
 *
 * Waits for no CPU, so a stuck one does no harm: this CPU starts its own timer
 * first. Context: process.
 */
void clpka_cover(bool all)
{
	int cpu;

	for_each_online_cpu(cpu)
		all |= !READ_ONCE(per_cpu(clpka_cpu, cpu).live);
	if (!all)
		return;
	local_irq_disable();
	clpka_start(NULL);
	local_irq_enable();
	on_each_cpu(clpka_start, NULL, 0);
}

/**
 * clpka_restart() - give a countdown its full time, armed before or not
 * @cd: the countdown
 *
 * The caller then calls clpka_cover().
 */
void clpka_restart(struct clpka_countdown *cd)
{
	atomic64_set(&cd->deadline, ktime_get_mono_fast_ns() +
		     (u64)READ_ONCE(cd->timeout_ms) * NSEC_PER_MSEC);
}

/**
 * clpka_ping() - move the main deadline
 *
 * Context: any, NMI included. Takes no lock. Does not arm.
 * Return: whether there was something to ping.
 */
bool clpka_ping(void)
{
	u64 now = ktime_get_mono_fast_ns();
	u64 next = now + (u64)READ_ONCE(clpka_main.timeout_ms) * NSEC_PER_MSEC;
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

/**
 * clpka_miss() - let an armed main countdown run out now
 *
 * Context: any, NMI included.
 */
void clpka_miss(void)
{
	u64 deadline = atomic64_read(&clpka_main.deadline);

	while (deadline != CLPKA_OFF && deadline != CLPKA_MISSED) {
		u64 old = atomic64_cmpxchg(&clpka_main.deadline, deadline, CLPKA_MISSED);

		if (old == deadline)
			break;
		deadline = old;
	}
}

/* Number of CPUs that watch. */
unsigned int clpka_covered(void)
{
	unsigned int n = 0;
	int cpu;

	for_each_online_cpu(cpu)
		n += READ_ONCE(per_cpu(clpka_cpu, cpu).live);
	return n;
}

/* For how long a CPU has not taken its timer interrupt; 0 if it has none. */
u64 clpka_silence_ns(int cpu, u64 now)
{
	const struct clpka_cpu *c = &per_cpu(clpka_cpu, cpu);
	u64 seen = READ_ONCE(c->seen);

	return READ_ONCE(c->live) && now > seen ? now - seen : 0;
}

/*
 * While user space is frozen nobody can ping, and how long the machine sleeps
 * says nothing about its health: the countdowns stop, and start in full again.
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
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block clpka_pm_notifier = { .notifier_call = clpka_pm };

int clpka_countdown_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		hrtimer_setup(&per_cpu(clpka_cpu, cpu).timer, clpka_tick,
			      CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	return register_pm_notifier(&clpka_pm_notifier);
}

void clpka_countdown_exit(void)
{
	int cpu;

	unregister_pm_notifier(&clpka_pm_notifier);
	for_each_possible_cpu(cpu)
		hrtimer_cancel(&per_cpu(clpka_cpu, cpu).timer);
}
