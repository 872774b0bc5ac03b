/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clpka on kernels from 2.6.18 on. The rest of the module is written against
 * current mainline; every test of a version is here. Each shim names the first
 * mainline version that does not need it, and the commit where it is known. What
 * mainline has as a macro is asked for by name, so that a distribution's backport is
 * used; what it has as a function is covered by a macro, after the headers, so that a
 * backport does no harm. No case here knows a distribution.
 */
#ifndef _CLPKA_COMPAT_H
#define _CLPKA_COMPAT_H

#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/sysrq.h>
#include <linux/version.h>
#include <linux/watchdog.h>
#include <linux/workqueue.h>

#define CLPKA_BEFORE(a, b, c)	(LINUX_VERSION_CODE < KERNEL_VERSION(a, b, c))

#if CLPKA_BEFORE(2, 6, 20)	/* linux/uaccess.h: 2.6.20 (a866374aecc9) */
#include <asm/uaccess.h>
#else
#include <linux/uaccess.h>
#endif
#if !CLPKA_BEFORE(2, 6, 26)
#include <linux/math64.h>
#endif
#if !CLPKA_BEFORE(3, 0, 0)
#include <linux/atomic.h>
#endif
#if !CLPKA_BEFORE(4, 11, 0)	/* split off linux/sched.h */
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#endif

/* -- the language --------------------------------------------------------- */

#if CLPKA_BEFORE(2, 6, 19)
#define bool _Bool
#define true 1
#define false 0
#endif

#ifndef READ_ONCE		/* 3.19 (230fa253df63) */
#define READ_ONCE(x)		(*(const volatile typeof(x) *)&(x))
#endif
#ifndef WRITE_ONCE		/* 3.19 (43239cbe79fc); before it ASSIGN_ONCE for a while */
#define WRITE_ONCE(x, v)	(*(volatile typeof(x) *)&(x) = (v))
#endif

#ifndef S64_MAX			/* 3.14 */
#define S64_MAX			((s64)(~0ULL >> 1))
#endif

#ifndef NSEC_PER_MSEC		/* 2.6.20 */
#define NSEC_PER_MSEC		1000000L
#endif

#ifndef clamp			/* 2.6.25 */
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#endif

#ifndef min3			/* 2.6.37 */
#define min3(x, y, z)		min(min(x, y), z)
#endif

#if CLPKA_BEFORE(2, 6, 26)
static inline u64 clpka_div_u64(u64 n, u32 d)
{
	do_div(n, d);
	return n;
}

#define div_u64			clpka_div_u64
#endif

/* A prefix by pr_fmt: 2.6.30; pr_warn: 2.6.35. */
#if CLPKA_BEFORE(2, 6, 35)
#undef pr_emerg
#undef pr_alert
#undef pr_crit
#undef pr_warn
#undef pr_info
#define pr_emerg(fmt, ...)	printk(KERN_EMERG "clpka: " fmt, ##__VA_ARGS__)
#define pr_alert(fmt, ...)	printk(KERN_ALERT "clpka: " fmt, ##__VA_ARGS__)
#define pr_crit(fmt, ...)	printk(KERN_CRIT "clpka: " fmt, ##__VA_ARGS__)
#define pr_warn(fmt, ...)	printk(KERN_WARNING "clpka: " fmt, ##__VA_ARGS__)
#define pr_info(fmt, ...)	printk(KERN_INFO "clpka: " fmt, ##__VA_ARGS__)
#endif

/* -- atomic64_t: complete on x86-64 from 2.6.21, everywhere from 2.6.31 ------ */

#if BITS_PER_LONG == 32 && CLPKA_BEFORE(2, 6, 31)
/*
 * A lock, held for a few instructions with interrupts off, in countdown.c. An NMI
 * would mind, but our handler of those is younger.
 */
extern spinlock_t clpka_atomic64_lock;

#define CLPKA_ATOMIC64_LOCK	DEFINE_SPINLOCK(clpka_atomic64_lock)

struct clpka_atomic64 {
	s64 counter;
};

static inline s64 clpka_atomic64_swap(struct clpka_atomic64 *v, bool always, s64 old, s64 new)
{
	unsigned long flags;
	s64 was;

	spin_lock_irqsave(&clpka_atomic64_lock, flags);
	was = v->counter;
	if (always || was == old)
		v->counter = new;
	spin_unlock_irqrestore(&clpka_atomic64_lock, flags);
	return was;
}

static inline void clpka_atomic64_inc(struct clpka_atomic64 *v)
{
	unsigned long flags;

	spin_lock_irqsave(&clpka_atomic64_lock, flags);
	v->counter++;
	spin_unlock_irqrestore(&clpka_atomic64_lock, flags);
}

