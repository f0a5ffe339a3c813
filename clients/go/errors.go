// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// Errors, to be told apart with errors.Is. The text of what is returned names
// the thing, the cause and what to do.
var (
	// ErrNoSidecar: nobody listens on the socket.
	ErrNoSidecar = handoff.ErrNoSidecar
	// ErrPermission: the file system does not let this user connect.
	ErrPermission = handoff.ErrPermission
	// ErrNotAllowed: the sidecar's rules do not let this user attach.
	ErrNotAllowed = handoff.ErrNotAllowed
	// ErrNotFound: the sidecar has no ring of that name.
	ErrNotFound = handoff.ErrNotFound
	// ErrNoReply: the sidecar accepts connections and says nothing.
	ErrNoReply = handoff.ErrNoReply
	// ErrHangs: the sidecar holds the connection and has stopped beating; see
	// [Stats.Away] and [KindHangs].
	ErrHangs = errors.New("the sidecar does not beat: it hangs or is stopped")
	// ErrBarred: a reader of this user was evicted from this lossless ring a while
	// ago; the text says when it may attach again.
	ErrBarred = shm.ErrBarred
	// ErrCorrupt: the ring contradicts itself; reading has ended.
	ErrCorrupt = shm.ErrCorrupt

	// ErrNoSource: the ring has no source of that name, at least not yet.
	ErrNoSource = errors.New("no such source")
	// ErrLayout: a Go type does not describe a source's rows. It is always in
	// a [*LayoutError].
	ErrLayout = errors.New("layout does not match")
	// ErrClosed: the subscription was closed.
	ErrClosed = errors.New("subscription is closed")
)

// Must is v, or panics with err. It is for programs that an error of [Attach],
// [RowsOf] or a batch leaves nothing to do:
//
//	sub := ringside.Must(ringside.Attach(ctx, ringside.Options{}))
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// LayoutError says where a Go type and the rows of a source part ways. As an
// error of [Subscription.Batches] it does not end the loop: a map was replaced
// by one of another layout, and the typed views of its old layout show none of
// its rows.
type LayoutError struct {
	Source string // name of the source
	Go     string // the Go type or field: "Stats.Bytes uint64"
	C      string // the C field by its path, as for ColumnOf: "value.bytes"; or the whole: "value"
	// GoOffset and COffset count bytes from the start of the key or value.
	// They are -1 where there is no such place.
	GoOffset, COffset int
	Reason            string
	Remedy            string
}

func (e *LayoutError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "source %q: Go %s%s and C %s%s: %s", e.Source, e.Go, at(e.GoOffset), e.C, at(e.COffset), e.Reason)
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Unwrap makes errors.Is(err, ErrLayout) true.
func (e *LayoutError) Unwrap() error { return ErrLayout }

func at(offset int) string {
	if offset < 0 {
		return ""
	}
	return fmt.Sprintf(" (offset %d)", offset)
}
