// SPDX-License-Identifier: Apache-2.0

// Package acl decides who may attach to a ring.
//
// Who writes the rules: the configuration. Who asks: the sidecar, once for each
// attachment and each look at its status, with the identity that the kernel
// took when the peer connected (SO_PEERCRED, SO_PEERGROUPS). A pid is never
// looked up: it may be somebody else's by then.
//
// What may go wrong: a denied user must learn from the message alone what to
// change, so every denial names the uid, the rules and the flag. Uids that do
// not exist in the sidecar's user namespace all look like the overflow uid
// 65534; a rule for it lets in every one of them, which [Rules.Warnings] says.
package acl
