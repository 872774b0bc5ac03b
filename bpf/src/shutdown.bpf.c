// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The timeline of a shutdown: who was signalled and who left, how long sync(2)
 * took, and inside the kernel the turn of each device. Nothing here runs on a
 * busy path; signals and exits are told only once the shutdown has begun.
 *
 * Built a second time with SHISA_TIMER, for kernels with timers for programs:
 * there it also says what is stuck while it is stuck.
 */
#include "helpers.h"
#include "kernel.h"
#include "records.h"
#define RING_BYTES (128 * 1024)
#include "emit.h"

exported(mark_record);

#define SIGKILL 9
#define SIGTERM 15
#define SIGNAL_GROUP_EXIT 4
enum { RESTART = 1, POWER_OFF = 2, HALT = 3 };

/* First arguments of a probed function, by architecture: CO-RE finds which. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs { unsigned long di; };                    /* x86-64 */
struct pt_regs___arm64 { u64 regs[31]; };
#pragma clang attribute pop

static inline u64 first_argument(struct pt_regs *ctx)
{
	struct pt_regs___arm64 *arm = (void *)ctx;

	if (field_exists(ctx->di))
		return read(ctx->di);
	return read(arm->regs[0]);
}

struct shutdown_phase {
	u32 begun;              /* user space says that the machine is going down */
	u32 in_devices;         /* device_shutdown() has been entered and not left */
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct shutdown_phase);
} phase SEC(".maps");

static inline struct shutdown_phase *now(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&phase, &zero);
}

#define LINE 128

/* Room for two: a lookout may interrupt, and what it spoils is one line. */
struct line {
	u8 text[2 * LINE];
};

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct line);
} lines SEC(".maps");

static inline u32 append(struct line *l, u32 at, u32 size, const void *text)
{
	long n = bpf_probe_read_kernel_str(l->text + (at & (LINE - 1)), size, text);

	return n > 0 ? at + n - 1 : at;
}

/*
 * One of the lines that timeline.Parse() in Go reads. With tp_printk on the kernel's
 * command line it goes to the kernel's log, and so to pstore or a console, when nobody in
 * user space is left to read the record. Before 5.16 only three values can be printed,
 * one of them text.
 */
static inline void print(struct mark_record *m)
{
	static const char format[] = "shisa-shutdown: %llu %u %s", middle[] = "\" \"", end[] = "\"";
	static const char words[][16] = {
		"reboot \"", "devices-begin \"", "device \"", "devices-end \"", "stuck \"",
	};
	u32 zero = 0, at = 0, word = m->kind - MARK_REBOOT;
	struct line *l = bpf_map_lookup_elem(&lines, &zero);

	if (!l || word >= sizeof(words) / sizeof(words[0]))
		return;
	at = append(l, at, sizeof(words[0]), words[word]);
	at = append(l, at, sizeof(m->name), m->name);
	at = append(l, at, sizeof(middle), middle);
	at = append(l, at, sizeof(m->driver), m->driver);
	append(l, at, sizeof(end), end);
	bpf_trace_printk(format, sizeof(format), m->at, m->arg, l->text);
}

static inline void tell(void *ctx, struct mark_record *m)
{
	count(SEEN);
	m->at = bpf_ktime_get_ns();
	if (!m->pid) {
		m->pid = bpf_get_current_pid_tgid() >> 32;
		if (!m->name[0])
			bpf_get_current_comm(m->name, 16);
	}
	emit(ctx, m, sizeof(*m));
	if (m->kind >= MARK_REBOOT)
		print(m);
}

static inline int mark(void *ctx, u32 kind, u32 arg)
{
	struct mark_record m = { .kind = kind, .arg = arg };

	tell(ctx, &m);
	return 0;
}

#ifdef SHISA_TIMER
#define CLOCK_MONOTONIC 1
#define LOOK_NS (100ULL * 1000 * 1000)
#define STUCK_NS (500ULL * 1000 * 1000)

