// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: what happens when a countdown has run out.
 *
 * The CPU that claimed the deadline writes down the evidence and then acts. The
 * evidence has a limit, evidence_ms, and another CPU sees to it: whatever the
 * writer is stuck in, the first timer interrupt past the limit acts. Should that
 * CPU get stuck in acting, the next one has its turn.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "internal.h"

/* How many tasks and CPUs show their stack at most, and the longest line of the note. */
#define CLPKA_SHOW_TASKS	16
#define CLPKA_SHOW_CPUS		16
#define CLPKA_LINE		200
/* How long a CPU may take to act, records of the crash included, before the next one tries. */
#define CLPKA_ACT_NS		((u64)NSEC_PER_SEC)
/* How long an orderly power-off may take at least before it becomes a reset. */
#define CLPKA_POWER_OFF_NS	(10 * (u64)NSEC_PER_SEC)
/* A CPU that is silent for longer than this missed its timer. */
#define CLPKA_SILENT_NS		(3 * (u64)NSEC_PER_SEC / 2)

static int evidence_ms = 200;
module_param(evidence_ms, int, 0644);
MODULE_PARM_DESC(evidence_ms,
		 "Time for writing down evidence before acting, in ms (0 to 10000, default 200)");

static int nmi;
module_param(nmi, int, 0444);
MODULE_PARM_DESC(nmi,
		 "1: an unknown NMI acts when the deadline has passed; x86 (0 or 1, default 0)");

const char * const clpka_action_names[] = {
	"none", "reset", "panic", "crash", "power_off",
};

/* What has been entered on; each is done once. */
enum { CLPKA_ACTING, CLPKA_POWERING_OFF };

static unsigned long clpka_stage;
static atomic64_t clpka_limit;		/* when the next CPU acts; 0: nothing ran out */
static u32 clpka_action;
static u64 clpka_grace_ns;		/* for an orderly power-off */
static atomic_t clpka_to_show = ATOMIC_INIT(CLPKA_SHOW_CPUS);
static struct sys_off_handler *clpka_sys_off;

/* Two notes: the one in use is not written. */
static char clpka_notes[2][CLPKA_NOTE_MAX + 1];
static unsigned int clpka_note_used;

/* What an eBPF program wrote last. The last byte stays NUL. */
char clpka_bpf_text[128];

/**
 * clpka_set_note() - replace the note
 * @text: CLPKA_NOTE_MAX bytes of room; changed
 * @length: bytes in use
 *
 * The caller serialises.
 */
void clpka_set_note(char *text, size_t length)
{
	unsigned int spare = !READ_ONCE(clpka_note_used);
	size_t i;

	for (i = 0; i < length; i++)
		if (text[i] != '\n' && !isprint(text[i]))
			text[i] = ' ';
	memcpy(clpka_notes[spare], text, length);
	clpka_notes[spare][length] = '\0';
	smp_wmb();	/* the text before its use */
	WRITE_ONCE(clpka_note_used, spare);
}

/* Prints a text by lines, long ones in pieces. */
static void clpka_print_text(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		n = min_t(size_t, n, CLPKA_LINE);
		pr_emerg("note: %.*s\n", (int)n, text);
		text += n;
		if (*text == '\n')
			text++;
	}
}

static void clpka_print_silent_cpus(u64 now)
{
	int cpu;

	for_each_online_cpu(cpu)
		if (clpka_silence_ns(cpu, now) > CLPKA_SILENT_NS)
			pr_emerg("cpu%d took no timer interrupt for %lu ms\n", cpu,
				 clpka_ms(clpka_silence_ns(cpu, now)));
}

/* Tasks in uninterruptible sleep, and what they wait in. */
static void clpka_print_blocked(u64 until)
{
	struct task_struct *p, *t;
	int left = CLPKA_SHOW_TASKS;

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

/*
 * The first lines are the record that is looked for after the next boot: keep
 * them stable. The WARN at the end is no bug report: it shows this CPU's
 * registers, and entering and leaving it makes threaded consoles print what
 * they have, which a mere pr_emerg() does not.
 */
static void clpka_report(struct clpka_countdown *cd, u32 action, u64 deadline, u64 now)
{
	u64 last = atomic64_read(&clpka_pings.last_ns);
	u64 evidence_ns = (u64)evidence_ms * NSEC_PER_MSEC;

	pr_emerg("FIRED countdown=%s action=%s reason=%s timeout_ms=%u late_us=%lu\n",
		 cd->name, clpka_action_names[action],
		 deadline == CLPKA_MISSED ? "beat" : "timeout", READ_ONCE(cd->timeout_ms),
		 deadline == CLPKA_MISSED ? 0 : clpka_div(now - deadline, NSEC_PER_USEC));
	pr_emerg("last ping %lu ms ago by %s[%d], pings %lu, longest gap %lu ms, system state %d\n",
		 last ? clpka_ms(now - last) : 0, clpka_pings.comm, clpka_pings.pid,
		 (unsigned long)atomic64_read(&clpka_pings.count),
		 clpka_ms(atomic64_read(&clpka_pings.gap_max_ns)), (int)system_state);
	clpka_print_text(clpka_notes[READ_ONCE(clpka_note_used)]);
	clpka_print_text(clpka_bpf_text);
	clpka_print_silent_cpus(now);
	if (action == CLPKA_ACTION_NONE || !evidence_ns)
		return;
	clpka_print_blocked(now + evidence_ns / 2);
	WARN_ON(1);
}

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
	u64 now = ktime_get_mono_fast_ns();
	bool off = action == CLPKA_ACTION_POWER_OFF;

	if (atomic64_cmpxchg(&clpka_limit, limit, now + (off ? clpka_grace_ns : CLPKA_ACT_NS)) !=
	    limit)
		return;
	if (off) {
		WRITE_ONCE(clpka_action, CLPKA_ACTION_RESET);
		set_bit(CLPKA_POWERING_OFF, &clpka_stage);
		schedule_work(&clpka_power_off_work);
		return;
	}
	if (action == CLPKA_ACTION_PANIC)
		panic("clpka: not pinged in time");
	if (action == CLPKA_ACTION_CRASH)
		__builtin_trap();	/* an oops in interrupt context is fatal */
	emergency_restart();
}

