// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults: hurts a test guest on demand. Write the name of a fault to
 * /sys/module/faults/parameters/now. Never load it on a machine you need.
 *
 * The loops use cpu_relax(), not udelay(), which lies under emulation.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/platform_device.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>

/* Where the way down hangs; each is set by the fault of that name. */
static bool in_notifier, in_device, in_syscore;

static void spin(void)
{
	for (;;)
		cpu_relax();
}

static void spin_irqs_off(void *unused)
{
	local_irq_disable();
	spin();
}

static int spin_no_preemption(void *unused)
{
	preempt_disable();
	spin();
	return 0;
}

static int do_spin_irqs_off(void *unused)
{
	spin_irqs_off(NULL);
	return 0;
}

/* A tasklet that never stays done keeps softirqs busy on its CPU. */
static void storm(struct tasklet_struct *t)
{
	tasklet_schedule(t);
}

static DEFINE_PER_CPU(struct tasklet_struct, storm_tasklet);

static int do_storm(void *unused)
{
	struct tasklet_struct *t = &per_cpu(storm_tasklet, raw_smp_processor_id());

	tasklet_setup(t, storm);
	tasklet_schedule(t);
	return 0;
}

/* A task in uninterruptible sleep: something for the evidence. */
static int do_sleep(void *unused)
{
	static DECLARE_COMPLETION(never);

	wait_for_completion(&never);
	return 0;
}

/* Starts fn on every CPU, on this one last. */
static int on_all(int (*fn)(void *))
{
	struct task_struct *t;
	int cpu, self = raw_smp_processor_id();

	for_each_online_cpu(cpu) {
		if (cpu == self)
			continue;
		t = kthread_create(fn, NULL, "fault/%d", cpu);
		if (IS_ERR(t))
			return PTR_ERR(t);
		kthread_bind(t, cpu);
		wake_up_process(t);
	}
	t = kthread_create(fn, NULL, "fault/%d", self);
	if (IS_ERR(t))
		return PTR_ERR(t);
	kthread_bind(t, self);
	msleep(20);	/* the others run first */
	wake_up_process(t);
	return 0;
}

/* A timer with nothing around it: what every reset by a timer costs at least. */
static enum hrtimer_restart do_restart(struct hrtimer *timer)
{
	emergency_restart();
	return HRTIMER_NORESTART;
}

static int restart_in_a_second(void)
{
	static struct hrtimer timer;

#ifdef HRTIMER_WITHOUT_SETUP
	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer.function = do_restart;
#else
	hrtimer_setup(&timer, do_restart, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#endif
	hrtimer_start(&timer, ns_to_ktime(NSEC_PER_SEC), HRTIMER_MODE_REL_PINNED_HARD);
	return 0;
}

static int set_now(const char *value, const struct kernel_param *kp)
{
	pr_info("%s\n", value);
	if (sysfs_streq(value, "irqs-off-cpu0"))
		return smp_call_function_single(0, spin_irqs_off, NULL, 0);
	if (sysfs_streq(value, "irqs-off-all"))
		return on_all(do_spin_irqs_off);
	if (sysfs_streq(value, "preemption-off-all"))
		return on_all(spin_no_preemption);
	if (sysfs_streq(value, "softirq-storm"))
		return on_all(do_storm);
	if (sysfs_streq(value, "restart-in-a-second"))
		return restart_in_a_second();
	if (sysfs_streq(value, "blocked-task"))
		return PTR_ERR_OR_ZERO(kthread_run(do_sleep, NULL, "blocked"));
	if (sysfs_streq(value, "hang-in-notifier"))
		in_notifier = true;
	else if (sysfs_streq(value, "hang-in-device"))
		in_device = true;
	else if (sysfs_streq(value, "hang-in-syscore"))
		in_syscore = true;
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops now_ops = { .set = set_now };
module_param_cb(now, &now_ops, NULL, 0200);
MODULE_PARM_DESC(now, "Name of the fault to happen");

static int on_reboot(struct notifier_block *nb, unsigned long event, void *unused)
{
	while (in_notifier)
		msleep(1000);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = { .notifier_call = on_reboot };

static void on_device_shutdown(struct platform_device *dev)
{
	if (in_device)
		spin();
}

static struct platform_driver driver = {
	.driver = { .name = "faults" },
	.shutdown = on_device_shutdown,
};

#ifdef SYSCORE_WITHOUT_DATA
static void on_syscore_shutdown(void)
{
	if (in_syscore)
		spin();
}

static struct syscore_ops syscore = { .shutdown = on_syscore_shutdown };

#define register_syscore	register_syscore_ops
#define unregister_syscore	unregister_syscore_ops
#else
static void on_syscore_shutdown(void *unused)
{
	if (in_syscore)
		spin();
}

static const struct syscore_ops syscore_ops = { .shutdown = on_syscore_shutdown };
static struct syscore syscore = { .ops = &syscore_ops };
#endif

static struct platform_device *device;

static int __init faults_init(void)
{
	int err = platform_driver_register(&driver);

	if (err)
		return err;
	device = platform_device_register_simple("faults", -1, NULL, 0);
	if (IS_ERR(device)) {
		platform_driver_unregister(&driver);
		return PTR_ERR(device);
	}
	register_reboot_notifier(&reboot_notifier);
	register_syscore(&syscore);
	return 0;
}

/* No exit: what it has begun cannot be taken back. */
module_init(faults_init);

MODULE_DESCRIPTION("Hurts a test guest on demand");
MODULE_LICENSE("GPL");
