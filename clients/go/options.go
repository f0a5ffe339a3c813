// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"os"
	"path/filepath"

	"github.com/ringside-bpf/ringside/shm"
)

// Defaults of [Options].
const (
	DefaultSocket = "/run/ringside/ringside.sock"
	DefaultRing   = "main"

	// SocketEnv names the environment variable that replaces DefaultSocket.
	SocketEnv = "RINGSIDE_SOCKET"
)

// Start says where reading begins, and where it goes on after the ring has
// overtaken the reader.
type Start uint8

const (
	// StartDefault is StartKeyframe of a sidecar's ring, and StartOldest of a
	// file.
	StartDefault Start = iota
	// StartKeyframe begins at the newest complete scan that is still in the
	// ring: the current content of a map comes at once.
	StartKeyframe
	// StartOldest begins as far back as is safe.
	StartOldest
	// StartHead begins with what is published next.
	StartHead
	// StartBeginning begins at position 0, overwritten or not. Only files have it.
	StartBeginning
)

// policy is what a start is to a ring, which has no default.
func (s Start) policy() shm.Start {
	switch s {
	case StartHead:
		return shm.StartHead
	case StartOldest, StartBeginning:
		return shm.StartOldest
	}
	return shm.StartKeyframe
}

// Options say what to attach to. The zero value is the default ring of the
// default sidecar, all its sources, from the newest keyframe.
type Options struct {
	Socket string // path; "" means $RINGSIDE_SOCKET, and without it DefaultSocket
	Ring   string // "" means DefaultRing
	Name   string // this consumer's own, for `ringside status`; "" means the program's
	Source string // only the rows of the source of this name; "" means all
	Start  Start  // where to begin

	// Busy never sleeps while there is nothing to read, but looks at the ring
	// again and again: the least delay, no system call, and a CPU of its own.
	Busy bool
}

func (o Options) withDefaults() Options {
	if o.Socket == "" {
		o.Socket = os.Getenv(SocketEnv)
	}
	if o.Socket == "" {
		o.Socket = DefaultSocket
	}
	if o.Ring == "" {
		o.Ring = DefaultRing
	}
	if o.Name == "" {
		o.Name = filepath.Base(os.Args[0])
		o.Name = o.Name[:min(len(o.Name), 63)] // the room there is for it
	}
	return o
}
