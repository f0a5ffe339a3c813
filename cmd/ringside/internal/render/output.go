// SPDX-License-Identifier: Apache-2.0

package render

import (
	"io"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// Printer prints a stream. Not safe for concurrent use.
type Printer interface {
	// Rows prints the first n rows of a batch of rows, deletes or events.
	Rows(b *ringside.Batch, n int) error
	// Loss prints that something is missing; kind is lost or restart.
	Loss(kind ringside.Kind, lost ringside.Loss) error
	// Flush writes what is still held back.
	Flush() error
}

// flushBytes is how much is collected before it is written.
const flushBytes = 64 << 10

// output collects lines.
type output struct {
	w   io.Writer
	buf []byte
}

func newOutput(w io.Writer) output { return output{w, make([]byte, 0, 2*flushBytes)} }

// full writes if enough has been collected.
func (o *output) full() error {
	if len(o.buf) < flushBytes {
		return nil
	}
	return o.Flush()
}

// Flush writes what is still held back.
func (o *output) Flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}

// rows is what is printed of a batch; *ringside.Batch is one.
type rows interface {
	Key(i int) []byte   // nil if there are no keys
	Value(i int) []byte // nil if the row was deleted
}

// rowsOf are the rows of a batch, or its events as rows.
func rowsOf(b *ringside.Batch) rows {
	if b.Kind == ringside.KindEvents {
		return events{b}
	}
	return b
}

type events struct{ *ringside.Batch }

func (e events) Key(int) []byte     { return nil }
func (e events) Value(i int) []byte { return e.Event(i) }
