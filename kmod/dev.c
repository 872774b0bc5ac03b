// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: a countdown in the kernel that resets the machine when user space does not
 * ping it in time. It fires in three cases in which softdog does not: when the CPU
 * that armed it is stuck with interrupts off, when real-time tasks starve the timer
 * threads of PREEMPT_RT, and when the kernel hangs on its way down. It keeps out of
 * the watchdog core, so that it never takes the place of real hardware there.
 *
 * This file: the device, its calls, sysfs, the module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/mutex.h>

#include "internal.h"

static int timeout_ms = 60000;
module_param(timeout_ms, int, 0444);
MODULE_PARM_DESC(timeout_ms, "Timeout until it is set, in ms (100 to 65535000, default 60000)");

static int action = CLPKA_ACTION_RESET;
module_param(action, int, 0444);
MODULE_PARM_DESC(action, "Action until it is set (0 none, 1 reset, 2 panic, 3 crash, 4 power off, default 1)");

static int nowayout = WATCHDOG_NOWAYOUT;
module_param(nowayout, int, 0444);
MODULE_PARM_DESC(nowayout, "1: once armed it cannot be disarmed (0 or 1, default from CONFIG_WATCHDOG_NOWAYOUT)");

static int bootstatus;
module_param(bootstatus, int, 0444);
MODULE_PARM_DESC(bootstatus, "What WDIOC_GETBOOTSTATUS says: WDIOF_* flags found out by the loader from pstore or kdump (default 0)");

static DEFINE_MUTEX(clpka_lock);	/* what is configured, and the note */
static unsigned long clpka_owned;
static bool clpka_may_close;		/* the last write held a 'V' */

/* Arms, or restarts with new values. A countdown that runs keeps the module. */
static void clpka_arm(struct clpka_countdown *cd)
{
	if (!clpka_armed(cd))
		__module_get(THIS_MODULE);
	clpka_restart(cd);
	clpka_guard_power_off();
	clpka_cover(true);
}

static int clpka_disarm(struct clpka_countdown *cd)
{
	if (!clpka_armed(cd))
		return 0;
	if (nowayout)
		return -EBUSY;
	atomic64_set(&cd->deadline, CLPKA_OFF);
	clpka_guard_power_off();
	module_put(THIS_MODULE);
	return 0;
}

/* A ping on behalf of the calling process. */
static int clpka_ping_by_user(void)
{
	if (clpka_ping()) {
		clpka_pings.pid = current->tgid;
		memcpy(clpka_pings.comm, current->comm, TASK_COMM_LEN - 1);
		clpka_cover(false);
	}
	return 0;
}

static int clpka_arm_main(void)
{
	atomic64_set(&clpka_pings.last_ns, 0);	/* a gap before arming is none */
	clpka_arm(&clpka_main);
	return clpka_ping_by_user();
}

static bool clpka_valid(const struct clpka_config *c)
{
	return c->timeout_ms >= CLPKA_TIMEOUT_MIN_MS && c->timeout_ms <= CLPKA_TIMEOUT_MAX_MS &&
	       c->pretimeout_ms < c->timeout_ms && c->action <= CLPKA_ACTION_MAX && !c->reserved;
}

static int clpka_set_main(const struct clpka_config *c)
{
	if (!clpka_valid(c))
		return -EINVAL;
	clpka_main.conf = *c;
	return clpka_armed(&clpka_main) ? clpka_arm_main() : 0;
}

static int clpka_set_down(const struct clpka_shutdown *s)
{
	struct clpka_config c = { .timeout_ms = s->timeout_ms, .action = s->action };

	if (!s->timeout_ms)
		return clpka_disarm(&clpka_down);
	if (!clpka_valid(&c))
		return -EINVAL;
	clpka_down.conf = c;
	clpka_arm(&clpka_down);
	return 0;
}

/* Seconds of the standard calls; a pretimeout that no longer fits is dropped. */
static int clpka_set_seconds(unsigned int cmd, int seconds)
{
	struct clpka_config c = clpka_main.conf;

	if (seconds < 0 || seconds > CLPKA_TIMEOUT_MAX_MS / MSEC_PER_SEC)
		return -EINVAL;
	if (cmd == WDIOC_SETPRETIMEOUT)
		c.pretimeout_ms = seconds * MSEC_PER_SEC;
	else
		c.timeout_ms = seconds * MSEC_PER_SEC;
	if (cmd == WDIOC_SETTIMEOUT && c.pretimeout_ms >= c.timeout_ms)
		c.pretimeout_ms = 0;
	return clpka_set_main(&c);
}

