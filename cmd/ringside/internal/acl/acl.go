// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrDenied means that no rule lets the peer in.
var ErrDenied = errors.New("not allowed")

// overflowID is what uids and gids of foreign user namespaces look like.
const overflowID = 65534

// Peer is who asks.
type Peer struct {
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary
}

// Group is a group with its number.
type Group struct {
	Name string
	GID  uint32
}

// Rules say who may attach to one ring. Root may, and so may the uid that the
// sidecar runs as: both can read its memory anyway.
type Rules struct {
	Ring   string
	OwnUID uint32
	UIDs   []uint32
	GIDs   []uint32
	Groups []Group
}

// Decide names the rule that lets the peer in, or says why none does.
func (r *Rules) Decide(p Peer) (rule string, err error) {
	switch {
	case p.UID == 0:
		return "root", nil
	case p.UID == r.OwnUID:
		return "the sidecar's own uid", nil
	case slices.Contains(r.UIDs, p.UID):
		return fmt.Sprintf("uid %d", p.UID), nil
	}
	for _, gid := range r.GIDs {
		if p.in(gid) {
			return fmt.Sprintf("gid %d", gid), nil
		}
	}
	for _, g := range r.Groups {
		if p.in(g.GID) {
			return g.String(), nil
		}
	}
	return "", r.denied(p)
}

func (p Peer) in(gid uint32) bool { return p.GID == gid || slices.Contains(p.Groups, gid) }

func (g Group) String() string { return fmt.Sprintf("group %s (gid %d)", g.Name, g.GID) }

func (r *Rules) denied(p Peer) error {
	remedy := fmt.Sprintf("start 'ringside serve' with --allow-uid %d, or name it in the ring's allow and reload", p.UID)
	if len(r.Groups) > 0 {
		remedy += fmt.Sprintf(", or add the user to group %s and log in again", r.Groups[0].Name)
	}
	return fmt.Errorf("uid %d (gid %d) may not attach to ring %q: %w: its rules let in %s; %s",
		p.UID, p.GID, r.Ring, ErrDenied, r, remedy)
}

// String lists the rules as a person would.
func (r *Rules) String() string {
	parts := []string{"root"}
	if r.OwnUID != 0 {
		parts = append(parts, fmt.Sprintf("uid %d (the sidecar's own)", r.OwnUID))
	}
	for _, id := range r.UIDs {
		parts = append(parts, fmt.Sprintf("uid %d", id))
	}
	for _, id := range r.GIDs {
		parts = append(parts, fmt.Sprintf("gid %d", id))
	}
	for _, g := range r.Groups {
		parts = append(parts, g.String())
	}
	if len(parts) == 1 {
		return "root alone"
	}
	return strings.Join(parts, ", ")
}

// Closed means that nobody but root and the sidecar's own uid gets in.
func (r *Rules) Closed() bool { return len(r.UIDs)+len(r.GIDs)+len(r.Groups) == 0 }

// Warnings tells of rules that let in more than they seem to.
func (r *Rules) Warnings() []string {
	var list []string
	if slices.Contains(r.UIDs, overflowID) {
		list = append(list, fmt.Sprintf("ring %q lets in uid %d, which is also what every uid of another user namespace looks like that has no number here", r.Ring, overflowID))
	}
	if slices.Contains(r.GIDs, overflowID) {
		list = append(list, fmt.Sprintf("ring %q lets in gid %d, which is also what every gid of another user namespace looks like that has no number here", r.Ring, overflowID))
	}
	return list
}
