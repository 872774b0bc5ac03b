// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long tasks wait for a CPU, as a histogram by powers of two. It traces
 * every switch and costs a busy machine a quarter of its switching speed: for
 * some seconds, on demand, and never otherwise.
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#include "counters.h"

#define SLOTS 40        /* slot n: below 2^n ns; the last is over 9 minutes */

/* Which tracepoint arguments hold the tasks: the same since 4.4. */
#define WAKE_TASK 0
#define SWITCH_PREV 1
#define SWITCH_NEXT 2

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, u64);
} queued SEC(".maps");

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, u32);
	__type(value, u64);
} waits SEC(".maps");

static inline void enqueue(struct task_struct *task)
{
	u32 pid = read(task->pid);
	u64 now = bpf_ktime_get_ns();

	if (pid && bpf_map_update_elem(&queued, &pid, &now, BPF_ANY))
		count(LOST);
}

static inline u32 log2(u64 v)
{
	u32 n = 0;

	if (v >> 32) { n += 32; v >>= 32; }
	if (v >> 16) { n += 16; v >>= 16; }
	if (v >> 8) { n += 8; v >>= 8; }
	if (v >> 4) { n += 4; v >>= 4; }
	if (v >> 2) { n += 2; v >>= 2; }
	if (v >> 1) n += 1;
	return n;
}

static inline int switched(struct task_struct *prev, struct task_struct *next)
{
	struct task_struct___before_5_14 *old = (void *)prev;
	u32 pid = read(next->pid), slot;
	u64 *since, *n;
	long state;

	count(SEEN);
	state = field_exists(prev->__state) ? read(prev->__state) : read(old->state);
	if (state == 0)
		enqueue(prev);  /* preempted: it goes on wanting the CPU */

	since = bpf_map_lookup_elem(&queued, &pid);
	if (!since)
		return 0;
	slot = log2(bpf_ktime_get_ns() - *since) + 1;
	bpf_map_delete_elem(&queued, &pid);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	n = bpf_map_lookup_elem(&waits, &slot);
	if (n)
		*n += 1;
	return 0;
}

SEC("tp_btf/sched_wakeup")
int wakeup_tp_btf(u64 *ctx)
{
	enqueue((void *)ctx[WAKE_TASK]);
	return 0;
}

SEC("raw_tp/sched_wakeup")
int wakeup_raw_tp(u64 *ctx)
{
	enqueue((void *)ctx[WAKE_TASK]);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int born_tp_btf(u64 *ctx)
{
	enqueue((void *)ctx[WAKE_TASK]);
	return 0;
}

SEC("raw_tp/sched_wakeup_new")
int born_raw_tp(u64 *ctx)
{
	enqueue((void *)ctx[WAKE_TASK]);
	return 0;
}

SEC("tp_btf/sched_switch")
int switch_tp_btf(u64 *ctx)
{
	return switched((void *)ctx[SWITCH_PREV], (void *)ctx[SWITCH_NEXT]);
}

SEC("raw_tp/sched_switch")
int switch_raw_tp(u64 *ctx)
{
	return switched((void *)ctx[SWITCH_PREV], (void *)ctx[SWITCH_NEXT]);
}
