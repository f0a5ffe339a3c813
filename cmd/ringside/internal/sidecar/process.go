// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
)

// softHeap is where the garbage collector begins to work harder. The sidecar
// allocates at start (BTF), when maps come and go, and for status documents;
// in steady state nothing. A live heap of a few megabytes under Go's default
// would be let grow to twice its size after every burst and stay resident. With
// 12 MB it ran fifteen times for every map that was opened, which took longer than
// opening it.
const softHeap = 16 << 20

// TuneMemory sets the process up to be small and to be allowed what it needs.
// What the environment says of GOGC and GOMEMLIMIT wins.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softHeap)
	}
	raiseMemlock()
}

// raiseMemlock lifts the limit that kernels before 5.11 charge BPF objects to.
// Newer ones charge them to the memory cgroup and do not look at it. Not being
// allowed to is no error yet: opening what is pinned charges nothing.
func raiseMemlock() {
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &all) == nil {
		return
	}
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &own) == nil {
		own.Cur = own.Max
		_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &own)
	}
}

// residentBytes is what this process holds of the machine's memory, its rings
// included.
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0 // no /proc here
	}
	var total, resident uint64
	if _, err := fmt.Sscan(string(text), &total, &resident); err != nil {
		return 0
	}
	return resident * uint64(os.Getpagesize())
}

// cpuCounts is how many CPUs there can be, and how many are there now.
func cpuCounts() (possible, online int) {
	possible, _ = ebpf.PossibleCPU() // 0 without /sys, as online then
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return possible, 0
	}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		var first, last int
		if n, _ := fmt.Sscanf(part, "%d-%d", &first, &last); n == 1 {
			last = first
		}
		online += last - first + 1
	}
	return possible, online
}

// capabilities names the effective ones.
func capabilities() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	list := []string{}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return list
	}
	for i, name := range capabilityNames {
		if data[i/32].Effective&(1<<(i%32)) != 0 {
			list = append(list, name)
		}
	}
	return list
}

// capabilityNames are those of linux/capability.h, by number.
var capabilityNames = [...]string{
	"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid", "cap_setuid",
	"cap_setpcap", "cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin", "cap_net_raw", "cap_ipc_lock", "cap_ipc_owner",
	"cap_sys_module", "cap_sys_rawio", "cap_sys_chroot", "cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin", "cap_sys_boot", "cap_sys_nice",
	"cap_sys_resource", "cap_sys_time", "cap_sys_tty_config", "cap_mknod", "cap_lease", "cap_audit_write", "cap_audit_control", "cap_setfcap",
	"cap_mac_override", "cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend", "cap_audit_read", "cap_perfmon", "cap_bpf",
	"cap_checkpoint_restore",
}

// Names of the runtime's own histograms.
const (
	schedLatencies = "/sched/latencies:seconds"
	gcPauses       = "/sched/pauses/total/gc:seconds"
)

// runtimeLatency is what the Go runtime adds: the wait of a goroutine that
// could run, and the pauses of the garbage collector, since the start.
func runtimeLatency() status.Runtime {
	samples := []metrics.Sample{{Name: schedLatencies}, {Name: gcPauses}}
	metrics.Read(samples)
	return status.Runtime{SchedP99NS: p99(samples[0].Value), GCPauseP99NS: p99(samples[1].Value)}
}

func p99(v metrics.Value) int64 {
	if v.Kind() != metrics.KindFloat64Histogram {
		return 0 // a runtime that does not have it
	}
	h := v.Float64Histogram()
	var total, seen uint64
	for _, n := range h.Counts {
		total += n
	}
	for i, n := range h.Counts {
		if seen += n; n > 0 && seen*100 >= total*99 {
			upper := h.Buckets[i+1]
			if math.IsInf(upper, 1) {
				upper = h.Buckets[i]
			}
			return int64(upper * 1e9)
		}
	}
	return 0
}
