// Command probe tries the eBPF witnesses on the kernel that it runs on and prints,
// as JSON, for each job why it cannot be done; empty: it can.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"shisa/bpf"
	"shisa/bpf/trial"
)

func main() {
	tried := map[string]string{}
	k, err := trial.Open()
	for _, job := range bpf.Jobs {
		tried[job.Name] = ""
		failed := err
		if failed == nil {
			_, failed = k.Try(job)
		}
		if failed != nil {
			tried[job.Name] = failed.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(tried); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}
