// Package obj holds the compiled witnesses: each object from ../../src, its
// loader and the Go mirror of its records, all generated. Regenerate with
// clang 14 (Debian 12) by "go generate ./bpf/internal/obj"; a test regenerates
// the files and compares.
package obj

// -mcpu=v2 keeps the objects loadable on the oldest kernels; -type makes the Go
// mirror of a record from the C declaration, so it is declared once.
//
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package obj -target bpfel -type process_record Process ../../src/process.bpf.c -- -O2 -mcpu=v2 -Wall -Wextra -Werror -Wno-unused-parameter
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package obj -target bpfel -no-global-types ProcessPerf ../../src/process_perf.bpf.c -- -O2 -mcpu=v2 -Wall -Wextra -Werror -Wno-unused-parameter
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package obj -target bpfel -type task_record Task ../../src/task.bpf.c -- -O2 -mcpu=v2 -Wall -Wextra -Werror -Wno-unused-parameter
