// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: a countdown in the kernel that resets the machine when user space does
 * not ping it in time. It fires in three cases in which softdog does not: when
 * the CPU that armed it is stuck with interrupts off, when real-time tasks
 * starve the timer threads of PREEMPT_RT, and when the kernel hangs on its way
 * down. It keeps out of the watchdog core, so that it never takes the place of
 * real hardware there.
 *
 * This file: the device, its calls, sysfs, the module.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/watchdog.h>
#include <linux/workqueue.h>

#include "internal.h"

static int timeout_ms = 60000;
module_param(timeout_ms, int, 0444);
MODULE_PARM_DESC(timeout_ms,
		 "Timeout until it is set, in ms (100 to 65535000, default 60000)");

static int action = CLPKA_ACTION_RESET;
module_param(action, int, 0444);
MODULE_PARM_DESC(action,
		 "Action until it is set (0 none, 1 reset, 2 panic, 3 crash, 4 power off, default 1)");

static int shutdown_ms;
module_param(shutdown_ms, int, 0644);
MODULE_PARM_DESC(shutdown_ms,
		 "Reset when the kernel's part of any shutdown takes longer, in ms (0 never, 100 to 65535000, default 0)");

static int nowayout = WATCHDOG_NOWAYOUT;
module_param(nowayout, int, 0444);
MODULE_PARM_DESC(nowayout,
		 "1: once armed it cannot be disarmed (0 or 1, default from CONFIG_WATCHDOG_NOWAYOUT)");

static int bootstatus;
module_param(bootstatus, int, 0444);
MODULE_PARM_DESC(bootstatus,
		 "What WDIOC_GETBOOTSTATUS says: WDIOF_* flags found out by the loader from pstore or kdump (default 0)");

static DEFINE_MUTEX(clpka_lock);	/* what is configured, and the note */
static unsigned long clpka_owned;
static bool clpka_may_close;		/* the last write held a 'V' */
static struct miscdevice clpka_misc;

static bool clpka_timeout_valid(u64 ms)
{
	return ms >= CLPKA_TIMEOUT_MIN_MS && ms <= CLPKA_TIMEOUT_MAX_MS;
}

/* Arms, or restarts with new values. A countdown that runs keeps the module. */
static void clpka_arm(struct clpka_countdown *cd)
{
	if (!clpka_armed(cd))
		__module_get(THIS_MODULE);
	clpka_guard_power_off(cd == &clpka_down || clpka_armed(&clpka_down) ||
			      clpka_main.action == CLPKA_ACTION_POWER_OFF);
	clpka_restart(cd);
	clpka_cover(true);
}

static int clpka_disarm(struct clpka_countdown *cd)
{
	if (!clpka_armed(cd))
		return 0;
	if (nowayout)
		return -EBUSY;
	atomic64_set(&cd->deadline, CLPKA_OFF);
	clpka_guard_power_off(clpka_armed(&clpka_down));
	module_put(THIS_MODULE);
	return 0;
}

/* A ping on behalf of the calling process. */
static void clpka_ping_by_user(void)
{
	if (!clpka_ping())
		return;
	clpka_pings.pid = current->tgid;
	memcpy(clpka_pings.comm, current->comm, TASK_COMM_LEN - 1);
	clpka_cover(false);
}

static void clpka_arm_main(void)
{
	atomic64_set(&clpka_pings.last_ns, 0);	/* a gap before arming is none */
	clpka_arm(&clpka_main);
	clpka_ping_by_user();
}

static int clpka_configure(u64 timeout, u64 pretimeout, u32 act)
{
	if (!clpka_timeout_valid(timeout) || pretimeout >= timeout || act > CLPKA_ACTION_MAX)
		return -EINVAL;
	WRITE_ONCE(clpka_main.timeout_ms, timeout);
	WRITE_ONCE(clpka_main.pretimeout_ms, pretimeout);
	WRITE_ONCE(clpka_main.action, act);
	if (clpka_armed(&clpka_main))
		clpka_arm_main();
	return 0;
}

static int clpka_set_config(void __user *p)
{
	struct clpka_config c;
	int err;

	if (copy_from_user(&c, p, sizeof(c)))
		return -EFAULT;
	if (c.reserved)
		return -EINVAL;
	err = clpka_configure(c.timeout_ms, c.pretimeout_ms, c.action);
	if (err)
		return err;
	return copy_to_user(p, &c, sizeof(c)) ? -EFAULT : 0;
}

