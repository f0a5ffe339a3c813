// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// TestTakeoverOfEvents: a record can be taken out of a ringbuf only once. While
// one sidecar follows the other, none is lost and none comes twice, though both
// read whether anybody is attached or not.
func TestTakeoverOfEvents(t *testing.T) {
	s := newRootShell(t)
	m := s.pin("stream", func() (*ebpf.Map, error) {
		return ebpf.NewMap(&ebpf.MapSpec{Name: "stream", Type: ebpf.RingBuf, MaxEntries: 1 << 20})
	})
	file := filepath.Join(t.TempDir(), "ringside.yaml")
	text := fmt.Sprintf("version: 1\nsocket: {path: %s}\nreader: {read_when_idle: true}\nmaps: [{path: %s/stream, mode: events}]\n", s.socket, s.bpffs)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	first := s.start("serve", "--config", file)
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	sub, err := ringside.Attach(t.Context(), ringside.Options{Socket: s.socket, Start: ringside.StartOldest})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	submitting, enough := context.WithCancel(ctx)
	submitted := make(chan error, 1)
	go func() { submitted <- submit(submitting, bpftest.NewSubmitter(t, m)) }()

	const before, after = 2000, 4000
	var second *process
	next, restarts := uint64(0), 0
	for b, err := range sub.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		switch b.Kind {
		case ringside.KindEvents:
			for i := range b.Rows {
				if e := bpftest.ParseEvent(t, b.Event(i)); e.Seq != next {
					t.Fatalf("record %d, expected %d, after %d restarts", e.Seq, next, restarts)
				}
				next++
			}
		case ringside.KindRestart:
			if restarts++; b.Lost != (ringside.Loss{Exact: true}) {
				t.Errorf("lost %+v", b.Lost)
			}
		default:
			t.Errorf("told %v", b.Kind)
		}
		if next >= before && second == nil {
			second = s.start("serve", "--config", file, "--takeover")
		}
		if restarts > 0 && next >= after {
			break
		}
	}
	if restarts != 1 {
		t.Errorf("%d restarts", restarts)
	}
	first.wait().exits(exitOK)
	enough()
	if err := <-submitted; err != nil {
		t.Error(err)
	}
}

// submit goes on until ctx ends; it waits for room rather than leave a record out.
func submit(ctx context.Context, s *bpftest.Submitter) error {
	sub := bpftest.Submission{Count: 20, Least: 64, Retry: 1}
	for ctx.Err() == nil {
		if err := s.Submit(&sub); err != nil {
			return err
		}
	}
	return nil
}
