/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef SHISA_CGROUP_H
#define SHISA_CGROUP_H

/* A cgroup's id is the inode number of its folder. 0: not known (before 5.5). */
static inline u64 cgroup_id(struct cgroup *cgroup)
{
	struct kernfs_node *node = read(cgroup->kn);

	return field_exists(node->id) ? read(node->id) : 0;
}

/* Of a task, in the unified hierarchy. */
static inline u64 cgroup_of(struct task_struct *task)
{
	struct css_set *set = read(task->cgroups);

	return cgroup_id(read(set->dfl_cgrp));
}

#endif