static int clpka_set_shutdown(void __user *p)
{
	struct clpka_shutdown s;

	if (copy_from_user(&s, p, sizeof(s)))
		return -EFAULT;
	if (!s.timeout_ms)
		return clpka_disarm(&clpka_down);
	if (!clpka_timeout_valid(s.timeout_ms) || s.action > CLPKA_ACTION_MAX)
		return -EINVAL;
	WRITE_ONCE(clpka_down.timeout_ms, s.timeout_ms);
	WRITE_ONCE(clpka_down.action, s.action);
	clpka_arm(&clpka_down);
	return 0;
}

static int clpka_take_note(void __user *p)
{
	struct clpka_note *note = kmalloc(sizeof(*note), GFP_KERNEL);
	int err = 0;

	if (!note)
		return -ENOMEM;
	if (copy_from_user(note, p, sizeof(*note)))
		err = -EFAULT;
	else if (note->length > CLPKA_NOTE_MAX)
		err = -EINVAL;
	else
		clpka_set_note(note->text, note->length);
	kfree(note);
	return err;
}

static int clpka_set_options(int __user *p)
{
	int options, err = -EINVAL;

	if (get_user(options, p))
		return -EFAULT;
	if (options & WDIOS_DISABLECARD)
		err = clpka_disarm(&clpka_main);
	else if (options & WDIOS_ENABLECARD)
		err = 0;
	if (!err && (options & WDIOS_ENABLECARD))
		clpka_arm_main();
	return err;
}

/* Seconds of the standard calls; a pretimeout that no longer fits is dropped. */
static int clpka_set_seconds(unsigned int cmd, int __user *p)
{
	u64 timeout = clpka_main.timeout_ms, pretimeout = clpka_main.pretimeout_ms;
	int seconds, err;

	if (get_user(seconds, p))
		return -EFAULT;
	if (seconds < 0)
		return -EINVAL;
	if (cmd == WDIOC_SETPRETIMEOUT) {
		pretimeout = (u64)seconds * MSEC_PER_SEC;
	} else {
		timeout = (u64)seconds * MSEC_PER_SEC;
		if (pretimeout >= timeout)
			pretimeout = 0;
	}
	err = clpka_configure(timeout, pretimeout, clpka_main.action);
	return err ? err : put_user(seconds, p);
}

/* ns left until a deadline; 0: it is none, or it has passed. */
static u64 clpka_left_ns(struct clpka_countdown *cd)
{
	u64 deadline = atomic64_read(&cd->deadline);
	u64 now = ktime_get_mono_fast_ns();

	return deadline == CLPKA_WAITING || deadline <= now ? 0 : deadline - now;
}

static u32 clpka_flags(void)
{
	return (clpka_armed(&clpka_main) ? CLPKA_ARMED : 0) |
	       (clpka_armed(&clpka_down) ? CLPKA_SHUTDOWN_ARMED : 0) |
	       (atomic64_read(&clpka_main.deadline) == CLPKA_WAITING ? CLPKA_EXPIRED : 0) |
	       (clpka_paused() ? CLPKA_PAUSED : 0) |
	       (nowayout ? CLPKA_NOWAYOUT : 0) |
	       (test_bit(0, &clpka_owned) ? CLPKA_OWNED : 0);
}

static int clpka_get_status(void __user *p)
{
	struct clpka_status s = {
		.abi = CLPKA_ABI,
		.flags = clpka_flags(),
		.timeout_ms = clpka_main.timeout_ms,
		.pretimeout_ms = clpka_main.pretimeout_ms,
		.action = clpka_main.action,
		.shutdown_timeout_ms = clpka_down.timeout_ms,
		.shutdown_action = clpka_down.action,
		.cpus_online = num_online_cpus(),
		.cpus_covered = clpka_covered(),
		.pid = clpka_pings.pid,
		.now_ns = ktime_get_mono_fast_ns(),
		.ping_ns = atomic64_read(&clpka_pings.last_ns),
		.deadline_ns = atomic64_read(&clpka_main.deadline),
		.shutdown_deadline_ns = atomic64_read(&clpka_down.deadline),
		.gap_max_ns = atomic64_read(&clpka_pings.gap_max_ns),
		.pings = atomic64_read(&clpka_pings.count),
	};

	BUILD_BUG_ON(sizeof(s) != 104 || sizeof(s.comm) != TASK_COMM_LEN);
	memcpy(s.comm, clpka_pings.comm, sizeof(s.comm));
	return copy_to_user(p, &s, sizeof(s)) ? -EFAULT : 0;
}

static int clpka_get_config(void __user *p)
{
	struct clpka_config c = {
		.timeout_ms = clpka_main.timeout_ms,
		.pretimeout_ms = clpka_main.pretimeout_ms,
		.action = clpka_main.action,
	};

	return copy_to_user(p, &c, sizeof(c)) ? -EFAULT : 0;
}

