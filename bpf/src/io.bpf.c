// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keeps each block request from the moment that the driver gets it until it is
 * done, and for each disk when it last finished one: user space looks at the
 * table now and then, and sees what has been in flight for too long.
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#include "counters.h"
#include "cgroup.h"

exported(io_record);
exported(disk_record);

/*
 * Which argument of block_rq_issue is the request: 1 behind the queue, before
 * 5.11; 0 since. The loader looks the tracepoint's type up and sets this.
 */
const volatile u32 issue_arg = 0;

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct io_record);
} in_flight SEC(".maps");

struct disk { u32 major, minor; };

struct {
	__uint(type, MAP_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct disk);
	__type(value, struct disk_record);
} disks SEC(".maps");

static inline struct disk disk_of(struct request *rq)
{
	struct request___before_5_16 *old = (void *)rq;
	struct request_queue *queue = read(rq->q);
	struct gendisk *gendisk;
	struct disk disk;

	if (field_exists(queue->disk))
		gendisk = read(queue->disk);
	else
		gendisk = read(old->rq_disk);
	disk.major = read(gendisk->major);
	disk.minor = read(gendisk->first_minor);
	return disk;
}

/* Who wrote the data: known also when a kernel worker issues the request. */
static inline u64 owner_of(struct request *rq)
{
	struct bio *bio = read(rq->bio);
	struct blkcg_gq *group;
	struct blkcg *blkcg;

	if (!field_exists(bio->bi_blkg))
		return 0;
	group = read(bio->bi_blkg);
	blkcg = read(group->blkcg);
	return cgroup_id(read(blkcg->css.cgroup));
}

static inline int issued(struct request *rq)
{
	struct disk disk = disk_of(rq);
	struct io_record r = { .major = disk.major, .minor = disk.minor };
	u64 key = (u64)rq;

	count(SEEN);
	r.issued = bpf_ktime_get_ns();
	r.sector = read(rq->__sector);
	r.bytes = read(rq->__data_len);
	r.op = read(rq->cmd_flags);
	r.cgroup = owner_of(rq);
	r.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(r.comm, sizeof(r.comm));
	if (bpf_map_update_elem(&in_flight, &key, &r, BPF_ANY))
		count(LOST);
	return 0;
}

static inline int completed(struct request *rq, u32 bytes)
{
	struct disk disk = disk_of(rq);
	struct disk_record *d, fresh = { .done = 1 };
	u64 key = (u64)rq;

	/* Part of a request may be done before the rest: it stays in flight. */
	if (bytes >= read(rq->__data_len))
		bpf_map_delete_elem(&in_flight, &key);

	d = bpf_map_lookup_elem(&disks, &disk);
	if (d) {
		__sync_fetch_and_add(&d->done, 1);
		d->last_done = bpf_ktime_get_ns();
		return 0;
	}
	fresh.last_done = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&disks, &disk, &fresh, BPF_ANY))
		count(LOST);
	return 0;
}

/* The driver gave it back: it will be issued again. */
static inline int requeued(struct request *rq)
{
	u64 key = (u64)rq;

	bpf_map_delete_elem(&in_flight, &key);
	return 0;
}

SEC("raw_tp/block_rq_issue")
int issue_raw_tp(u64 *ctx)
{
	return issued((void *)(issue_arg ? ctx[1] : ctx[0]));
}

SEC("raw_tp/block_rq_complete")
int complete_raw_tp(u64 *ctx)
{
	return completed((void *)ctx[0], ctx[2]);
}

SEC("raw_tp/block_rq_requeue")
int requeue_raw_tp(u64 *ctx)
{
	return requeued((void *)(issue_arg ? ctx[1] : ctx[0]));
}
