// SPDX-License-Identifier: GPL-2.0-only
/*
 * clpka: the bridge for eBPF. A program that watches over beats of its own, a
 * bpf_timer for instance, passes on what it sees. Where the kernel cannot
 * register kfuncs, or the headers had no types to build them with, the module
 * does without.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "internal.h"

#ifdef CLPKA_HAVE_KFUNCS

static void clpka_do_miss(struct irq_work *work)
{
	clpka_check();
}

static struct irq_work clpka_miss_work = IRQ_WORK_INIT_HARD(clpka_do_miss);

__bpf_kfunc_start_defs();

/**
 * clpka_bpf_beat() - ping the main countdown, if it is armed
 *
 * Context: any.
 */
__bpf_kfunc void clpka_bpf_beat(void)
{
	clpka_ping();
}

/**
 * clpka_bpf_miss() - a beat was missed: let the main countdown run out now
 *
 * Does nothing when it is not armed.
 *
 * Context: any.
 */
__bpf_kfunc void clpka_bpf_miss(void)
{
	clpka_miss();
	irq_work_queue(&clpka_miss_work);
}

/**
 * clpka_bpf_note() - leave words for the log, beside the note of user space
 * @text: the words
 * @text__sz: their number of bytes; what is over 127 is cut
 *
 * Context: any. Writers that race mix their words.
 */
__bpf_kfunc void clpka_bpf_note(const char *text, u32 text__sz)
{
	u32 n = min_t(u32, text__sz, sizeof(clpka_bpf_text) - 1);

	memcpy(clpka_bpf_text, text, n);
	clpka_bpf_text[n] = '\0';
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
	static const enum bpf_prog_type types[] = {
		BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_SCHED_CLS,
	};
	int i, err = -EOPNOTSUPP;

	if (!THIS_MODULE->btf_data_size)
		return err;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		err = register_btf_kfunc_id_set(types[i], &clpka_kfunc_set);
		if (err)
			break;
	}
	return err;
}

void clpka_bpf_exit(void)
{
	irq_work_sync(&clpka_miss_work);
}

#else

int clpka_bpf_init(void)
{
	return -EOPNOTSUPP;
}

void clpka_bpf_exit(void)
{
}

#endif
