/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Each witness's own account: how much it looked at, how much it had to drop. */
#ifndef SHISA_COUNTERS_H
#define SHISA_COUNTERS_H

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

static inline void count(u32 which)
{
	u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		*n += 1;
}

#endif
