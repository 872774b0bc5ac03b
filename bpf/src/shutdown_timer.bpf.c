// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same programs for a kernel with timers for programs (5.15, not PREEMPT_RT). */
#define SHISA_TIMER
#include "shutdown.bpf.c"
