/* SPDX-License-Identifier: GPL-2.0-only */
/* clpka: what its files share. */
#ifndef _CLPKA_INTERNAL_H
#define _CLPKA_INTERNAL_H

#include <linux/types.h>

#include "compat.h"
#include "include/clpka.h"

/* Values of clpka_countdown.deadline that are not times. */
#define CLPKA_OFF	0		/* not armed */
#define CLPKA_MISSED	1		/* given up by a missed beat: no ping revives it */
#define CLPKA_WAITING	S64_MAX		/* ran out with action none, waits for a ping */

/**
 * struct clpka_countdown - one deadline, watched by all CPUs
 * @name: for the log
 * @deadline: ns of CLOCK_MONOTONIC, or one of the values above. Read and
 *	written without a lock, from NMI too. Whoever turns a time that has
 *	passed into something else owns the consequences.
 * @warned: the deadline whose pretimeout was announced
 * @timeout_ms: from ping to deadline
 * @pretimeout_ms: 0: none
 * @action: CLPKA_ACTION_*
 */
struct clpka_countdown {
	const char *name;
	atomic64_t deadline;
	atomic64_t warned;
	u32 timeout_ms;
	u32 pretimeout_ms;
	u32 action;
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
	atomic64_t last_ns;
	atomic64_t gap_max_ns;
	atomic64_t count;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

extern struct clpka_countdown clpka_main;
extern struct clpka_countdown clpka_down;
extern struct clpka_ping clpka_pings;

static inline bool clpka_armed(struct clpka_countdown *cd)
{
	return atomic64_read(&cd->deadline) != CLPKA_OFF;
}

/* Times for the eye. */
static inline unsigned long clpka_div(u64 ns, u32 unit)
{
	return (unsigned long)div_u64(ns, unit);
}

static inline unsigned long clpka_ms(u64 ns)
{
	return clpka_div(ns, NSEC_PER_MSEC);
}

/* countdown.c */
int clpka_countdown_init(void);
void clpka_countdown_exit(void);
void clpka_restart(struct clpka_countdown *cd);
bool clpka_ping(void);
void clpka_miss(void);
void clpka_cover(bool all);
void clpka_check(void);
bool clpka_check_nmi(void);
bool clpka_paused(void);
unsigned int clpka_covered(void);
u64 clpka_silence_ns(int cpu, u64 now);

/* act.c */
int clpka_act_init(void);
void clpka_act_exit(void);
void clpka_guard_power_off(bool on);
void clpka_set_note(char *text, size_t length);
void clpka_fire(struct clpka_countdown *cd, u64 deadline, u64 now);
u64 clpka_fired(u64 now);
extern const char * const clpka_action_names[];

/* dev.c */
void clpka_announce_pretimeout(struct clpka_countdown *cd);

/* bpf.c */
int clpka_bpf_init(void);
void clpka_bpf_exit(void);
extern char clpka_bpf_text[128];
void clpka_bpf_beat(void);
void clpka_bpf_miss(void);
void clpka_bpf_note(const char *text, u32 text__sz);

#endif /* _CLPKA_INTERNAL_H */
