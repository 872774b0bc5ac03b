// Package obj holds the compiled witnesses: each object from ../../src, its
// loader and the Go mirror of its records, all generated. Regenerate with
// clang 14 (Debian 12) by "go generate ./bpf/internal/obj"; a test regenerates
// the files and compares.
package obj

// -mcpu=v2 keeps the objects loadable on the oldest kernels; -type makes the Go
// mirror of a record from the C declaration, so that it is declared once.
//
//go:generate -command bpf2go go run github.com/cilium/ebpf/cmd/bpf2go -go-package obj -target bpfel -cflags "-O2 -mcpu=v2 -Wall -Wextra -Werror -Wno-unused-parameter"
//go:generate bpf2go -type process_record Process ../../src/process.bpf.c
//go:generate bpf2go -no-global-types ProcessPerf ../../src/process_perf.bpf.c
//go:generate bpf2go -type task_record Task ../../src/task.bpf.c
//go:generate bpf2go -no-global-types Runq ../../src/runq.bpf.c
//go:generate bpf2go -type io_record -type disk_record -type disk IO ../../src/io.bpf.c
//go:generate bpf2go -type miss_record -type beat_slot -type beat_clock -type beat_orders -type beat_sentence Beat ../../src/beat.bpf.c
//go:generate bpf2go -no-global-types BeatClpka ../../src/beat_clpka.bpf.c
//go:generate bpf2go -type mark_record -type shutdown_phase Shutdown ../../src/shutdown.bpf.c
//go:generate bpf2go -no-global-types ShutdownTimer ../../src/shutdown_timer.bpf.c
