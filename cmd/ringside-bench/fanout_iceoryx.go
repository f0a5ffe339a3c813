// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// iceoryxes: a topic for all consumers, between programs in C++.
//
// iceoryx has fixed names in /tmp and /dev/shm, of which a machine has one set. So
// its daemon gets a mount namespace with both places empty, and the others join it.
func (f *fan) iceoryxes(ctx context.Context) (*side, error) {
	roudi, err := f.startRouDi(ctx)
	if err != nil {
		return nil, err
	}
	run := func(role, name string) (*child, error) {
		return f.startProgram(ctx, "nsenter", "--mount", "--target", strconv.Itoa(roudi), "--",
			f.native.iceoryx, role, name, strconv.Itoa(f.entries))
	}
	publisher, err := run("publish", "publisher")
	if err != nil {
		return nil, err
	}
	if _, err := publisher.tell(ctx, sayAttach); err != nil {
		return nil, fmt.Errorf("%s: %w", byIceoryx, err)
	}
	s := &side{name: byIceoryx, daemon: roudi, publish: f.byProgram(publisher)}
	return s, f.start(ctx, s, func(i int) (*child, error) { return run("consume", "consumer"+strconv.Itoa(i)) }, nil)
}

// iceoryxChunks are scans in iceoryx's memory: a queue's worth, and what slow
// consumers may hold.
const iceoryxChunks = 16

// startRouDi runs the daemon and returns when others can join its namespace.
func (f *fan) startRouDi(ctx context.Context) (pid int, err error) {
	config := filepath.Join(filepath.Dir(f.native.iceoryx), "roudi.toml")
	chunk := (f.entries*(keyBytes+valueBytes) + 4096) &^ 63
	text := fmt.Sprintf("[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = %d\ncount = %d\n", chunk, iceoryxChunks)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--", "sh", "-ec",
		`mount -t tmpfs none /dev/shm; mount -t tmpfs none /tmp; exec "$@"`, "sh", f.native.roudi, "--config-file", config, "--monitoring-mode", "off", "--log-level", "error")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start RouDi: %w", err)
	}
	f.later(func() error {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		return nil
	})
	return cmd.Process.Pid, f.awaitRouDi(ctx, cmd.Process.Pid, &log)
}

// awaitRouDi waits until the daemon has made its memory.
func (f *fan) awaitRouDi(ctx context.Context, pid int, log *bytes.Buffer) error {
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if found, _ := filepath.Glob(fmt.Sprintf("/proc/%d/root/dev/shm/iceoryx_mgmt", pid)); len(found) > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("RouDi does not get going: %w", ctx.Err()), errors.New(log.String()))
		}
	}
}
