// SPDX-License-Identifier: Apache-2.0

// Package bpf is the home of everything that runs in the kernel. It holds no Go code itself.
//
//	headers/   what the C sources share: a small hand-kept kernel.h instead of a vmlinux.h, and who is
//	           running as the loading process numbers it
//	demo/      the demo's programs, their generated loaders, and the package that loads, pins and
//	           removes them
//	scan/      programs that read a map from within the kernel, and the package that makes them fit it
//	latency/   times the process's own calls of bpf(2) in the kernel
//	rawtp/     attaches programs to raw tracepoints
//	bpftest/   support for tests that need a real kernel
//
// # Generated files
//
// Every *_bpfel.go and *_bpfel.o is made by bpf2go from the .c file of the same name, and committed:
// building ringside needs only Go. Change a .c file or a header, then run
//
//	go generate ./bpf/...
//
// which needs clang, llvm-strip and the headers of libbpf (Debian: clang, llvm, libbpf-dev). Nothing
// else of the machine enters the objects: no kernel headers, no path of the checkout, no compiler
// version string; they are little endian and the same for every architecture. Generating twice, or in
// another directory, gives the same bytes with the same compiler. Debian 12's (clang 14, libbpf 1.1)
// is the reference, and continuous integration checks there that regenerating leaves no difference.
//
// # Licence
//
// The C sources are "GPL-2.0 OR BSD-2-Clause", unlike the Go code: the kernel hands most helpers only
// to programs that call themselves compatible with the GPL.
//
// # Minimum kernels
//
// Raw tracepoints and their links need 4.17, global variables 5.2, the instruction set we compile for
// (v3) 5.1. Beyond that:
//
//	demo/syscalls.c        5.2; inside a pid namespace of its own 5.7 (bpf_get_ns_current_pid_tgid);
//	                       mmapable globals (5.5) to report calls it had no room to count
//	demo/processes.c       5.2; inside a pid namespace of its own 5.7
//	demo/sched_latency.c   5.5 (mmapable array, bpf_probe_read_kernel), and kernel BTF for CO-RE
//	                       (CONFIG_DEBUG_INFO_BTF)
//	demo/tcp_states.c      5.1
//	scan/scan.c            an array 5.14 (SYSCALL programs); a per-CPU array 5.19 (bpf_loop,
//	                       bpf_map_lookup_percpu_elem); a hash in ranges of buckets 6.17 (memory of no type,
//	                       bpf_rdonly_cast) and kernel BTF; a hash in one go 5.14; iterators 5.8 and BTF
//	latency/latency.c      5.10 (a test run tells the process's number), mmapable array, kernel BTF
//
// Loading needs CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before 5.8). Where one program cannot be
// loaded or its tracepoint does not exist, that part is left out with the reason and the others run.
package bpf
