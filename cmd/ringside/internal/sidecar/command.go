// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/shm/handoff"
)

// command is what the keeper is told to do by somebody who waits for the result.
type command struct {
	takeOver bool // else: reload
	done     chan result
}

type result struct {
	changes *Changes
	err     error
}

// errLeaving: the sidecar is about to end.
var errLeaving error = handoff.Refuse(syscall.EAGAIN, "the sidecar is ending and takes no commands; start another one when it has")

// tell gives the keeper a command and waits.
func (s *Sidecar) tell(takeOver bool) (*Changes, error) {
	c := command{takeOver: takeOver, done: make(chan result, 1)}
	select {
	case s.commands <- c:
		r := <-c.done
		return r.changes, r.err
	case <-s.kept:
		return nil, errLeaving
	}
}

// ReloadConfig reads the configuration again and goes over to it. One that is
// not valid, or cannot work, changes nothing. It may be called while Run runs.
func (s *Sidecar) ReloadConfig() (*Changes, error) {
	changes, err := s.tell(false)
	if err != nil {
		s.log.Error().Err(err).Msg("the configuration is as it was")
	}
	return changes, err
}

// mayCommand: who may change what everybody gets.
func (s *Sidecar) mayCommand(p handoff.Peer, what string) error {
	if p.UID == 0 || p.UID == uint32(os.Geteuid()) {
		return nil
	}
	s.log.about(zerolog.WarnLevel, fmt.Sprintf("uid %d", p.UID), "refused a command", func(e *zerolog.Event) { e.Str("command", what).Int32("pid", p.PID) })
	return handoff.Refuse(syscall.EPERM, "uid %d may not %s: only root and the sidecar's own user (uid %d) may", p.UID, what, os.Geteuid())
}

// Reload answers a RELOAD.
func (s *Sidecar) Reload(p handoff.Peer) ([]byte, error) {
	if err := s.mayCommand(p, "reload"); err != nil {
		return nil, err
	}
	changes, err := s.ReloadConfig()
	switch {
	case errors.Is(err, errLeaving):
		return nil, err
	case err != nil:
		return nil, handoff.Refuse(syscall.EINVAL, "%v", err)
	}
	return json.Marshal(changes)
}

// TakeOver answers a TAKEOVER, when nothing is read any more.
func (s *Sidecar) TakeOver(p handoff.Peer) error {
	if err := s.mayCommand(p, "take over"); err != nil {
		return err
	}
	_, err := s.tell(true)
	return err
}

const (
	// takeOverPatience is how long the other sidecar may take to drain.
	takeOverPatience = 10 * time.Second
	// endingTick is how often one that is ending by itself is asked whether it has.
	endingTick = 20 * time.Millisecond
	// yieldPatience is how long this one waits for the other to be there, and for
	// consumers to leave: those that stay a little longer lose nothing, and are
	// told that the sidecar is gone.
	yieldPatience = 2 * time.Second
	yieldTick     = 2 * time.Millisecond
)

// takePlace makes the socket, in the place of another sidecar's if there is one.
// One that was told to end by somebody else is waited for.
func (s *Sidecar) takePlace(path string, o handoff.Options) (*handoff.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), takeOverPatience)
	defer cancel()
	tick := time.NewTicker(endingTick)
	defer tick.Stop()
	for told := false; ; told = true {
		server, err := s.replaceOther(ctx, path, o)
		if !errors.Is(err, handoff.ErrTryAgain) { // as errLeaving arrives
			return server, err
		}
		if !told {
			s.log.Info().Str("socket", path).Msg("the other sidecar is ending already, waiting for that")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; it has not within %v", err, takeOverPatience)
		}
	}
}

// replaceOther asks the other one first, so that a refusal changes nothing: it
// finishes its rings and goes on answering until the socket is ours, so that nobody
// who connects meets nobody. What it has read, its consumers read to the end.
func (s *Sidecar) replaceOther(ctx context.Context, path string, o handoff.Options) (*handoff.Server, error) {
	other, err := handoff.Dial(ctx, path)
	if errors.Is(err, handoff.ErrNoSidecar) {
		s.log.Info().Str("socket", path).Msg("there is no sidecar to take over from")
		return handoff.Listen(path, o)
	}
	if err != nil {
		return nil, err
	}
	defer other.Close()
	server, err := handoff.Beside(path, o)
	if err != nil {
		return nil, err
	}
	// That it hangs up means that it is gone, which is what was asked for.
	if err := other.TakeOver(ctx); err != nil && !errors.Is(err, handoff.ErrHangup) {
		return nil, errors.Join(fmt.Errorf("take over: %w", err), server.Close())
	}
	if err := server.Replace(); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}

// release begins to read what is read in any case: not before the other sidecar
// has stopped, as records can be taken out of a map only once.
func (s *Sidecar) release() {
	if s.held = false; !s.config.Reader.ReadWhenIdle {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rings {
		r.setActive(true)
	}
	s.pool.SetActive(true)
}

// yieldTo goes on answering until the socket is another's and the consumers have
// left.
func (s *Sidecar) yieldTo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, yieldPatience)
	defer cancel()
	tick := time.NewTicker(yieldTick)
	defer tick.Stop()
	for s.server.Present() || s.leased() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sidecar) leased() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.leases) > 0
}

// sorted is for documents.
func sorted(names []string) []string {
	slices.Sort(names)
	return names
}
