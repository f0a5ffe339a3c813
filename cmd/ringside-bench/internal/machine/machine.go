// SPDX-License-Identifier: Apache-2.0

// Package machine describes where figures were measured: without that they mean
// nothing. It writes nothing and fails at nothing; what the system does not tell
// is reported as unknown.
package machine

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is as much as a reader needs to judge a figure.
type Machine struct {
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"` // online, to this process
	Model  string `json:"model"`
	Go     string `json:"go"`
}

const unknown = "unknown"

// Describe asks the running system.
func Describe() Machine {
	m := Machine{Kernel: unknown, CPUs: runtime.NumCPU(), Model: unknown, Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.Model = model(string(text))
	}
	return m
}

// model is the first processor's name. x86 writes "model name"; arm64 writes
// numbers only, which name the core exactly.
func model(cpuinfo string) string {
	fields := map[string]string{}
	for line := range strings.Lines(cpuinfo) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			break // the next processor
		}
		fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if name := fields["model name"]; name != "" {
		return name
	}
	if part := fields["CPU part"]; part != "" {
		return "implementer " + fields["CPU implementer"] + " part " + part
	}
	return unknown
}
