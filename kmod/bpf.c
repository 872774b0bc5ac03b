// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: the bridge for eBPF. A program that watches over beats of its own, a
 * bpf_timer for instance, passes on what it sees. Where the kernel cannot register
 * kfuncs, or the headers had no types to build them with, the module does without.
 */
#include "internal.h"

#ifdef CLPKA_HAVE_KFUNCS
static void clpka_do_miss(struct irq_work *work)
{
	clpka_look_now();
}

static struct irq_work clpka_miss_work = IRQ_WORK_INIT_HARD(clpka_do_miss);

__bpf_kfunc_start_defs();

/* Pings the main countdown, if it is armed. Any context, as the others. */
__bpf_kfunc void clpka_bpf_beat(void)
{
	clpka_ping();
}

/* A beat was missed: lets the main countdown run out now, if it is armed. */
__bpf_kfunc void clpka_bpf_miss(void)
{
	u64 old, deadline = atomic64_read(&clpka_main.deadline);

	while (deadline != CLPKA_OFF) {
		old = atomic64_cmpxchg(&clpka_main.deadline, deadline, CLPKA_MISSED);
		if (old == deadline)
			break;
		deadline = old;
	}
	irq_work_queue(&clpka_miss_work);
}

/* Leaves words for the log, beside the note of user space; 127 bytes, the rest is cut. */
__bpf_kfunc void clpka_bpf_note(const char *text, u32 text__sz)
{
	u32 n = min_t(u32, text__sz, 127);

	memcpy(clpka_notes[1], text, n);
	clpka_notes[1][n] = '\0';
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(clpka_kfuncs)
BTF_ID_FLAGS(func, clpka_bpf_beat)
BTF_ID_FLAGS(func, clpka_bpf_miss)
BTF_ID_FLAGS(func, clpka_bpf_note)
BTF_KFUNCS_END(clpka_kfuncs)

static const struct btf_kfunc_id_set clpka_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &clpka_kfuncs,
};

/* Returns 0 when programs can call us. */
int clpka_bpf_init(void)
{
	int err = THIS_MODULE->btf_data_size ? 0 : -EOPNOTSUPP;

	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &clpka_kfunc_set);
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &clpka_kfunc_set);
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &clpka_kfunc_set);
	return err;
}

void clpka_bpf_exit(void)
{
	irq_work_sync(&clpka_miss_work);
}
#endif
