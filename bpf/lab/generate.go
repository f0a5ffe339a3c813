// SPDX-License-Identifier: Apache-2.0

package lab

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem calls calls calls.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem emit -type volley emit emit.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem probe probe probe.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem writer writer writer.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