struct turn {
	u64 since;              /* 0: no device's turn */
	u64 told;
	u8 name[40];
	u8 driver[24];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct turn);
} turn SEC(".maps");

/*
 * A timer's callback is a soft interrupt of the CPU that started it. A driver
 * that spins may keep that CPU's from running: so there is one for each CPU.
 */
struct lookout {
	struct bpf_timer timer;
	u32 ready;
	u32 _pad;
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct lookout);
} lookouts SEC(".maps");

static int look(void *map, u32 *key, struct lookout *l)
{
	struct mark_record m = { .kind = MARK_STUCK };
	struct shutdown_phase *p = now();
	u32 zero = 0;
	struct turn *t = bpf_map_lookup_elem(&turn, &zero);
	u64 since;

	if (!t || !p || !(p->begun || p->in_devices))
		return 0;
	bpf_timer_start(&l->timer, LOOK_NS, 0);

	m.at = bpf_ktime_get_ns();
	since = t->since;
	/* Two CPUs may tell of it at once: a mark too many does no harm. */
	if (!since || m.at - since < STUCK_NS || m.at - t->told < STUCK_NS)
		return 0;
	t->told = m.at;
	m.arg = (m.at - since) / 1000000;
	__builtin_memcpy(m.name, t->name, sizeof(m.name));
	__builtin_memcpy(m.driver, t->driver, sizeof(m.driver));
	emit(t, &m, sizeof(m));
	print(&m);
	return 0;
}

/* Run by bpf(2) on each CPU, when loaded and when the shutdown begins. */
SEC("syscall")
int arm_syscall(void *ctx)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct lookout *l = bpf_map_lookup_elem(&lookouts, &cpu);
	struct shutdown_phase *p = now();

	if (!l || !p)
		return 0;       /* more CPUs than lookouts: enough of them */
	if (!l->ready) {
		if (bpf_timer_init(&l->timer, &lookouts, CLOCK_MONOTONIC))
			return 1;
		if (bpf_timer_set_callback(&l->timer, look))
			return 2;
		l->ready = 1;
	}
	if (p->begun && bpf_timer_start(&l->timer, LOOK_NS, 0))
		return 3;
	return 0;
}

static inline void begin_turn(struct mark_record *m)
{
	u32 zero = 0;
	struct turn *t = bpf_map_lookup_elem(&turn, &zero);

	if (!t)
		return;
	t->since = 0;
	__builtin_memcpy(t->name, m->name, sizeof(t->name));
	__builtin_memcpy(t->driver, m->driver, sizeof(t->driver));
	t->since = bpf_ktime_get_ns();
	t->told = 0;
}

/* Nobody may have announced the shutdown: this CPU's lookout at least. */
static inline void begin_turns(void)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct lookout *l = bpf_map_lookup_elem(&lookouts, &cpu);

	if (l && l->ready)
		bpf_timer_start(&l->timer, LOOK_NS, 0);
}

static inline void end_turns(void)
{
	u32 zero = 0;
	struct turn *t = bpf_map_lookup_elem(&turn, &zero);

	if (t)
		t->since = 0;
}
#else
static inline void begin_turn(struct mark_record *m) {}
static inline void begin_turns(void) {}
static inline void end_turns(void) {}
#endif

/*
 * device_shutdown() calls pm_runtime_barrier() for each device right before the
 * device's own callback (drivers/base/core.c, since 3.18).
 */
static inline int device(void *ctx, struct device *dev)
{
	struct mark_record m = { .kind = MARK_DEVICE };
	struct shutdown_phase *p = now();
	struct device_driver *driver;
	const char *name;

	if (!p || !p->in_devices)
		return 0;
	name = read(dev->init_name);
	if (!name)
		name = read(dev->kobj.name);
	bpf_probe_read_kernel_str(m.name, sizeof(m.name), name);
	driver = read(dev->driver);
	if (driver)
		bpf_probe_read_kernel_str(m.driver, sizeof(m.driver), read(driver->name));
	begin_turn(&m);
	tell(ctx, &m);
	return 0;
}

