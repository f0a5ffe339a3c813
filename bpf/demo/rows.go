// SPDX-License-Identifier: Apache-2.0

package demo

// The rows of each map as the C sources lay them out. They are generated from the objects' BTF, so they
// cannot drift from what the kernel writes.
type (
	// SyscallKey is a thread (Tgid, Tid) and a system call number (Nr, of the thread's own architecture;
	// -1 for numbers that no architecture has).
	SyscallKey = syscallsSyscallKey
	// SyscallCount is how often, one for each possible CPU.
	SyscallCount = syscallsSyscallCount

	// ProcessKey is a process (Tgid).
	ProcessKey = processesProcessKey
	// Process is what it did since the demo was loaded. It is brought up to date when one of its threads
	// leaves a CPU, and now and then while it stays.
	Process = processesProcess

	// LatencyBucket holds waits from FromNs up to the next bucket's. Its key is its index, a uint32.
	LatencyBucket = schedLatencyLatencyBucket

	// TCPChange is a pair of states, numbered as unix.BPF_TCP_*.
	TCPChange = tcpStatesTcpChange
	// TCPChanges is how often, and when last (CLOCK_MONOTONIC).
	TCPChanges = tcpStatesTcpChanges
)

// Name is the process's name, as far as the kernel keeps it (15 bytes).
func (p *processesProcess) Name() string {
	name := make([]byte, 0, len(p.Comm))
	for _, c := range p.Comm {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return string(name)
}