static int clpka_set_options(int options)
{
	int err = options & WDIOS_DISABLECARD ? clpka_disarm(&clpka_main) : 0;

	if (!(options & (WDIOS_DISABLECARD | WDIOS_ENABLECARD)))
		return -EINVAL;
	return err || !(options & WDIOS_ENABLECARD) ? err : clpka_arm_main();
}

static int clpka_set_note(struct clpka_note __user *note)
{
	char *text = clpka_notes[0];
	u32 n;

	if (get_user(n, &note->length))
		return -EFAULT;
	if (n > CLPKA_NOTE_MAX)
		return -EINVAL;
	text[n] = '\0';
	if (copy_from_user(text, note->text, n)) {
		text[0] = '\0';
		return -EFAULT;
	}
	return 0;
}

/* ns left until a deadline; 0: it is none, or it has passed. */
static u64 clpka_left_ns(struct clpka_countdown *cd)
{
	u64 deadline = atomic64_read(&cd->deadline), now = ktime_get_mono_fast_ns();

	return deadline == CLPKA_WAITING || deadline <= now ? 0 : deadline - now;
}

static u32 clpka_flags(void)
{
	return (clpka_armed(&clpka_main) ? CLPKA_ARMED : 0) |
	       (clpka_armed(&clpka_down) ? CLPKA_SHUTDOWN_ARMED : 0) |
	       (atomic64_read(&clpka_main.deadline) == CLPKA_WAITING ? CLPKA_EXPIRED : 0) |
	       (READ_ONCE(clpka_suspending) ? CLPKA_PAUSED : 0) |
	       (nowayout ? CLPKA_NOWAYOUT : 0) | (test_bit(0, &clpka_owned) ? CLPKA_OWNED : 0);
}

static const struct watchdog_info clpka_info = {
	.options = WDIOF_SETTIMEOUT | WDIOF_KEEPALIVEPING | WDIOF_MAGICCLOSE |
		   WDIOF_PRETIMEOUT | WDIOF_CARDRESET,
	.firmware_version = CLPKA_ABI,
	.identity = "clpka",
};

