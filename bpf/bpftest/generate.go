// SPDX-License-Identifier: Apache-2.0

package bpftest

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -strip llvm-strip -output-stem submit submit submit.c -- -I../headers -Wall -Wpadded -Werror -mcpu=v3
