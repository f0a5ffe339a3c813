// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
)

// NoSkipEnv turns every skip into a failure when it is set to "1".
const NoSkipEnv = "RINGSIDE_NO_SKIP"

// Skip ends the test because the machine cannot run it. The reason must be a
// fact that was just observed.
func Skip(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv(NoSkipEnv) == "1" {
		tb.Fatalf("must not be skipped ("+NoSkipEnv+"=1): "+format, args...)
	}
	tb.Skipf(format, args...)
}

// RequireRoot skips unless the test runs as uid 0 and may create maps: root in
// a container without CAP_BPF is not enough.
func RequireRoot(tb testing.TB) {
	tb.Helper()
	if uid := os.Geteuid(); uid != 0 {
		Skip(tb, "needs root, runs as uid %d", uid)
	}
	MemlockOff(tb)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		Skip(tb, "needs the right to create maps: %v", err)
	}
	m.Close()
}

// RequireMap skips if the running kernel lacks a map type.
func RequireMap(tb testing.TB, typ ebpf.MapType) {
	tb.Helper()
	RequireRoot(tb)
	err := features.HaveMapType(typ)
	if errors.Is(err, ebpf.ErrNotSupported) {
		Skip(tb, "kernel lacks %s maps: %v", typ, err)
	}
	if err != nil {
		tb.Fatalf("probe for %s maps: %v", typ, err)
	}
}

// MemlockOff lifts RLIMIT_MEMLOCK, which kernels before 5.11 charge maps to.
func MemlockOff(tb testing.TB) {
	tb.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		Skip(tb, "needs an unlimited RLIMIT_MEMLOCK on this kernel: %v", err)
	}
}
