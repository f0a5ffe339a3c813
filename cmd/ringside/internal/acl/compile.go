// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
)

// ErrNoGroup means that the configuration names a group that the machine lacks.
var ErrNoGroup = errors.New("no such group")

// Lookup finds the number of a group; it is LookupGroup outside of tests.
type Lookup func(name string) (gid uint32, err error)

// LookupGroup asks the machine's group database.
func LookupGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		var unknown user.UnknownGroupError
		if errors.As(err, &unknown) {
			return 0, fmt.Errorf("%w %q; create it with 'groupadd --system %s'", ErrNoGroup, name, name)
		}
		return 0, fmt.Errorf("group %q: %w", name, err)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("group %q: gid %q is no number", name, g.Gid)
	}
	return uint32(gid), nil
}

// Compile turns a ring's configuration into rules. The group "ringside" is let
// in without being named, if it exists: to create it is to ask for that.
func Compile(ring config.Ring, ownUID uint32, lookup Lookup) (*Rules, error) {
	r := &Rules{Ring: ring.Name, OwnUID: ownUID, UIDs: ring.Allow.UIDs, GIDs: ring.Allow.GIDs}
	seen := map[string]bool{}
	for _, name := range ring.Allow.Groups {
		gid, err := lookup(name)
		if err != nil {
			return nil, fmt.Errorf("%s: allow.groups: %w", ring.Origin, err)
		}
		if !seen[name] {
			r.Groups = append(r.Groups, Group{name, gid})
		}
		seen[name] = true
	}
	if !seen[config.DefaultGroup] {
		if gid, err := lookup(config.DefaultGroup); err == nil {
			r.Groups = append(r.Groups, Group{config.DefaultGroup, gid})
		}
	}
	return r, nil
}
