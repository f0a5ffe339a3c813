// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is who connected, by the kernel's word at the time of the connect. Ids
// are as this process's user namespace sees them.
//
// A process of a user namespace whose ids are not mapped here shows up as the
// overflow uid (65534 unless changed), which is also the number of an honest
// "nobody". The two cannot be told apart, so a rule that lets 65534 in lets
// every foreign namespace in.
type Peer struct {
	UID, GID uint32
	Groups   []uint32 // supplementary
	PID      int32    // 0 if the peer lives in a pid namespace that is not below this one's
}

// peerOf asks the kernel for all but the groups; it never looks a pid up, which
// may have changed hands.
func peerOf(raw syscall.RawConn) (p Peer, err error) {
	held := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}
		}
	})
	if err = errors.Join(held, err); err != nil {
		return Peer{}, fmt.Errorf("credentials of the peer: %w", err)
	}
	return p, nil
}

func groupsOf(raw syscall.RawConn) (groups []uint32, err error) {
	held := raw.Control(func(fd uintptr) { groups, err = peerGroups(int(fd)) })
	if err = errors.Join(held, err); err != nil {
		return nil, fmt.Errorf("groups of the peer (needs Linux 4.13 or later): %w", err)
	}
	return groups, nil
}

func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	n, err := peerGroupsInto(fd, groups)
	if errors.Is(err, unix.ERANGE) && n > 0 {
		// They belong to the connection and do not change between the calls.
		groups = make([]uint32, n)
		n, err = peerGroupsInto(fd, groups)
	}
	if err != nil {
		return nil, err
	}
	return groups[:n], nil
}
