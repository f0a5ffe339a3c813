// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// language is a client.
type language struct {
	name    string
	prepare func(ctx context.Context, l *language, dir string) error // builds it into dir, or says why not
	read    func(ctx context.Context, socket string, rows int) (consumed, error)
}

// flowKey and flow are the rows, as every client's benchmark knows them.
type flowKey struct{ ID uint32 }

type flow struct{ Row, Packets, Bytes, Errors uint64 }

func flowSchema() []byte {
	word := &schema.Type{Kind: schema.Uint, Size: 8}
	s := schema.Schema{
		Key: &schema.Type{Kind: schema.Struct, Name: "struct key", Size: keyBytes, Fields: []schema.Field{{Name: "id", Type: &schema.Type{Kind: schema.Uint, Size: keyBytes}}}},
		Value: &schema.Type{Kind: schema.Struct, Name: "struct flow", Size: valueBytes, Fields: []schema.Field{
			{Name: "row", Type: word}, {Name: "packets", Offset: 8, Type: word}, {Name: "bytes", Offset: 16, Type: word}, {Name: "errors", Offset: 24, Type: word}}},
	}
	return s.Encode()
}

// lieReady makes a ring in which so many rows lie.
func (b *bench) lieReady(ctx context.Context, rows int) (socket string, err error) {
	ring, err := b.newRing(rows * (keyBytes + valueBytes))
	if err != nil {
		return "", err
	}
	x := &consumption{entries: rows, slice: make([]pair, rows)}
	for i := range x.slice {
		x.slice[i] = pair{uint32(i), value{uint64(i), 1, uint64(i) * 3, 0}}
	}
	x.producer, err = ring.AddSource(shm.SourceInfo{Name: "flows", KeySize: keyBytes, ValueSize: valueBytes, MapValueSize: valueBytes, MaxEntries: uint32(rows), Schema: flowSchema()})
	if err != nil {
		return "", err
	}
	const inHash = 8 + valueBytes // as programs leave a row of a hash
	x.batch = min(reader.RunBytes(rows*inHash)/inHash, rows, x.producer.Largest()/(keyBytes+valueBytes))
	beating, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for beating.Err() == nil {
			_, _ = beats(beating, ring, time.Minute)
		}
	}()
	b.later(func() error { stop(); <-ended; return nil })
	return ring.socket, x.publish(ctx)
}

// runs lets a program read, which prints what it found.
func runs(env []string, args ...string) func(context.Context, string, int) (consumed, error) {
	return func(ctx context.Context, socket string, rows int) (c consumed, err error) {
		line := make([]string, len(args))
		for i, a := range args {
			line[i] = strings.ReplaceAll(a, "SOCKET", socket)
		}
		cmd := exec.CommandContext(ctx, line[0], line[1:]...)
		cmd.Env = append(os.Environ(), env...)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &c)
		}
		if err != nil {
			return c, fmt.Errorf("%s: %w: %s", filepath.Base(line[0]), err, errs.String())
		}
		return c, nil
	}
}

func prepareC(ctx context.Context, l *language, dir string) error {
	client, err := clientInC()
	if err != nil {
		return err
	}
	source, err := os.ReadFile(filepath.Join(client, "bench", "rows.c"))
	if err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(client, "src", "*.c"))
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "rows")
	flags := []string{"-std=c11", "-D_GNU_SOURCE", "-I", client, "-I", filepath.Join(client, "src")}
	l.read = runs(nil, out, "SOCKET", "1")
	return compile(ctx, "cc", source, out, ".c", append(flags, sources...), "-pthread")
}

func prepareRust(ctx context.Context, l *language, dir string) error {
	client, err := beside("rust")
	if err != nil {
		return err
	}
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return err
	}
	target := filepath.Join(dir, "rust")
	l.read = runs(nil, filepath.Join(target, "release", "examples", "bench"), "SOCKET", "50")
	return builds(ctx, client, cargo, "build", "--release", "--example", "bench", "--offline", "--quiet", "--target-dir", target)
}

// preparePython builds the module for the first interpreter that has numpy.
func preparePython(ctx context.Context, l *language, dir string) error {
	client, err := beside("python")
	if err != nil {
		return err
	}
	program := filepath.Join(client, "bench", "rows.py")
	if _, err := os.Stat(program); err != nil {
		return err
	}
	var errs []error
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = exec.CommandContext(ctx, path, "-c", "import numpy, setuptools").Run()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s with numpy and setuptools: %w", name, err))
			continue
		}
		lib := filepath.Join(dir, "python")
		l.read = runs([]string{"PYTHONPATH=" + lib, "PYTHONDONTWRITEBYTECODE=1"}, path, program, "SOCKET", "10")
		return builds(ctx, client, path, "setup.py", "--quiet", "build", "--build-base", filepath.Join(dir, "build"), "--build-lib", lib)
	}
	return errors.Join(errs...)
}

func builds(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		line, _, _ := strings.Cut(string(text), "\n")
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, line)
	}
	return nil
}

func prepareGo(_ context.Context, l *language, _ string) error {
	l.read = readInGo
	return nil
}

const readInGoFor = 300 * time.Millisecond

// readInGo reads the ring for a while, in leases and as copies in turn.
func readInGo(ctx context.Context, socket string, rows int) (c consumed, err error) {
	var leases, copies []float64
	for start := time.Now(); len(copies) < 3 || time.Since(start) < readInGoFor; {
		for _, to := range []*[]float64{&leases, &copies} {
			ns, err := passInGo(ctx, socket, rows, to == &leases)
			if err != nil {
				return c, err
			}
			*to = append(*to, ns)
		}
	}
	return consumed{Lease: stat.Of(leases).Median, Copies: stat.Of(copies).Median}, nil
}

func passInGo(ctx context.Context, socket string, rows int, lease bool) (float64, error) {
	sub, err := ringside.Attach(ctx, ringside.Options{Socket: socket, Ring: ringName, Start: ringside.StartOldest})
	if err != nil {
		return 0, err
	}
	defer sub.Close()
	flows, err := ringside.RowsOf[flowKey, flow](sub, "flows")
	if err != nil {
		return 0, err
	}
	got, sum := 0, uint64(0)
	look := func(b *ringside.Batch) {
		part := uint64(0)
		for k, v := range flows.In(b) {
			part += uint64(k.ID) + v.Bytes
		}
		sum += part
		got += b.Rows
	}
	start := time.Now()
	if lease {
		for got < rows && err == nil {
			_, err = sub.View(ctx, look)
		}
	} else {
		for batch, e := range sub.Batches(ctx) {
			if err = e; err != nil {
				break
			}
			if look(batch); got >= rows {
				break
			}
		}
	}
	took := time.Since(start)
	if err == nil && sum != wantedSum(rows) {
		err = fmt.Errorf("%d rows add up to %d, not to %d", got, sum, wantedSum(rows))
	}
	return float64(took) / float64(max(got, 1)), err
}

// wantedSum is what the keys and one column of lieReady's rows add up to.
func wantedSum(rows int) uint64 { n := uint64(rows); return n * (n - 1) / 2 * 4 }