static const struct watchdog_info clpka_info = {
	.options = WDIOF_SETTIMEOUT | WDIOF_KEEPALIVEPING | WDIOF_MAGICCLOSE |
		   WDIOF_PRETIMEOUT | WDIOF_CARDRESET,
	.firmware_version = CLPKA_ABI,
	.identity = "clpka",
};

/* The calls that change nothing; anybody who has the device open may make them. */
static long clpka_ioctl_get(unsigned int cmd, void __user *p)
{
	int __user *n = p;

	switch (cmd) {
	case WDIOC_GETSUPPORT:
		return copy_to_user(p, &clpka_info, sizeof(clpka_info)) ? -EFAULT : 0;
	case WDIOC_GETSTATUS:
		return put_user(0, n);
	case WDIOC_GETBOOTSTATUS:
		return put_user(bootstatus, n);
	case WDIOC_GETTIMEOUT:
		return put_user((int)(clpka_main.timeout_ms / MSEC_PER_SEC), n);
	case WDIOC_GETPRETIMEOUT:
		return put_user((int)(clpka_main.pretimeout_ms / MSEC_PER_SEC), n);
	case WDIOC_GETTIMELEFT:
		return put_user((int)(clpka_ms(clpka_left_ns(&clpka_main)) / MSEC_PER_SEC), n);
	case CLPKA_GETCONFIG:
		return clpka_get_config(p);
	case CLPKA_GETSTATUS:
		return clpka_get_status(p);
	}
	return -ENOTTY;
}

static long clpka_ioctl_set(unsigned int cmd, void __user *p)
{
	switch (cmd) {
	case WDIOC_SETOPTIONS:
		return clpka_set_options(p);
	case WDIOC_SETTIMEOUT:
	case WDIOC_SETPRETIMEOUT:
		return clpka_set_seconds(cmd, p);
	case CLPKA_SETCONFIG:
		return clpka_set_config(p);
	case CLPKA_SETSHUTDOWN:
		return clpka_set_shutdown(p);
	case CLPKA_SETNOTE:
		return clpka_take_note(p);
	}
	return -ENOTTY;
}

static long clpka_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;
	long err = clpka_ioctl_get(cmd, p);

	if (err != -ENOTTY)
		return err;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (cmd == WDIOC_KEEPALIVE) {
		clpka_ping_by_user();
		return 0;
	}
	mutex_lock(&clpka_lock);
	err = clpka_ioctl_set(cmd, p);
	mutex_unlock(&clpka_lock);
	return err;
}

static ssize_t clpka_write(struct file *file, const char __user *data, size_t len, loff_t *ppos)
{
	bool magic = false;
	size_t i;
	char c;

	for (i = 0; i < len; i++) {
		if (get_user(c, data + i))
			return -EFAULT;
		magic |= c == 'V';
	}
	WRITE_ONCE(clpka_may_close, magic);
	if (len)
		clpka_ping_by_user();
	return len;
}

static int clpka_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (file->f_mode & FMODE_WRITE) {
		if (test_and_set_bit(0, &clpka_owned))
			return -EBUSY;
		clpka_may_close = false;
		mutex_lock(&clpka_lock);
		clpka_arm_main();
		mutex_unlock(&clpka_lock);
	}
	return nonseekable_open(inode, file);
}

static int clpka_release(struct inode *inode, struct file *file)
{
	int err = -EBUSY;

	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	mutex_lock(&clpka_lock);
	if (clpka_may_close)
		err = clpka_disarm(&clpka_main);
	mutex_unlock(&clpka_lock);
	if (err && clpka_armed(&clpka_main))
		pr_crit("closed by %s[%d] without disarming: %lu ms left\n", current->comm,
			current->tgid, clpka_ms(clpka_left_ns(&clpka_main)));
	clear_bit(0, &clpka_owned);
	return 0;
}

static const struct file_operations clpka_fops = {
	.owner = THIS_MODULE,
	.open = clpka_open,
	.release = clpka_release,
	.write = clpka_write,
	.unlocked_ioctl = clpka_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice clpka_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "clpka",
	.fops = &clpka_fops,
};

static const char *clpka_state(void)
{
	u32 flags = clpka_flags();

	if (flags & CLPKA_PAUSED)
		return "paused";
	if (flags & CLPKA_EXPIRED)
		return "expired";
	return flags & CLPKA_ARMED ? "active" : "inactive";
}

#define CLPKA_ATTR(_name, _format, ...)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	return sysfs_emit(buf, _format "\n", __VA_ARGS__);			\
}										\
static DEVICE_ATTR_RO(_name)

