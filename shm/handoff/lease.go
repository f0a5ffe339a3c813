// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// Handler decides what clients get. Its methods are called from the goroutines
// of many connections at once and must not wait for any client.
//
// An error that is, or wraps, a *Refusal is sent to the client as it is; of any
// other only the text goes out, with EIO.
type Handler interface {
	// Attach picks the ring to lend and the number of the source whose
	// keyframe to begin at (shm.AnySource for all). It says no by a *Refusal.
	Attach(Peer, AttachRequest) (p *shm.Publisher, source uint16, err error)
	// Attached tells of a new lease, before the client knows that it has it.
	Attached(*Lease)
	// Detached tells of its end, whatever ended it, once. Its Consumer can
	// still be asked for Stats while Detached runs.
	Detached(*Lease)
	// Status is a JSON document; it must change nothing.
	Status(Peer) ([]byte, error)
	// Rings are the names that this peer may attach to.
	Rings(Peer) ([]string, error)
}

// Lease is an attached consumer. It ends when the consumer closes its socket or
// dies, when Close is called, or when Serve returns.
type Lease struct {
	Peer       Peer
	Name       string // what the consumer calls itself
	Ring       string
	Source     uint16 // shm.AnySource for all
	AttachedAt time.Time
	Publisher  *shm.Publisher
	Consumer   *shm.Consumer

	conn *conn
}

// Close takes the lease back: the client's socket hangs up. Its memory stays
// mapped for as long as it likes.
func (l *Lease) Close() { l.conn.hangUp() }
