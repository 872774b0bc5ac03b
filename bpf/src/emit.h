/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One way out for every record, and a count of what did not get out. An object
 * is built a second time with SHISA_PERF for kernels without the ring buffer.
 */
#ifndef SHISA_EMIT_H
#define SHISA_EMIT_H

#include "counters.h"

#ifndef RING_BYTES
#define RING_BYTES (256 * 1024)
#endif

struct {
#ifdef SHISA_PERF
	__uint(type, MAP_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
#else
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, RING_BYTES);
#endif
} records SEC(".maps");

/* wakeup: 0, BPF_RB_NO_WAKEUP or BPF_RB_FORCE_WAKEUP; not for a perf buffer. */
static inline void emit_waking(void *ctx, void *record, u64 size, u64 wakeup)
{
#ifdef SHISA_PERF
	long err = bpf_perf_event_output(ctx, &records, BPF_F_CURRENT_CPU, record, size);
#else
	long err = bpf_ringbuf_output(&records, record, size, wakeup);
#endif
	if (err)
		count(LOST);
}

static inline void emit(void *ctx, void *record, u64 size)
{
	emit_waking(ctx, record, size, 0);
}

#endif
