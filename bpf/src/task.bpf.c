// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Walks all tasks when user space reads the iterator, and tells of those that
 * are blocked, or want a CPU. Sleepers are only counted: on an idle machine of
 * thousands of tasks almost nothing is copied.
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#include "counters.h"
#include "cgroup.h"

exported(task_record);

/* include/linux/sched.h: same since 2.6 (TASK_NOLOAD, TASK_FROZEN: idle by intent). */
#define TASK_RUNNING 0x0
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_NOLOAD 0x400

static inline u32 state_of(struct task_struct *task)
{
	struct task_struct___before_5_14 *old = (void *)task;

	if (field_exists(task->__state))
		return read(task->__state);
	return read(old->state);
}

/*
 * The scheduler's own clock is not readable here, but this very task has just
 * been given a CPU: the time of that is "now" on that clock, or a little less.
 */
static inline u64 waiting_since(struct task_struct *task)
{
	struct task_struct *self = (void *)bpf_get_current_task();
	u64 now = read(self->sched_info.last_arrival);
	u64 queued = read(task->sched_info.last_queued);

	return queued && now > queued ? now - queued : 0;
}

/* An int for long, one byte on newer kernels: then its neighbours are not it. */
static inline bool on_cpu(struct task_struct *task)
{
	if (!field_exists(task->on_cpu))
		return 0;
	if (field_size(task->on_cpu) == 1)
		return read(*(u8 *)&task->on_cpu);
	return read(task->on_cpu);
}

static inline void describe(struct task_record *r, struct task_struct *task)
{
	struct task_struct *leader = read(task->group_leader);

	r->at = bpf_ktime_get_ns();
	r->start = field_exists(leader->start_boottime) ? read(leader->start_boottime) : 0;
	r->cgroup = cgroup_of(task);
	r->switches = read(task->nvcsw) + read(task->nivcsw);
	r->runtime = read(task->se.sum_exec_runtime);
	r->run_delay = field_exists(task->sched_info.run_delay) ? read(task->sched_info.run_delay) : 0;
	r->pid = read(task->pid);
	r->tgid = read(task->tgid);
	r->prio = read(task->prio);
	r->policy = read(task->policy);
	r->on_cpu = on_cpu(task);
	bpf_probe_read_kernel(r->comm, sizeof(r->comm), &task->comm);
}

SEC("iter/task")
int tasks_iter(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u32 state;

	if (!task)
		return 0;
	count(SEEN);
	state = state_of(task);
	if (state != TASK_RUNNING && !(state & TASK_UNINTERRUPTIBLE))
		return 0;
	if (state & TASK_NOLOAD)
		return 0;

	struct task_record r = { .state = state };
	describe(&r, task);
	if (state == TASK_RUNNING && !r.on_cpu && field_exists(task->sched_info.last_queued))
		r.waiting = waiting_since(task);
	if (state & TASK_UNINTERRUPTIBLE) {
		long bytes = bpf_get_task_stack(task, r.stack, sizeof(r.stack), 0);

		if (bytes > 0)
			r.frames = bytes / sizeof(r.stack[0]);
	}
	if (bpf_seq_write(ctx->meta->seq, &r, sizeof(r)))
		count(LOST);
	return 0;
}
