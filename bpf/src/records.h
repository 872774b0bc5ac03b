/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a witness tells user space: declared once, here. The Go side is
 * generated from these declarations. Times are CLOCK_MONOTONIC nanoseconds
 * unless they say otherwise. No implicit padding: the sizes are asserted.
 */
#ifndef SHISA_RECORDS_H
#define SHISA_RECORDS_H

#define sized(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " has another size")

/* Keeps a record's type information in the object for the Go generator. */
#define exported(type) const struct type *exported_##type __attribute__((unused))

/* A witness counts what it saw and what it had to drop; see counters.h. */
enum counter { SEEN, LOST, COUNTERS };

enum process_kind { PROCESS_EXIT = 1, PROCESS_EXEC = 2, PROCESS_OOM = 3 };
enum { PROCESS_OOM_VICTIM = 1 };

#define IGNORED_BITS 65536

struct process_record {
	u64 at;
	u64 start;              /* boot-time ns since boot: with pid, the identity; 0 unknown */
	u64 cgroup;             /* id in the unified hierarchy; 0 unknown */
	u32 pid;
	u32 ppid;
	s32 code;               /* as wait(2) reports it */
	u32 flags;
	u32 kind;
	u32 _pad;
	u8 comm[16];
};
sized(process_record, 64);

#define STACK_DEPTH 24

struct task_record {
	u64 at;
	u64 start;
	u64 cgroup;
	u64 switches;           /* voluntary and involuntary */
	u64 runtime;            /* CPU time, ns */
	u64 run_delay;          /* time spent runnable without a CPU, ns, total */
	u64 waiting;            /* of that, the wait going on now, ns; 0 none */
	u32 pid;
	u32 tgid;
	u32 state;              /* TASK_* bits */
	u32 prio;
	u32 on_cpu;
	u32 frames;             /* valid entries of stack */
	u32 policy;
	u32 _pad;
	u8 comm[16];
	u64 stack[STACK_DEPTH];
};
sized(task_record, 104 + 8 * STACK_DEPTH);

struct io_record {
	u64 issued;
	u64 sector;             /* 512-byte units */
	u64 cgroup;             /* of the first bio's owner; 0 unknown */
	u32 major, minor;
	u32 bytes;
	u32 op;                 /* cmd_flags: low 8 bits are REQ_OP_* */
	u32 pid;                /* who issued it to the driver: may be a kernel worker */
	u32 _pad;
	u8 comm[16];
};
sized(io_record, 64);

struct disk_record {
	u64 done;               /* requests completed */
	u64 last_done;
};
sized(disk_record, 16);

/*
 * The page of beats: 64 cells of 64 bytes, of which the first four are not
 * slots. A slot as ctl/beat lays it out.
 */
#define BEAT_CELLS 64
#define BEAT_FIRST_SLOT 4
#define BEAT_USED 1

struct beat_slot {
	s64 last;               /* latest beat; one in the future counts as none */
	s64 count;
	s64 limit;              /* ns that may pass between two beats */
	s64 flags;
	s64 max_delay;
	u8 name[24];
};
sized(beat_slot, 64);

struct miss_record {
	u64 at;                 /* when the miss was noticed; 0: none yet */
	s64 last;               /* the beat after which none came */
	s64 limit;
	u64 misses;             /* of this slot so far */
	u32 slot;               /* from BEAT_CELLS - BEAT_FIRST_SLOT on: of another process */
	s32 handed;             /* 0: no, or not yet; 1: the pinger was killed; 2: to clpka */
	u8 name[24];
};
sized(miss_record, 64);

/* Shutdown: one entry of the timeline. */
enum mark_kind {
	MARK_SIGNAL = 1,        /* arg: signal; pid, comm: its target */
	MARK_EXIT = 2,          /* pid, comm: the process; arg: wait status */
	MARK_SYNC_BEGIN = 3,
	MARK_SYNC_END = 4,
	MARK_REBOOT = 5,        /* arg: 1 restart, 2 power off, 3 halt */
	MARK_DEVICES_BEGIN = 6,
	MARK_DEVICE = 7,        /* name, driver: the device whose turn begins */
	MARK_DEVICES_END = 8,
	MARK_STUCK = 9,         /* arg: ms that the device named has taken so far */
};

struct mark_record {
	u64 at;
	u32 kind;
	u32 arg;
	u32 pid;
	u32 from;               /* MARK_SIGNAL: the sender's pid */
	u8 name[40];
	u8 driver[24];
};
sized(mark_record, 88);

#endif
