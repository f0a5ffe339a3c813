// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// sidecar is a running `ringside serve`.
type sidecar struct {
	path, socket string
	cmd          *exec.Cmd
	log          bytes.Buffer
	gone         chan struct{} // closed when it has ended
	err          error         // why, then
}

// statusDocument is what experiments read of `ringside status -o json`.
type statusDocument struct {
	Sidecar struct {
		Memory memory `json:"memory"`
	} `json:"sidecar"`
	Rings []struct {
		Sources []struct {
			Name  string `json:"name"`
			Scans uint64 `json:"scans"`
		} `json:"sources"`
	} `json:"rings"`
}

const (
	sidecarTimeout = 20 * time.Second
	// settledScans is when a source has grown whatever it grows.
	settledScans = 10
)

// sidecarName is for experiments that have one.
const sidecarName = "sidecar"

func (b *bench) startSidecar(ctx context.Context, path, name string, args []string) (*sidecar, error) {
	s := &sidecar{path: path, socket: filepath.Join(b.home.Dir(), name+".sock"), gone: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, path, append([]string{"serve", "--socket", s.socket}, args...)...)
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		defer close(s.gone)
		s.err = s.cmd.Wait()
	}()
	b.later(s.stop)
	return s, nil
}

func (s *sidecar) stop() error {
	if err := s.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return nil // it has ended, and whoever asked it for its status knows why
	}
	<-s.gone
	return s.err
}

// await asks for the status until every source has been scanned some times.
func (s *sidecar) await(ctx context.Context) (statusDocument, error) {
	ctx, cancel := context.WithTimeout(ctx, sidecarTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		doc, err := s.status(ctx)
		if err == nil && doc.settled() {
			return doc, nil
		}
		last = err
		select {
		case <-tick.C:
		case <-s.gone:
			return doc, fmt.Errorf("%s serve ended (%w):\n%s", s.path, errOr(s.err, errors.New("without an error")), s.log.String())
		case <-ctx.Done():
			return doc, fmt.Errorf("%s serve does not get going: %w", s.path, errOr(last, ctx.Err()))
		}
	}
}

func (s *sidecar) status(ctx context.Context) (doc statusDocument, err error) {
	out, err := exec.CommandContext(ctx, s.path, "status", "--socket", s.socket, "-o", "json").Output()
	if len(out) == 0 { // an unhealthy sidecar answers, and status then exits with 1
		return doc, fmt.Errorf("%s status: %w", s.path, errOr(err, errors.New("no output")))
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return doc, fmt.Errorf("%s status: %w", s.path, err)
	}
	return doc, nil
}

func (d *statusDocument) settled() bool {
	sources := 0
	for _, r := range d.Rings {
		for _, s := range r.Sources {
			if sources++; s.Scans < settledScans {
				return false
			}
		}
	}
	return sources > 0
}
