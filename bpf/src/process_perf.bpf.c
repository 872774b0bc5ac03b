// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same programs for a kernel without the ring buffer (before 5.8). */
#define SHISA_PERF
#include "process.bpf.c"
