// SPDX-License-Identifier: Apache-2.0

package scan

// Little endian only, and one object for every architecture: none of the programs looks at registers.
// The instruction set is named so that the output does not follow the compiler's default.

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem scan scan scan.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3

// Relocations of line numbers, which no loader reads, and the compiler's labels: a quarter of an object
// that the privileged binary contains.
//go:generate llvm-objcopy --remove-section=.rel.BTF.ext --remove-section=.rel.BTF --remove-section=.llvm_addrsig --wildcard --strip-symbol=LBB* scan_bpfel.o

// What is embedded: see object.go.
//go:generate sh -c "gzip -9n < scan_bpfel.o > scan_bpfel.o.gz"
