// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same timer for a kernel that lets a program signal a task (6.13). */
#define SHISA_KILL
#include "beat.bpf.c"
