// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"syscall"
	"testing"
	"time"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// TestConsumersComeBack prints how soon after the socket answers again a consumer
// has rows. After a kill nobody knows what was read and not published; after an
// ordinary end nothing is missing.
func TestConsumersComeBack(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		exact  bool
	}{{syscall.SIGTERM, true}, {syscall.SIGKILL, false}} {
		t.Run(tt.signal.String(), func(t *testing.T) { comeBack(t, tt.signal, tt.exact) })
	}
}

func comeBack(t *testing.T, signal syscall.Signal, exact bool) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	sidecar := s.serve()
	sub, err := ringside.Attach(t.Context(), ringside.Options{Socket: s.socket})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answers := make(chan time.Time, 1)
	restarted := false
	for b, err := range sub.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case b.Kind == ringside.KindRows && !restarted && sidecar != nil:
			sidecar.signal(signal)
			sidecar.wait()
			sidecar = nil
			s.start("serve", "--socket", s.socket, "--map", s.bpffs+"/*=20ms")
			go func() { answers <- answering(ctx, s.socket) }()
		case b.Kind == ringside.KindRestart:
			restarted = true
			if b.Lost.Exact != exact || b.Lost.Frames != 0 {
				t.Errorf("lost %+v, want exact %v", b.Lost, exact)
			}
		case b.Kind == ringside.KindRows && restarted:
			t.Logf("rows %v after the socket answered", max(time.Since(<-answers), 0))
			return
		}
	}
	t.Error("no rows came")
}

// answering is when a sidecar answers at a socket.
func answering(ctx context.Context, socket string) time.Time {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := handoff.Dial(ctx, socket)
		if err == nil {
			_, err = conn.Rings(ctx)
			conn.Close()
		}
		now := time.Now()
		if err == nil {
			return now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return now
		}
	}
}
