// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// What can be wrong with a pin or its map. All are wrapped with the path and,
// where there is one, the remedy.
var (
	ErrNotPinned   = errors.New("nothing is pinned there")
	ErrNotMap      = errors.New("not a map")
	ErrNotBPFFS    = errors.New("no bpffs is mounted there")
	ErrPermission  = errors.New("permission denied")
	ErrRefused     = errors.New("the kernel refused bpf(2)")
	ErrUnsupported = errors.New("this map cannot be read")
	ErrTooLarge    = errors.New("a row is larger than the largest frame")
	ErrReplaced    = errors.New("another map is pinned there now")
	ErrChanged     = errors.New("the map changed faster than it could be walked")
	ErrNoEngine    = errors.New("no engine can read this map")
	ErrClosed      = errors.New("source is closed")
)

// PinError says why a pin could not be opened, and what to do about it.
type PinError struct {
	Path   string
	Cause  error // wraps one of the sentinels
	Known  bool  // Mode and Owner were read
	Mode   fs.FileMode
	Owner  uint32 // uid that owns the pin
	OwnUID int    // uid that tried
	Remedy string // empty if there is none
}

func (e *PinError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Path, e.Cause)
	if e.Known {
		fmt.Fprintf(&b, " (mode %04o, owner uid %d, own uid %d)", e.Mode.Perm(), e.Owner, e.OwnUID)
	}
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

func (e *PinError) Unwrap() error { return e.Cause }
