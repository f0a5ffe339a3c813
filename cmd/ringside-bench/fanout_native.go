// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var (
	//go:embed native/consumer.c
	consumerSource []byte
	//go:embed native/floor.c
	floorSource []byte
	//go:embed native/iceoryx.cpp
	iceoryxSource []byte
	//go:embed native/rows.h
	rowsHeader []byte
)

// native are the programs that are not in Go, built for a run.
type native struct {
	consumer string   // in C, for rings and sockets; "": there is none
	floor    string   // both ends, in C; "": there is none
	iceoryx  string   // both ends; "": there is none
	roudi    string   // its daemon
	missing  []string // what is left out and why, a sentence each
}

// socket is the socket contender that rings are held against: in C if anything is.
func (n *native) socket() string {
	if n.consumer != "" {
		return bySocketC
	}
	return bySocketGo
}

// buildNative builds what can be built here. What cannot is left out.
func (b *bench) buildNative(ctx context.Context) (*native, error) {
	// Not in /tmp, which iceoryx needs for itself, nor in /run, where programs may
	// be forbidden.
	dir, err := os.MkdirTemp("/var/tmp", "ringside-bench-")
	if err != nil {
		return nil, err
	}
	b.later(func() error { return os.RemoveAll(dir) })
	n := &native{}
	consumer, floor, iceoryx := filepath.Join(dir, "consumer"), filepath.Join(dir, "floor"), filepath.Join(dir, "iceoryx")
	if err := buildConsumer(ctx, consumer); err != nil {
		n.missing = append(n.missing, fmt.Sprintf("Left out: consumers in C (%v).", err))
	} else {
		n.consumer = consumer
	}
	if err := compile(ctx, "cc", floorSource, floor, ".c", []string{"-std=c11", "-D_GNU_SOURCE"}); err != nil {
		n.missing = append(n.missing, fmt.Sprintf("Left out: the floor (%v).", err))
	} else {
		n.floor = floor
	}
	if n.roudi, err = buildIceoryx(ctx, iceoryx); err != nil {
		n.missing = append(n.missing, fmt.Sprintf("Left out: iceoryx (%v). On Debian: apt-get install g++ iceoryx libiceoryx-posh-dev.", err))
	} else {
		n.iceoryx = iceoryx
	}
	return n, nil
}

// buildConsumer compiles consumer.c together with the client's own sources, which
// are in a checkout only.
func buildConsumer(ctx context.Context, out string) error {
	client, err := clientInC()
	if err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(client, "src", "*.c"))
	if err != nil {
		return err
	}
	flags := []string{"-std=c11", "-D_GNU_SOURCE", "-I", client, "-I", filepath.Join(client, "src")}
	return compile(ctx, "cc", consumerSource, out, ".c", append(flags, sources...), "-pthread")
}

// clientInC finds clients/c from where this program lies, or is run.
func clientInC() (string, error) {
	places := []string{".", filepath.Join("..", "..")} // the second for tests
	if self, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(self), ".."))
	}
	for _, p := range places {
		dir := filepath.Join(p, "clients", "c")
		if _, err := os.Stat(filepath.Join(dir, "ringside.h")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no clients/c: run this program from a checkout")
}

// iceoryxHeaders is where packages put them, a folder for each version.
const iceoryxHeaders = "/usr/include/iceoryx/v2.*"

func buildIceoryx(ctx context.Context, out string) (roudi string, err error) {
	if roudi, err = exec.LookPath("iox-roudi"); err != nil {
		return "", err
	}
	headers, err := filepath.Glob(iceoryxHeaders)
	if err != nil || len(headers) == 0 {
		return "", fmt.Errorf("no %s", iceoryxHeaders)
	}
	return roudi, compile(ctx, "g++", iceoryxSource, out, ".cpp", []string{"-std=c++17", "-I", headers[len(headers)-1]},
		"-liceoryx_posh", "-liceoryx_hoofs", "-liceoryx_platform", "-pthread")
}

// compile builds a program beside its source.
func compile(ctx context.Context, compiler string, source []byte, out, suffix string, flags []string, libs ...string) error {
	if _, err := exec.LookPath(compiler); err != nil {
		return err
	}
	dir := filepath.Dir(out)
	err := os.WriteFile(out+suffix, source, 0o600)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rows.h"), rowsHeader, 0o600)
	}
	if err != nil {
		return err
	}
	args := append([]string{"-O2", "-o", out, out + suffix}, flags...)
	if text, err := exec.CommandContext(ctx, compiler, append(args, libs...)...).CombinedOutput(); err != nil {
		line, _, _ := strings.Cut(string(text), "\n")
		return fmt.Errorf("%s: %w: %s", compiler, err, line)
	}
	return nil
}
