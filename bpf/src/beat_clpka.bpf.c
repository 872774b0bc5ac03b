// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same timer for a machine with our own countdown in the kernel (kmod/). */
#define SHISA_CLPKA
#include "beat.bpf.c"
