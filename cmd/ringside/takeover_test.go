// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// TestTakeover: a consumer gets every frame of one sidecar, then every frame of
// the next, is told that nothing was lost in between, and never that the sidecar
// was gone. Whoever connects meanwhile is answered.
func TestTakeover(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	first := s.serve()
	sub, err := ringside.Attach(t.Context(), ringside.Options{Socket: s.socket, Start: ringside.StartOldest})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	knocked := make(chan error, 1)
	knocking, enough := context.WithCancel(ctx)
	go func() { knocked <- knock(knocking, s.socket) }()

	var second *process
	var seen []ringside.Kind
	var last time.Time
	next, before, after := uint64(0), 0, 0
	for b, err := range sub.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		switch b.Kind {
		case ringside.KindRows:
			if b.Seq != next {
				t.Fatalf("frame %d, expected %d", b.Seq, next)
			}
			next++
			if len(seen) == 0 {
				before, last = before+1, time.Now()
			} else if after++; after == 1 {
				t.Logf("the first frame of the next sidecar came %v after the last of the one before", time.Since(last))
			}
		default:
			if seen = append(seen, b.Kind); b.Kind == ringside.KindRestart && b.Lost != (ringside.Loss{Exact: true}) {
				t.Errorf("lost %+v", b.Lost)
			}
			next = 0
		}
		if before == 5 && second == nil {
			second = s.start("serve", "--socket", s.socket, "--map", s.bpffs+"/*=20ms", "--takeover")
		}
		if after == 5 {
			break
		}
	}
	if len(seen) != 1 || seen[0] != ringside.KindRestart {
		t.Errorf("told %v", seen)
	}
	first.wait().exits(exitOK)
	if _, err := os.Lstat(s.socket); err != nil {
		t.Errorf("the socket went with the old sidecar: %v", err)
	}
	enough()
	if err := <-knocked; err != nil {
		t.Errorf("somebody who connected met nobody: %v", err)
	}
	if files, _ := filepath.Glob(s.socket + "*"); len(files) != 2 { // and its lock
		t.Errorf("left behind: %v", files)
	}
}

// knock attaches again and again. That a ring is just being replaced is an answer,
// which clients do not show.
func knock(ctx context.Context, socket string) error {
	for ctx.Err() == nil {
		sub, err := ringside.Attach(ctx, ringside.Options{Socket: socket, Name: "knock"})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := sub.Close(); err != nil {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

func TestTakeoverOfNobody(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve("--takeover")
	s.run("tail", "-n", "1").exits(exitOK)
	// Somebody who is let in to read is not let in to rule.
	s.as(bpftest.Nobody).run("serve", "--socket", s.socket, "--map", s.bpffs+"/typed", "--takeover").exits(exitPermission)
	s.run("tail", "-n", "1").exits(exitOK)
}
