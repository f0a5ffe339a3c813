// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"io/fs"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
)

// KeepGID leaves a file's group as it is.
const KeepGID = -1

// SocketMode picks who may connect at all. The rules decide again at every
// attachment, by what the kernel says of the peer, so the file's mode only
// keeps out, early, those whom no rule could let in:
//
//	mode configured            that mode
//	one group, nothing else    0660, owned by that group
//	any uid or gid rule        0666: a file has one owner and one group, which
//	                           cannot express "uid 1000 and uid 1001". What a
//	                           stranger gains is a connection that is refused,
//	                           and those are bounded per uid
//	no rule                    0600
func SocketMode(s config.Socket, rules []*Rules, lookup Lookup) (mode fs.FileMode, gid int, err error) {
	mode, gid = 0o600, KeepGID
	groups, ids := map[uint32]bool{}, false
	for _, r := range rules {
		for _, g := range r.Groups {
			groups[g.GID] = true
			gid = int(g.GID)
		}
		ids = ids || len(r.UIDs)+len(r.GIDs) > 0
	}
	if len(groups) != 1 {
		gid = KeepGID
	}
	switch {
	case s.Mode != nil:
		mode = *s.Mode
	case ids || len(groups) > 1:
		mode, gid = 0o666, KeepGID
	case len(groups) == 1:
		mode = 0o660
	}
	if s.Group != "" {
		own, err := lookup(s.Group)
		if err != nil {
			return 0, 0, err
		}
		gid = int(own)
	}
	return mode, gid, nil
}