static inline int devices(void *ctx, bool begin)
{
	struct shutdown_phase *p = now();

	if (p)
		p->in_devices = begin;
	if (begin)
		begin_turns();
	else
		end_turns();
	return mark(ctx, begin ? MARK_DEVICES_BEGIN : MARK_DEVICES_END, 0);
}

#define probe(type, function, name, body) \
	SEC(type "/" #function) int name(u64 *ctx) { return body; }

probe("fentry", kernel_restart, restart_fentry, mark(ctx, MARK_REBOOT, RESTART))
probe("kprobe", kernel_restart, restart_kprobe, mark(ctx, MARK_REBOOT, RESTART))
probe("fentry", kernel_power_off, power_off_fentry, mark(ctx, MARK_REBOOT, POWER_OFF))
probe("kprobe", kernel_power_off, power_off_kprobe, mark(ctx, MARK_REBOOT, POWER_OFF))
probe("fentry", kernel_halt, halt_fentry, mark(ctx, MARK_REBOOT, HALT))
probe("kprobe", kernel_halt, halt_kprobe, mark(ctx, MARK_REBOOT, HALT))
probe("fentry", device_shutdown, devices_begin_fentry, devices(ctx, 1))
probe("kprobe", device_shutdown, devices_begin_kprobe, devices(ctx, 1))
probe("fexit", device_shutdown, devices_end_fexit, devices(ctx, 0))
probe("kretprobe", device_shutdown, devices_end_kretprobe, devices(ctx, 0))
probe("fentry", pm_runtime_barrier, device_fentry, device(ctx, (void *)ctx[0]))
probe("kprobe", pm_runtime_barrier, device_kprobe, device(ctx, (void *)first_argument((void *)ctx)))
probe("fentry", ksys_sync, sync_begin_fentry, mark(ctx, MARK_SYNC_BEGIN, 0))
probe("kprobe", ksys_sync, sync_begin_kprobe, mark(ctx, MARK_SYNC_BEGIN, 0))
probe("fexit", ksys_sync, sync_end_fexit, mark(ctx, MARK_SYNC_END, 0))
probe("kretprobe", ksys_sync, sync_end_kretprobe, mark(ctx, MARK_SYNC_END, 0))

static inline int signalled(void *ctx, u32 signal, struct task_struct *target)
{
	struct mark_record m = { .kind = MARK_SIGNAL, .arg = signal };
	struct shutdown_phase *p = now();

	count(SEEN);    /* of whatever kind, by which user space knows that we live */
	if (!p || !p->begun || (signal != SIGTERM && signal != SIGKILL))
		return 0;
	m.pid = read(target->tgid);
	m.from = bpf_get_current_pid_tgid() >> 32;
	bpf_probe_read_kernel(m.name, 16, &target->comm);
	tell(ctx, &m);
	return 0;
}

static inline int exited(void *ctx, struct task_struct *task)
{
	struct mark_record m = { .kind = MARK_EXIT };
	struct signal_struct *signal;
	struct task_struct *leader;
	struct shutdown_phase *p = now();

	if (!p || !p->begun)
		return 0;
	signal = read(task->signal);
	if (read(signal->live.counter) > 0)
		return 0;
	leader = read(task->group_leader);
	m.pid = read(task->tgid);
	if (read(signal->flags) & SIGNAL_GROUP_EXIT)
		m.arg = read(signal->group_exit_code);
	else
		m.arg = read(leader->exit_code);
	bpf_probe_read_kernel(m.name, 16, &leader->comm);
	tell(ctx, &m);
	return 0;
}

probe("raw_tp", signal_generate, signal_raw_tp, signalled(ctx, ctx[0], (void *)ctx[2]))
probe("raw_tp", sched_process_exit, exit_raw_tp, exited(ctx, (void *)ctx[0]))