#define atomic64_t		struct clpka_atomic64
#define atomic64_read(v)	clpka_atomic64_swap(v, false, 0, 0)
#define atomic64_set(v, n)	((void)clpka_atomic64_swap(v, true, 0, n))
#define atomic64_xchg(v, n)	clpka_atomic64_swap(v, true, 0, n)
#define atomic64_cmpxchg(v, o, n) clpka_atomic64_swap(v, false, o, n)
#define atomic64_inc		clpka_atomic64_inc
#elif CLPKA_BEFORE(2, 6, 31)	/* macros there, inline functions later */
#ifndef atomic64_xchg
#define atomic64_xchg(v, n)	((s64)xchg(&(v)->counter, (long)(n)))
#endif
#ifndef atomic64_cmpxchg
#define atomic64_cmpxchg(v, o, n) ((s64)cmpxchg(&(v)->counter, (long)(o), (long)(n)))
#endif
#endif
#ifndef CLPKA_ATOMIC64_LOCK	/* a declaration that says nothing */
#define CLPKA_ATOMIC64_LOCK	struct clpka_countdown
#endif

/* -- time and CPUs ---------------------------------------------------------- */

#if CLPKA_BEFORE(3, 17, 0)	/* 4396e058c52e; not safe against an NMI before */
static inline u64 clpka_mono_ns(void)
{
	struct timespec ts;

	ktime_get_ts(&ts);	/* ktime_get() is not exported by the oldest */
	return (u64)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

#define ktime_get_mono_fast_ns	clpka_mono_ns
#endif

#if CLPKA_BEFORE(2, 6, 21)
#define HRTIMER_MODE_REL	HRTIMER_REL
#endif
#if CLPKA_BEFORE(2, 6, 31)	/* 597d0275736d; timers did not migrate before */
#define HRTIMER_MODE_REL_PINNED	HRTIMER_MODE_REL
#endif
#if CLPKA_BEFORE(5, 4, 0)	/* ae6683d81589; PREEMPT_RT was out of tree: softirq there */
#define HRTIMER_MODE_REL_PINNED_HARD HRTIMER_MODE_REL_PINNED
#endif

#if CLPKA_BEFORE(2, 6, 28)
#define hrtimer_set_expires(t, at) ((t)->expires = (at))
#endif

#if CLPKA_BEFORE(6, 13, 0)	/* 908a1d775422 */
static inline void clpka_hrtimer_setup(struct hrtimer *timer,
				       enum hrtimer_restart (*fn)(struct hrtimer *),
				       clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = (void *)fn;	/* it returned an int until 2.6.20 */
}

#define hrtimer_setup		clpka_hrtimer_setup
#endif

#if CLPKA_BEFORE(2, 6, 27)	/* 15c8b6c1aaaf; retried on request */
#define on_each_cpu(fn, data, wait) on_each_cpu(fn, data, 0, wait)
#endif

/* -- work queues and power --------------------------------------------------- */

#if CLPKA_BEFORE(2, 6, 20)	/* 65f27f38446e; work functions took any pointer */
#undef DECLARE_WORK
#define DECLARE_WORK(name, fn) \
	struct work_struct name = __WORK_INITIALIZER(name, (void (*)(void *))(fn), NULL)
#endif
#if CLPKA_BEFORE(2, 6, 22)
#define cancel_work_sync(work)	flush_scheduled_work()
#endif

/*
 * 2.6.23; without them a suspend longer than the timeout fires. Where nothing sleeps,
 * old kernels have macros that do not use their argument.
 */
#if !defined(PM_HIBERNATION_PREPARE) || !defined(CONFIG_PM_SLEEP)
#undef register_pm_notifier
#undef unregister_pm_notifier
#define register_pm_notifier(nb) ((void)(nb))
#define unregister_pm_notifier(nb) ((void)(nb))
#endif
#ifndef PM_HIBERNATION_PREPARE
#define PM_HIBERNATION_PREPARE	0x0001
#define PM_POST_HIBERNATION	0x0002
#define PM_SUSPEND_PREPARE	0x0003
#define PM_POST_SUSPEND		0x0004
#endif
#ifndef PM_RESTORE_PREPARE	/* 2.6.27 */
#define PM_RESTORE_PREPARE	0x0005
#define PM_POST_RESTORE		0x0006
#endif

#ifndef SYS_OFF_PRIO_LOW	/* 5.19 (232edc2f72f5); before, what fails to power off halts */
struct sys_off_data;
struct sys_off_handler;

#define SYS_OFF_MODE_POWER_OFF	0
#define SYS_OFF_PRIO_LOW	0
#define register_sys_off_handler(mode, priority, fn, data) \
	((void)(fn), (struct sys_off_handler *)NULL)
#define unregister_sys_off_handler(handler) ((void)(handler))
#endif

/* -- evidence ---------------------------------------------------------------- */

#if CLPKA_BEFORE(2, 6, 32)	/* not exported: kernel.panic must be set by hand */
static int clpka_panic_timeout __attribute__((unused)) = 1;

#define panic_timeout		clpka_panic_timeout
#endif

#if CLPKA_BEFORE(5, 10, 0)
/*
 * sched_show_task() is not exported by all of them. SysRq-w does the whole walk
 * itself, if kernel.sysrq lets it: the loop that asks for it has no turns.
 */
static inline void clpka_sysrq_w(void)
{
#if CLPKA_BEFORE(2, 6, 19)
	handle_sysrq('w', NULL, NULL);
#elif CLPKA_BEFORE(2, 6, 36)
	handle_sysrq('w', NULL);
#else
	handle_sysrq('w');
#endif
}

#undef for_each_process_thread
#undef task_state_to_char
#define for_each_process_thread(p, t) \
	for ((p) = (t) = NULL, clpka_sysrq_w(); (p); (p) = NULL)
#define task_state_to_char(t)	('R')
#define sched_show_task(t)	((void)(t))
#endif

/*
 * Whether a console may print what it is given later, from a thread: on PREEMPT_RT, and
 * since 6.13 drivers have been converted one by one. A WARN makes them print at once.
 */
#define CLPKA_CONSOLES_LAG	(IS_ENABLED(CONFIG_PREEMPT_RT) || !CLPKA_BEFORE(6, 13, 0))
#ifndef IS_ENABLED		/* 3.1 */
#define IS_ENABLED(option)	0
#endif

#if defined(CONFIG_X86) && !CLPKA_BEFORE(3, 10, 0)
#include <asm/nmi.h>
#else				/* for other architectures too */
#define NMI_UNKNOWN		0
#define NMI_DONE		0
#define NMI_HANDLED		1
#define register_nmi_handler(type, fn, flags, name) ((void)(fn), -EOPNOTSUPP)
#define unregister_nmi_handler(type, name) do { } while (0)
#endif

/* -- the device -------------------------------------------------------------- */

#if CLPKA_BEFORE(5, 5, 0)	/* 2952db0fd51b; only s390 would mind the difference */
#undef compat_ptr_ioctl
#define compat_ptr_ioctl	clpka_ioctl
#endif

#ifndef WDIOC_GETTIMELEFT	/* 2.6.18 */
#define WDIOC_GETTIMELEFT	_IOR(WATCHDOG_IOCTL_BASE, 10, int)
#endif

#ifndef DEVICE_ATTR_RO		/* 3.11 */
#define DEVICE_ATTR_RO(name) \
	struct device_attribute dev_attr_##name = __ATTR(name, 0444, name##_show, NULL)
#endif

#if CLPKA_BEFORE(5, 10, 0)	/* 2efc459d06f1 */
#define sysfs_emit(buf, fmt, ...) scnprintf(buf, PAGE_SIZE, fmt, ##__VA_ARGS__)
#endif

#if CLPKA_BEFORE(2, 6, 21)	/* misc devices had a class_device: no attributes there */
#define this_device		class
#define sysfs_create_group(kobj, group) ((void)(kobj), (void)(group), 0)
#endif

#if CLPKA_BEFORE(4, 1, 0)	/* attributes came after the device; they go with it */
#undef ATTRIBUTE_GROUPS		/* 3.11; it makes a list, too, for which there is no use */
#define ATTRIBUTE_GROUPS(name) \
	static const struct attribute_group name##_group = { .attrs = name##_attrs }
#define CLPKA_MISC_GROUPS(list)
static inline int clpka_misc_register(struct miscdevice *misc, const struct attribute_group *group)
{
	int err = misc_register(misc);

	if (!err) {
		err = sysfs_create_group(&misc->this_device->kobj, group);
		if (err)
			misc_deregister(misc);
	}
	return err;
}

#define misc_register(misc)	clpka_misc_register(misc, &clpka_group)
#else
#define CLPKA_MISC_GROUPS(list)	.groups = (list),
#endif
#if CLPKA_BEFORE(2, 6, 22)
#define kobject_uevent_env(kobj, action, env) ((void)(env), kobject_uevent(kobj, action))
#endif

/* -- kfuncs: 6.0 for their flags (a4703e318432), and types in the headers -------- */

#if defined(CONFIG_DEBUG_INFO_BTF_MODULES) && !CLPKA_BEFORE(6, 0, 0)
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/irq_work.h>
#define CLPKA_HAVE_KFUNCS
#ifndef __bpf_kfunc		/* 6.3 (57e7c169cd6a) */
#define __bpf_kfunc		__used noinline
#endif
#ifndef __bpf_kfunc_start_defs	/* 6.7 (391145ba2acc) */
#define __bpf_kfunc_start_defs() \
	__diag_push(); \
	__diag_ignore_all("-Wmissing-prototypes", "called from eBPF, found by BTF")
#define __bpf_kfunc_end_defs()	__diag_pop()
#endif
#ifndef BTF_KFUNCS_START	/* 6.9 (6f3189f38a3e) */
#define BTF_KFUNCS_START	BTF_SET8_START
#define BTF_KFUNCS_END		BTF_SET8_END
#endif
#endif

#endif /* _CLPKA_COMPAT_H */
