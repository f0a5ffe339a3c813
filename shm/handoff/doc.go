// SPDX-License-Identifier: Apache-2.0

// Package handoff gives rings away. A privileged process listens on a Unix
// socket; a consumer connects, names a ring and receives three descriptors: the
// ring, which it cannot write, a control page of its own, and the bell that wakes
// it. From then on it reads memory, and the socket is only a lease.
//
// # Who writes, who reads
//
// The [Server] asks its [Handler] about every request; it decides nothing
// itself. The client's half is [Dial], [Conn.Attach] and [Attachment.Wait].
// Messages are SOCK_SEQPACKET packets of fixed little-endian layout
// (message.go), so that a client in any language needs no library to write
// them.
//
// # What may go wrong
//
// The server believes nothing that a client sends, and no client can hold up
// another: each connection has a goroutine, a deadline until it has become a
// lease, and a place in the count of its uid, and each uid a bucket of tokens
// (meter.go): who asks too often waits, by itself. Descriptors that clients attach
// are never installed.
//
// The client learns why it got nothing: nobody listens ([ErrNoSidecar]), the
// socket file does not let it in ([ErrPermission]), the sidecar does not want it
// ([ErrNotAllowed]), or the sidecar hangs ([ErrNoReply]). When the sidecar dies
// later, the kernel closes the socket, and Wait says [ErrHangup].
//
// The normative description is docs/protocol.md.
package handoff