/**
 * clpka_fire() - a countdown has run out
 * @cd: the countdown, claimed by the caller
 * @deadline: the time that has passed, or CLPKA_MISSED
 * @now: the time
 *
 * Context: hard interrupt, NMI, or interrupts off.
 */
void clpka_fire(struct clpka_countdown *cd, u64 deadline, u64 now)
{
	u64 limit = now + (u64)evidence_ms * NSEC_PER_MSEC;
	u32 action = READ_ONCE(cd->action);

	if (action == CLPKA_ACTION_NONE) {
		clpka_report(cd, action, deadline, now);
		return;
	}
	if (test_and_set_bit(CLPKA_ACTING, &clpka_stage))
		return;		/* the other countdown was faster */
	WRITE_ONCE(clpka_action, action);
	clpka_grace_ns = max(CLPKA_POWER_OFF_NS, (u64)cd->timeout_ms * NSEC_PER_MSEC);
	atomic64_set(&clpka_limit, limit);
	/* A panic, ours or panic_on_warn's, must not hang for ever. */
	if (!panic_timeout)
		panic_timeout = 1;
	clpka_report(cd, action, deadline, now);
	clpka_act(limit);
}

/**
 * clpka_fired() - help to act when a countdown has run out already
 * @now: the time
 *
 * Shows what this CPU was doing, unless it was idle; acts when the CPU whose turn
 * it is has not got there in its time.
 *
 * Context: hard interrupt, or interrupts off.
 * Return: ns until the end of that time; 0: nothing has run out.
 */
u64 clpka_fired(u64 now)
{
	u64 limit = atomic64_read(&clpka_limit);

	if (!limit)
		return 0;
	if (now >= limit) {
		clpka_act(limit);
		return NSEC_PER_MSEC;
	}
	if (current->pid && !test_bit(CLPKA_POWERING_OFF, &clpka_stage) &&
	    atomic_dec_return(&clpka_to_show) >= 0)
		dump_stack();
	return limit - now;
}

static int clpka_power_off_failed(struct sys_off_data *data)
{
	pr_emerg("no way to power off worked: reset\n");
	emergency_restart();
	return NOTIFY_DONE;
}

/**
 * clpka_guard_power_off() - turn a power-off that fails into a reset, or not
 * @on: whether to
 *
 * On only while somebody has asked for protection: the mere presence of the
 * handler makes the kernel believe that it can power off. The caller serialises.
 */
void clpka_guard_power_off(bool on)
{
	if (on && !clpka_sys_off) {
		clpka_sys_off = register_sys_off_handler(SYS_OFF_MODE_POWER_OFF,
							 SYS_OFF_PRIO_LOW,
							 clpka_power_off_failed, NULL);
		if (IS_ERR(clpka_sys_off))
			clpka_sys_off = NULL;
	} else if (!on && clpka_sys_off) {
		unregister_sys_off_handler(clpka_sys_off);
		clpka_sys_off = NULL;
	}
}

#ifdef CLPKA_HAVE_NMI
static int clpka_nmi(unsigned int type, struct pt_regs *regs)
{
	return clpka_check_nmi() ? NMI_HANDLED : NMI_DONE;
}
#endif

int clpka_act_init(void)
{
	evidence_ms = clamp(evidence_ms, 0, 10000);
	if (!nmi)
		return 0;
#ifdef CLPKA_HAVE_NMI
	return register_nmi_handler(NMI_UNKNOWN, clpka_nmi, 0, "clpka");
#else
	pr_warn("nmi=1: not on this kernel\n");
	return -EOPNOTSUPP;
#endif
}

void clpka_act_exit(void)
{
#ifdef CLPKA_HAVE_NMI
	if (nmi)
		unregister_nmi_handler(NMI_UNKNOWN, "clpka");
#endif
	cancel_work_sync(&clpka_power_off_work);
	clpka_guard_power_off(false);
}
