// Command bench measures what the product promises to be fast at, beside its
// peers in the same run where they can be had. It prints one line a figure and
// writes the same to dist/bench.json. It asserts nothing: these are figures of
// one machine at one moment.
//
// Everything runs in a temporary folder, observing or without any countdown;
// nothing is done to the machine.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A figure is one measured value.
type figure struct {
	Name  string             `json:"name"`
	Value float64            `json:"value"`
	Unit  string             `json:"unit"`
	Aim   string             `json:"aim,omitempty"`
	Peers map[string]float64 `json:"peers,omitempty"` // same unit
	Note  string             `json:"note,omitempty"`
}

// String returns the line that is printed.
func (f figure) String() string {
	s := fmt.Sprintf("%-28s %10.3f %-5s aim %-12s", f.Name, f.Value, f.Unit, f.Aim)
	for _, name := range sorted(f.Peers) {
		s += fmt.Sprintf("  %s %.3f", name, f.Peers[name])
	}
	if f.Note != "" {
		s += "  (" + f.Note + ")"
	}
	return s
}

// A benchmark measures one or more figures.
type benchmark struct {
	name string
	run  func(context.Context, *rig) ([]figure, error)
}

var benchmarks = []benchmark{
	{"size", binarySizes},
	{"packages", packageSizes},
	{"start", startTime},
	{"idle", idleCost},
	{"status", statusTime},
	{"restart", restartTime},
	{"reload", reloadTime},
	{"group", largeGroup},
	{"config", largeConfig},
	{"many", manyMonitors},
}

const limit = 30 * time.Minute

func main() {
	only := flag.String("only", "", "run only these benchmarks, separated by commas: "+names())
	quick := flag.Bool("quick", false, "fewer samples")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := measure(ctx, *only, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names() string {
	var list []string
	for _, b := range benchmarks {
		list = append(list, b.name)
	}
	return strings.Join(list, ", ")
}

func measure(ctx context.Context, only string, quick bool) error {
	dir, err := os.MkdirTemp("", "shisa-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &rig{dir: dir, quick: quick}
	if r.peers, err = fetchPeers(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench: without peers:", err)
	}
	var all []figure
	for _, b := range benchmarks {
		if only != "" && !strings.Contains(","+only+",", ","+b.name+",") {
			continue
		}
		figures, err := b.run(ctx, r)
		for _, f := range figures {
			fmt.Println(f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		all = append(all, figures...)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll("dist", 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("dist", "bench.json"), append(text, '\n'), 0o644)
}