static int clpka_get_status(struct clpka_status __user *status)
{
	struct clpka_status s = {
		.abi = CLPKA_ABI,
		.flags = clpka_flags(),
		.timeout_ms = clpka_main.conf.timeout_ms,
		.pretimeout_ms = clpka_main.conf.pretimeout_ms,
		.action = clpka_main.conf.action,
		.shutdown_timeout_ms = clpka_down.conf.timeout_ms,
		.shutdown_action = clpka_down.conf.action,
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
	return copy_to_user(status, &s, sizeof(s)) ? -EFAULT : 0;
}

/*
 * The calls that change what is configured. All values are granted as they are asked
 * for, so nothing has to be copied back.
 */
static int clpka_set(unsigned int cmd, const void __user *p)
{
	union {
		int number;
		struct clpka_config config;
		struct clpka_shutdown shutdown;
	} arg;

	if (_IOC_SIZE(cmd) > sizeof(arg))
		return -ENOTTY;
	if (copy_from_user(&arg, p, _IOC_SIZE(cmd)))
		return -EFAULT;
	switch (cmd) {
	case WDIOC_SETOPTIONS:
		return clpka_set_options(arg.number);
	case WDIOC_SETTIMEOUT:
	case WDIOC_SETPRETIMEOUT:
		return clpka_set_seconds(cmd, arg.number);
	case CLPKA_SETCONFIG:
		return clpka_set_main(&arg.config);
	case CLPKA_SETSHUTDOWN:
		return clpka_set_down(&arg.shutdown);
	}
	return -ENOTTY;
}

static long clpka_ioctl(struct file *file, unsigned int cmd, unsigned long address)
{
	void __user *p = (void __user *)address;
	int __user *number = p;
	int err;

	switch (cmd) {			/* anybody who has the device open may ask */
	case WDIOC_GETSUPPORT:
		return copy_to_user(p, &clpka_info, sizeof(clpka_info)) ? -EFAULT : 0;
	case WDIOC_GETSTATUS:
		return put_user(0, number);
	case WDIOC_GETBOOTSTATUS:
		return put_user(bootstatus, number);
	case WDIOC_GETTIMEOUT:
		return put_user(clpka_main.conf.timeout_ms / MSEC_PER_SEC, number);
	case WDIOC_GETPRETIMEOUT:
		return put_user(clpka_main.conf.pretimeout_ms / MSEC_PER_SEC, number);
	case WDIOC_GETTIMELEFT:
		return put_user(clpka_ms(clpka_left_ns(&clpka_main)) / MSEC_PER_SEC, number);
	case CLPKA_GETSTATUS:
		return clpka_get_status(p);
	}
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (cmd == WDIOC_KEEPALIVE)
		return clpka_ping_by_user();
	mutex_lock(&clpka_lock);
	err = cmd == CLPKA_SETNOTE ? clpka_set_note(p) : clpka_set(cmd, p);
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
	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	mutex_lock(&clpka_lock);
	if (clpka_may_close)
		clpka_disarm(&clpka_main);
	mutex_unlock(&clpka_lock);
	if (clpka_armed(&clpka_main))
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

static const char *clpka_state(void)
{
	u32 flags = clpka_flags();

	return flags & CLPKA_PAUSED ? "paused" : flags & CLPKA_EXPIRED ? "expired" :
	       flags & CLPKA_ARMED ? "active" : "inactive";
}

#define CLPKA_ATTR(_name, _format, ...)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	return sysfs_emit(buf, _format "\n", __VA_ARGS__);			\
}										\
static DEVICE_ATTR_RO(_name)

CLPKA_ATTR(state, "%s", clpka_state());
CLPKA_ATTR(timeout_ms, "%u", clpka_main.conf.timeout_ms);
CLPKA_ATTR(pretimeout_ms, "%u", clpka_main.conf.pretimeout_ms);
CLPKA_ATTR(timeleft_ms, "%lu", clpka_ms(clpka_left_ns(&clpka_main)));
CLPKA_ATTR(action, "%s", clpka_action_names[clpka_main.conf.action]);
CLPKA_ATTR(shutdown_timeleft_ms, "%lu", clpka_ms(clpka_left_ns(&clpka_down)));
CLPKA_ATTR(pinger, "%d %s", clpka_pings.pid, clpka_pings.comm);
CLPKA_ATTR(pings, "%lu", (unsigned long)atomic64_read(&clpka_pings.count));
CLPKA_ATTR(gap_max_ms, "%lu", clpka_ms(atomic64_read(&clpka_pings.gap_max_ns)));
CLPKA_ATTR(cpus_covered, "%u", clpka_covered());

static struct attribute *clpka_attrs[] = {
	&dev_attr_state.attr, &dev_attr_timeout_ms.attr, &dev_attr_pretimeout_ms.attr,
	&dev_attr_timeleft_ms.attr, &dev_attr_action.attr, &dev_attr_shutdown_timeleft_ms.attr,
	&dev_attr_pinger.attr, &dev_attr_pings.attr, &dev_attr_gap_max_ms.attr,
	&dev_attr_cpus_covered.attr, NULL
};
ATTRIBUTE_GROUPS(clpka);

static struct miscdevice clpka_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "clpka",
	.fops = &clpka_fops,
	CLPKA_MISC_GROUPS(clpka_groups)
};

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
		 clpka_action_names[cd->conf.action], cd->conf.pretimeout_ms);
	schedule_work(&clpka_uevent);
}

static int __init clpka_init(void)
{
	struct clpka_config c = { .timeout_ms = timeout_ms, .action = action };
	int err = clpka_set_main(&c);

	if (err)
		return err;
	clpka_countdown_init();
	err = misc_register(&clpka_misc);
	if (err) {
		clpka_countdown_exit();
		return err;
	}
	pr_info("timeout %d ms, action %s, nowayout %d, kfuncs %s\n", timeout_ms,
		clpka_action_names[action], nowayout, clpka_bpf_init() ? "no" : "yes");
	return 0;
}

static void __exit clpka_exit(void)
{
	misc_deregister(&clpka_misc);
	clpka_bpf_exit();
	clpka_countdown_exit();
	cancel_work_sync(&clpka_uevent);
}

module_init(clpka_init);
module_exit(clpka_exit);

MODULE_DESCRIPTION("Countdown that resets a machine whose user space makes no progress");
MODULE_AUTHOR("The shisa authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("1");
