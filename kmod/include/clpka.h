/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * clpka: the countdown in the kernel. User interface of /dev/clpka.
 *
 * The device speaks the standard watchdog API (<linux/watchdog.h>): opening it
 * for writing arms it, any write or WDIOC_KEEPALIVE pings it, closing it after
 * a write that holds a 'V' disarms it. WDIOC_SETTIMEOUT and its kin take
 * seconds. The calls below add what that API lacks.
 *
 * An open for reading only neither arms the countdown nor counts as its owner;
 * it may make the calls that read, and gets EBADF for the others.
 *
 * All structures have the same layout for 32-bit and 64-bit user space. Unused
 * fields are zero, both ways.
 */
#ifndef _CLPKA_H
#define _CLPKA_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Version of this interface, in clpka_status.abi; grows only. */
#define CLPKA_ABI		1

/* What is done to the machine when a countdown runs out. */
#define CLPKA_ACTION_NONE	0	/* say so in the kernel log, go on with the next ping */
#define CLPKA_ACTION_RESET	1	/* reset at once, without sync */
#define CLPKA_ACTION_PANIC	2	/* panic: kdump where it is loaded, else reset */
#define CLPKA_ACTION_CRASH	3	/* oops in interrupt context, as a fatal NMI would */
#define CLPKA_ACTION_POWER_OFF	4	/* power off in good order; reset if that fails */
#define CLPKA_ACTION_MAX	4

/* Range of every timeout, in ms. The upper end is softdog's 65535 s. */
#define CLPKA_TIMEOUT_MIN_MS	100
#define CLPKA_TIMEOUT_MAX_MS	65535000

/* Longest note, in bytes. */
#define CLPKA_NOTE_MAX		1024

/* Bits of clpka_status.flags. */
#define CLPKA_ARMED		0x01	/* the main countdown runs */
#define CLPKA_SHUTDOWN_ARMED	0x02	/* the shutdown countdown runs */
#define CLPKA_EXPIRED		0x04	/* it ran out with action none and waits for a ping */
#define CLPKA_PAUSED		0x08	/* the machine is being suspended */
#define CLPKA_NOWAYOUT		0x10	/* disarming is refused with EBUSY */
#define CLPKA_OWNED		0x20	/* somebody has the device open for writing */

/**
 * struct clpka_config - the main countdown
 * @timeout_ms: from the last ping to the action
 * @pretimeout_ms: warn this long before the action; 0: no warning; must be
 *	smaller than @timeout_ms
 * @action: CLPKA_ACTION_*
 * @reserved: 0
 */
struct clpka_config {
	__u32 timeout_ms;
	__u32 pretimeout_ms;
	__u32 action;
	__u32 reserved;
};

/**
 * struct clpka_shutdown - the shutdown countdown
 * @timeout_ms: from this call to the action; 0 cancels
 * @action: CLPKA_ACTION_*
 *
 * It runs beside the main one. No ping prolongs it, and it goes on when its
 * maker closes the device or dies. Whichever runs out first acts.
 */
struct clpka_shutdown {
	__u32 timeout_ms;
	__u32 action;
};

/**
 * struct clpka_note - words for the kernel log when a countdown runs out
 * @length: bytes used in @text; 0 clears the note
 * @text: lines of text; a NUL ends it
 */
struct clpka_note {
	__u32 length;
	char  text[CLPKA_NOTE_MAX];
};

/**
 * struct clpka_status - what is armed, by whom, how long it still has
 * @abi: CLPKA_ABI of the module
 * @flags: CLPKA_ARMED and the other bits
 * @timeout_ms: of the main countdown
 * @pretimeout_ms: of the main countdown
 * @action: of the main countdown
 * @shutdown_timeout_ms: of the shutdown countdown
 * @shutdown_action: of the shutdown countdown
 * @cpus_online: number of CPUs
 * @cpus_covered: CPUs whose own timer watches the deadlines
 * @pid: process that pinged last, in the initial pid namespace
 * @comm: its name, ending in NUL
 * @now_ns: the clock of all times here: CLOCK_MONOTONIC
 * @ping_ns: time of the last ping; 0: none since the module was loaded
 * @deadline_ns: when the main countdown runs out; 0: not armed
 * @shutdown_deadline_ns: the same for the shutdown countdown
 * @gap_max_ns: longest time between two pings of one armed period
 * @pings: number of pings since the module was loaded
 */
struct clpka_status {
	__u32 abi;
	__u32 flags;
	__u32 timeout_ms;
	__u32 pretimeout_ms;
	__u32 action;
	__u32 shutdown_timeout_ms;
	__u32 shutdown_action;
	__u32 cpus_online;
	__u32 cpus_covered;
	__u32 pid;
	char  comm[16];
	__u64 now_ns;
	__u64 ping_ns;
	__u64 deadline_ns;
	__u64 shutdown_deadline_ns;
	__u64 gap_max_ns;
	__u64 pings;
};

#define CLPKA_IOC		0xC7

/* Change the main countdown and restart it; the granted values come back: those asked for. */
#define CLPKA_SETCONFIG		_IOWR(CLPKA_IOC, 1, struct clpka_config)
/* Arm, re-arm or cancel the shutdown countdown. */
#define CLPKA_SETSHUTDOWN	_IOW(CLPKA_IOC, 2, struct clpka_shutdown)
#define CLPKA_SETNOTE		_IOW(CLPKA_IOC, 3, struct clpka_note)
#define CLPKA_GETSTATUS		_IOR(CLPKA_IOC, 4, struct clpka_status)

#endif /* _CLPKA_H */
