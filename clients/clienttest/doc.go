// SPDX-License-Identifier: Apache-2.0

// Package clienttest is what the tests of all clients have in common: a sidecar
// that reads no maps, sources whose rows prove themselves, programs that are told
// what to do and say what happened, what must happen to every client, and the kernel's count of their system calls.
package clienttest
