// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// floors: what delivery cannot do without, between programs in C; see floor.c.
func (f *fan) floors(ctx context.Context) (*side, error) {
	rows := strconv.Itoa(f.entries)
	publisher, err := f.startProgram(ctx, f.native.floor, "publish", rows)
	if err != nil {
		return nil, err
	}
	fd, err := publisher.tell(ctx, sayAttach)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", byFloor, err)
	}
	s := &side{name: byFloor, publish: f.byProgram(publisher)}
	memory := fmt.Sprintf("/proc/%d/fd/%d", publisher.cmd.Process.Pid, fd)
	return s, f.start(ctx, s, func(int) (*child, error) { return f.startProgram(ctx, f.native.floor, "consume", memory, rows) }, nil)
}

// byProgram has a program publish, which says what that took.
func (f *fan) byProgram(p *child) publishing {
	return func(ctx context.Context, first, last uint64) (handover, error) {
		ns, err := p.tell(ctx, fmt.Sprint(sayPublish, " ", first, " ", last, " ", f.every.Nanoseconds()))
		return handover{f.entries * int(last-first+1), time.Duration(ns)}, err
	}
}