CLPKA_ATTR(state, "%s", clpka_state());
CLPKA_ATTR(timeout_ms, "%u", clpka_main.timeout_ms);
CLPKA_ATTR(pretimeout_ms, "%u", clpka_main.pretimeout_ms);
CLPKA_ATTR(timeleft_ms, "%lu", clpka_ms(clpka_left_ns(&clpka_main)));
CLPKA_ATTR(action, "%s", clpka_action_names[clpka_main.action]);
CLPKA_ATTR(shutdown_timeleft_ms, "%lu", clpka_ms(clpka_left_ns(&clpka_down)));
CLPKA_ATTR(pinger, "%d %s", clpka_pings.pid, clpka_pings.comm);
CLPKA_ATTR(pings, "%lu", (unsigned long)atomic64_read(&clpka_pings.count));
CLPKA_ATTR(gap_max_ms, "%lu", clpka_ms(atomic64_read(&clpka_pings.gap_max_ns)));
CLPKA_ATTR(cpus_covered, "%u", clpka_covered());

static struct attribute *clpka_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_timeout_ms.attr,
	&dev_attr_pretimeout_ms.attr,
	&dev_attr_timeleft_ms.attr,
	&dev_attr_action.attr,
	&dev_attr_shutdown_timeleft_ms.attr,
	&dev_attr_pinger.attr,
	&dev_attr_pings.attr,
	&dev_attr_gap_max_ms.attr,
	&dev_attr_cpus_covered.attr,
	NULL
};

static const struct attribute_group clpka_group = { .attrs = clpka_attrs };

static void clpka_do_uevent(struct work_struct *work)
{
	char text[] = "CLPKA=pretimeout", *env[] = { text, NULL };

	kobject_uevent_env(&clpka_misc.this_device->kobj, KOBJ_CHANGE, env);
}

static DECLARE_WORK(clpka_uevent, clpka_do_uevent);

/* In hard interrupt context: the log now, the uevent as soon as may be. */
void clpka_announce_pretimeout(struct clpka_countdown *cd)
{
	pr_alert("pretimeout: %s in %u ms unless pinged\n",
		 clpka_action_names[cd->action], cd->pretimeout_ms);
	schedule_work(&clpka_uevent);
}

/* Someone shuts down: see to it that the kernel's own part comes to an end. */
static int clpka_going_down(struct notifier_block *nb, unsigned long event, void *unused)
{
	if (!clpka_timeout_valid(shutdown_ms))
		return NOTIFY_DONE;
	mutex_lock(&clpka_lock);
	if (!clpka_armed(&clpka_down)) {
		clpka_down.timeout_ms = shutdown_ms;
		clpka_down.action = CLPKA_ACTION_RESET;
		clpka_arm(&clpka_down);
	}
	mutex_unlock(&clpka_lock);
	return NOTIFY_DONE;
}

static struct notifier_block clpka_reboot_notifier = {
	.notifier_call = clpka_going_down,
	.priority = INT_MAX,	/* before those that may hang */
};

static int __init clpka_init(void)
{
	int err = clpka_configure(timeout_ms, 0, action);

	if (err)
		return err;
	err = clpka_act_init();
	if (err)
		return err;
	err = clpka_countdown_init();
	if (err)
		goto undo_act;
	err = register_reboot_notifier(&clpka_reboot_notifier);
	if (err)
		goto undo_countdown;
	err = misc_register(&clpka_misc);
	if (err)
		goto undo_notifier;
	err = sysfs_create_group(&clpka_misc.this_device->kobj, &clpka_group);
	if (err)
		goto undo_misc;
	pr_info("timeout %d ms, action %s, nowayout %d, kfuncs %s\n", timeout_ms,
		clpka_action_names[action], nowayout, clpka_bpf_init() ? "no" : "yes");
	return 0;

undo_misc:
	misc_deregister(&clpka_misc);
undo_notifier:
	unregister_reboot_notifier(&clpka_reboot_notifier);
undo_countdown:
	clpka_countdown_exit();
undo_act:
	clpka_act_exit();
	return err;
}

static void __exit clpka_exit(void)
{
	sysfs_remove_group(&clpka_misc.this_device->kobj, &clpka_group);
	misc_deregister(&clpka_misc);
	unregister_reboot_notifier(&clpka_reboot_notifier);
	clpka_bpf_exit();
	clpka_countdown_exit();
	clpka_act_exit();
	cancel_work_sync(&clpka_uevent);
}

module_init(clpka_init);
module_exit(clpka_exit);

MODULE_DESCRIPTION("Countdown that resets a machine whose user space makes no progress");
MODULE_AUTHOR("The shisa authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("1");
