// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells user space at once that a process died, replaced its program, or was
 * chosen by the OOM killer. One record a process, none for a mere thread.
 *
 * Where most processes are nobody's concern (a busy shell script starts hundreds a
 * second), user space marks them as ignored: their records wait in the buffer until
 * one that counts wakes the reader, or an eighth of the buffer is full.
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#include "emit.h"
#include "cgroup.h"

exported(process_record);

#define SIGNAL_GROUP_EXIT 4     /* include/linux/sched/signal.h: same since 2.6 */

#ifdef SHISA_PERF
#define wakeup_for(pid) 0       /* a perf buffer always wakes */
#else
/* One bit for the processes whose numbers share its index; all zero: none is ignored. */
struct {
	__uint(type, MAP_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, IGNORED_BITS / 64);
	__type(key, u32);
	__type(value, u64);
} ignored SEC(".maps");

static inline u64 wakeup_for(u32 pid)
{
	u32 word = (pid % IGNORED_BITS) / 64;
	u64 *bits = bpf_map_lookup_elem(&ignored, &word);

	if (bits && (*bits >> (pid % 64)) & 1 &&
	    bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) < RING_BYTES / 8)
		return BPF_RB_NO_WAKEUP;
	return BPF_RB_FORCE_WAKEUP;
}
#endif

static inline void describe(struct process_record *r, struct task_struct *task)
{
	struct task_struct *leader = read(task->group_leader);
	struct task_struct *parent = read(leader->real_parent);

	r->at = bpf_ktime_get_ns();
	r->start = field_exists(leader->start_boottime) ? read(leader->start_boottime) : 0;
	r->cgroup = cgroup_of(task);
	r->pid = read(task->tgid);
	r->ppid = read(parent->tgid);
	bpf_probe_read_kernel(r->comm, sizeof(r->comm), &leader->comm);
}

static inline int exited(void *ctx, struct task_struct *task)
{
	struct process_record r = { .kind = PROCESS_EXIT };
	struct signal_struct *signal;
	struct task_struct *leader;

	count(SEEN);
	/*
	 * do_exit() has already taken this thread off signal->live. Two threads
	 * that leave together may both see zero: the reader drops the second
	 * record of a process.
	 */
	signal = read(task->signal);
	if (read(signal->live.counter) > 0)
		return 0;

	describe(&r, task);
	leader = read(task->group_leader);
	/* The same choice as wait_task_zombie() in kernel/exit.c. */
	if (read(signal->flags) & SIGNAL_GROUP_EXIT)
		r.code = read(signal->group_exit_code);
	else
		r.code = read(leader->exit_code);
	if (read(signal->oom_mm))
		r.flags |= PROCESS_OOM_VICTIM;
	emit_waking(ctx, &r, sizeof(r), r.flags ? BPF_RB_FORCE_WAKEUP : wakeup_for(r.pid));
	return 0;
}

static inline int execed(void *ctx, struct task_struct *task)
{
	struct process_record r = { .kind = PROCESS_EXEC };

	count(SEEN);
	describe(&r, task);
	emit_waking(ctx, &r, sizeof(r), wakeup_for(r.pid));
	return 0;
}

/* The victim's pid is the tracepoint's only stable fact; it may name a thread. */
static inline int condemned(void *ctx, u32 pid)
{
	struct process_record r = { .kind = PROCESS_OOM, .pid = pid };

	count(SEEN);
	r.at = bpf_ktime_get_ns();
	emit_waking(ctx, &r, sizeof(r), BPF_RB_FORCE_WAKEUP);
	return 0;
}

static inline int condemned_raw(u64 *ctx)
{
	struct trace_event_raw_mark_victim *entry = NULL;
	struct task_struct *victim = (void *)ctx[0];

	if (field_exists(entry->uid))
		return condemned(ctx, read(victim->tgid));
	return condemned(ctx, ctx[0]);
}

SEC("tp_btf/sched_process_exit")
int exit_tp_btf(u64 *ctx)
{
	return exited(ctx, (void *)ctx[0]);
}

SEC("raw_tp/sched_process_exit")
int exit_raw_tp(u64 *ctx)
{
	return exited(ctx, (void *)ctx[0]);
}

SEC("tracepoint/sched/sched_process_exit")
int exit_tracepoint(void *ctx)
{
	return exited(ctx, (void *)bpf_get_current_task());
}

SEC("tp_btf/sched_process_exec")
int exec_tp_btf(u64 *ctx)
{
	return execed(ctx, (void *)ctx[0]);
}

SEC("raw_tp/sched_process_exec")
int exec_raw_tp(u64 *ctx)
{
	return execed(ctx, (void *)ctx[0]);
}

SEC("tracepoint/sched/sched_process_exec")
int exec_tracepoint(void *ctx)
{
	return execed(ctx, (void *)bpf_get_current_task());
}

SEC("raw_tp/mark_victim")
int oom_raw_tp(u64 *ctx)
{
	return condemned_raw(ctx);
}

/* struct trace_event_raw_mark_victim: 8 common bytes, then the pid. Needs no BTF. */
SEC("tracepoint/oom/mark_victim")
int oom_tracepoint(u32 *ctx)
{
	return condemned(ctx, ctx[2]);
}
