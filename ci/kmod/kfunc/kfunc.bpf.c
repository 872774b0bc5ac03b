// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Calls the module's kfuncs, from a timer where the kernel has them for this type of
 * program, and directly: beats for as long as user space wants, then a miss.
 */
#include "helpers.h"

#define KSYM __attribute__((section(".ksyms")))

extern void clpka_bpf_beat(void) KSYM;
extern void clpka_bpf_miss(void) KSYM;
extern void clpka_bpf_note(const char *text, u32 text__sz) KSYM;

#define CLOCK_MONOTONIC 1
#define PERIOD_NS 20000000

struct bpf_timer {
	u64 opaque[2];
} __attribute__((aligned(8)));

struct clock {
	struct bpf_timer timer;
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct clock);
} clocks SEC(".maps");

volatile u32 miss;      /* user space wants the countdown to run out */

static void pass_on(void)
{
	char text[] = "told by a program";

	clpka_bpf_beat();
	if (miss) {
		clpka_bpf_note(text, sizeof(text));
		clpka_bpf_miss();
	}
}

static int tick(void *map, u32 *key, struct clock *c)
{
	pass_on();
	bpf_timer_start(&c->timer, PERIOD_NS, 0);
	return 0;
}

SEC("syscall") int directly(void *ctx)
{
	pass_on();
	return 0;
}

SEC("syscall") int by_timer(void *ctx)
{
	u32 key = 0;
	struct clock *c = bpf_map_lookup_elem(&clocks, &key);

	if (!c)
		return 1;
	if (bpf_timer_init(&c->timer, &clocks, CLOCK_MONOTONIC))
		return 2;
	if (bpf_timer_set_callback(&c->timer, tick))
		return 3;
	return bpf_timer_start(&c->timer, PERIOD_NS, 0) ? 4 : 0;
}
