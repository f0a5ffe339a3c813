// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// byFloor is no way to read anything: it is the least that consumers in other
// processes can come after the one who publishes, or that they cost.
const byFloor = "floor"

//go:embed native/pair.c
var pairSource []byte

// enterFloor builds the floor where there is a compiler.
func (b *bench) enterFloor(ctx context.Context, plan latencyPlan) (*route, error) {
	dir, err := os.MkdirTemp("/var/tmp", "ringside-bench-")
	if err != nil {
		return nil, err
	}
	b.later(func() error { return os.RemoveAll(dir) })
	pair := filepath.Join(dir, "pair")
	err = compile(ctx, "cc", pairSource, pair, ".c", []string{"-std=c11", "-D_GNU_SOURCE"})
	return &route{contender: byFloor, waiting: awake, busy: true, published: true, pair: pair, period: plan.period, window: plan.window}, err
}

// measureFloor is one window.
func (e *route) measureFloor(ctx context.Context) (*seen, error) {
	out, err := exec.CommandContext(ctx, e.pair, strconv.Itoa(e.window), strconv.Itoa(int(e.period))).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.contender, err)
	}
	s := &seen{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); s.Rows++ {
		took, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.contender, err)
		}
		s.Published.Add(time.Duration(took))
	}
	return s, nil
}
