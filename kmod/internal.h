/* SPDX-License-Identifier: GPL-2.0-only */
/* clpka: what its files share. */
#ifndef _CLPKA_INTERNAL_H
#define _CLPKA_INTERNAL_H

#include "compat.h"
#include "include/clpka.h"

/* Values of clpka_countdown.deadline that are not times. */
#define CLPKA_OFF	0		/* not armed */
#define CLPKA_MISSED	1		/* given up by a missed beat: no ping revives it */
#define CLPKA_WAITING	S64_MAX		/* ran out with action none, waits for a ping */

/**
 * struct clpka_countdown - one deadline, watched by all CPUs
 * @name: for the log
 * @deadline: ns of CLOCK_MONOTONIC, or one of the values above. Read and written
 *	without a lock, from NMI too. Whoever turns a time that has passed into
 *	something else owns the consequences.
 * @warned: the deadline whose pretimeout was announced
 * @conf: times and action
 */
struct clpka_countdown {
	const char *name;
	atomic64_t deadline, warned;
	struct clpka_config conf;
};

/**
 * struct clpka_ping - what is remembered of the pings
 * @last_ns: time of the last one
 * @gap_max_ns: longest time between two
 * @count: how many
 * @pid: process of the last one
 * @comm: its name; two pingers that race may mix them
 */
struct clpka_ping {
	atomic64_t last_ns, gap_max_ns, count;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

extern struct clpka_countdown clpka_main, clpka_down;
extern struct clpka_ping clpka_pings;
extern const char * const clpka_action_names[];
/* Words for the log: of user space, of an eBPF program. The last byte stays NUL. */
extern char clpka_notes[2][CLPKA_NOTE_MAX + 1];
extern bool clpka_suspending;

static inline bool clpka_armed(struct clpka_countdown *cd)
{
	return atomic64_read(&cd->deadline) != CLPKA_OFF;
}

static inline unsigned long clpka_ms(u64 ns)
{
	return (unsigned long)div_u64(ns, NSEC_PER_MSEC);
}

void clpka_countdown_init(void);
void clpka_countdown_exit(void);
void clpka_restart(struct clpka_countdown *cd);
bool clpka_ping(void);
void clpka_look_now(void);
void clpka_cover(bool all);
unsigned int clpka_covered(void);
void clpka_guard_power_off(void);
void clpka_announce_pretimeout(struct clpka_countdown *cd);

#ifdef CLPKA_HAVE_KFUNCS
void clpka_bpf_beat(void);
void clpka_bpf_miss(void);
void clpka_bpf_note(const char *text, u32 text__sz);
int clpka_bpf_init(void);
void clpka_bpf_exit(void);
#else
#define clpka_bpf_init()	(-EOPNOTSUPP)
#define clpka_bpf_exit()	do { } while (0)
#endif

#endif /* _CLPKA_INTERNAL_H */
