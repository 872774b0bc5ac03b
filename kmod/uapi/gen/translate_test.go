package main

import (
	"os"
	"strings"
	"testing"
)

// TestUpToDate fails when the header was changed and go generate was not run.
func TestUpToDate(t *testing.T) {
	header, err := os.ReadFile("../../include/clpka.h")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../clpka.go")
	if err != nil {
		t.Fatal(err)
	}
	want, err := translate(string(header))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("kmod/uapi/clpka.go differs from what the header says: go generate ./kmod/uapi")
	}
}

func TestTranslateErrors(t *testing.T) {
	tests := []struct{ name, header, want string }{
		{"expression", "#define CLPKA_X (1 << 3)", "line 1: value in another form"},
		{"no value", "#define CLPKA_X", "line 1: define in another form"},
		{"pointer", "struct clpka_a {\n\tvoid *p;\n};", "line 2: member in another form"},
		{"unaligned", "struct clpka_a {\n\t__u32 a;\n\t__u64 b;\n};", "line 3: b is not aligned"},
		{"length", "struct clpka_a {\n\tchar a[CLPKA_MANY];\n};", "line 2: length CLPKA_MANY is not known"},
		{"structure", "#define CLPKA_IOC 1\n#define CLPKA_A _IOR(CLPKA_IOC, 1, struct clpka_a)", "line 2: struct clpka_a is not known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := translate(tt.header); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
