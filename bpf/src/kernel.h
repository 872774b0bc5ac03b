/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fields of kernel structures that the witnesses read, and no others. The
 * loader finds each by name in the running kernel's BTF, so neither order nor
 * offsets matter here. A suffix ___x names another shape of the same structure;
 * field_exists() tells which one the running kernel has.
 */
#ifndef SHISA_KERNEL_H
#define SHISA_KERNEL_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct { int counter; } atomic_t;
struct mm_struct;

struct kernfs_node { u64 id; };                          /* u64 since 5.5 */
struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };
struct cgroup_subsys_state { struct cgroup *cgroup; };

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
	struct mm_struct *oom_mm;                        /* set for an OOM victim */
};

struct sched_info { unsigned long long run_delay, last_arrival, last_queued; };
struct sched_entity { u64 sum_exec_runtime; };

struct task_struct {
	unsigned int __state;                            /* since 5.14 */
	unsigned int flags, policy;
	int on_cpu, prio, pid, tgid, exit_code;
	u64 start_boottime;                              /* since 5.5 */
	unsigned long nvcsw, nivcsw;
	struct task_struct *real_parent, *group_leader;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct sched_info sched_info;
	struct sched_entity se;
	char comm[16];
};
struct task_struct___before_5_14 { long state; };

struct trace_event_raw_mark_victim { unsigned int uid; }; /* since 6.9; before: only a pid */

struct gendisk { int major, first_minor; };
struct request_queue { struct gendisk *disk; };          /* since 5.16 */
struct blkcg { struct cgroup_subsys_state css; };
struct blkcg_gq { struct blkcg *blkcg; };
struct bio { struct blkcg_gq *bi_blkg; };
struct request {
	struct request_queue *q;
	unsigned int cmd_flags, __data_len;
	u64 __sector;
	struct bio *bio;
};
struct request___before_5_16 { struct gendisk *rq_disk; };

struct device_driver { const char *name; };
struct kobject { const char *name; };
struct device { struct kobject kobj; struct device_driver *driver; const char *init_name; };

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; u64 session_id, seq_num; };
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };

#pragma clang attribute pop

struct bpf_timer { u64 opaque[2]; } __attribute__((aligned(8)));

#endif
