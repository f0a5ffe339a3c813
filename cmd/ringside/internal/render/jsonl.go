// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"io"
	"strconv"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// JSONL prints a line for each row:
//
//	{"ring":…,"map":…,"kind":"row","seq":…,"scan":…,"time_ns":…,"key":…,"value":…}
//
// time_ns is CLOCK_MONOTONIC, as bpf_ktime_get_ns has it. The value of a deleted
// row is null, so are scan and key of an event. In lines about the ring itself, lost and restart, everything
// about a row is null, and frames, rows and exact follow.
type JSONL struct {
	output
	ring   string // JSON
	source *ringside.Source
	name   string // JSON
	head   []byte // what the rows of a batch have in common
}

// NewJSONL prints the stream of a ring to w.
func NewJSONL(w io.Writer, ring string) *JSONL {
	return &JSONL{output: newOutput(w), ring: quoteJSON(ring)}
}

// Rows prints the first n rows of b.
func (j *JSONL) Rows(b *ringside.Batch, n int) error {
	kind := "row"
	switch b.Kind {
	case ringside.KindDeletes:
		kind = "delete"
	case ringside.KindEvents:
		kind = "event"
	}
	j.begin(b.Source, kind, b.Seq, b.Scan, b.TimeNS)
	return j.rows(rowsOf(b), n)
}

// begin prepares what the rows of a batch have in common.
func (j *JSONL) begin(src *ringside.Source, kind string, seq, scan, timeNS uint64) {
	if src != j.source {
		j.source, j.name = src, quoteJSON(src.Name)
	}
	h := append(j.head[:0], `{"ring":`...)
	h = append(h, j.ring...)
	h = append(h, `,"map":`...)
	h = append(h, j.name...)
	h = append(h, `,"kind":"`...)
	h = append(h, kind...)
	h = append(h, `","seq":`...)
	h = strconv.AppendUint(h, seq, 10)
	h = append(h, `,"scan":`...)
	if src.Events { // which come in no scans
		h = append(h, "null"...)
	} else {
		h = strconv.AppendUint(h, scan, 10)
	}
	h = append(h, `,"time_ns":`...)
	h = strconv.AppendUint(h, timeNS, 10)
	j.head = append(h, `,"key":`...)
}

func (j *JSONL) rows(r rows, n int) error {
	var s schema.Schema // without types: bytes
	if j.source.Schema != nil {
		s = *j.source.Schema
	}
	for i := range n {
		out := append(j.buf, j.head...)
		if key := r.Key(i); key != nil {
			out = s.Key.Append(out, key)
		} else {
			out = append(out, "null"...)
		}
		out = append(out, `,"value":`...)
		switch value := r.Value(i); {
		case value == nil:
			out = append(out, "null"...)
		case j.source.CPUs > 0:
			out = schema.AppendPerCPU(out, s.Value, value, j.source.CPUs)
		default:
			out = s.Value.Append(out, value)
		}
		j.buf = append(out, "}\n"...)
		if err := j.full(); err != nil {
			return err
		}
	}
	return nil
}

// Loss prints that something is missing.
func (j *JSONL) Loss(kind ringside.Kind, lost ringside.Loss) error {
	out := append(j.buf, `{"ring":`...)
	out = append(out, j.ring...)
	out = append(out, `,"map":null,"kind":"`...)
	out = append(out, kind.String()...)
	out = append(out, `","seq":null,"scan":null,"time_ns":null,"key":null,"value":null,"frames":`...)
	out = strconv.AppendUint(out, lost.Frames, 10)
	out = append(out, `,"rows":`...)
	out = strconv.AppendUint(out, lost.Rows, 10)
	out = append(out, `,"exact":`...)
	out = strconv.AppendBool(out, lost.Exact)
	j.buf = append(out, "}\n"...)
	return j.full()
}

func quoteJSON(s string) string {
	b, _ := json.Marshal(s) // strings always encode
	return string(b)
}
