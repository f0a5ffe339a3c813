// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cilium/ebpf"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// ring is a ring as a sidecar has it, lent over a socket. What a sidecar adds to
// it (cadence, configuration, rules) is not measured here.
type ring struct {
	*shm.Publisher
	socket string
}

const (
	ringName = "bench"
	// heartbeat is how often a sidecar says that it lives.
	heartbeat = 100 * time.Millisecond
)

// newPublisher makes a ring of a sidecar's default size: four full scans.
func (b *bench) newPublisher(scanBytes int) (*shm.Publisher, error) {
	const least, most = 1 << 20, 256 << 20
	p, err := shm.Create(shm.Config{Name: ringName, DataBytes: uint64(min(max(4*scanBytes, least), most))})
	if err == nil {
		b.later(p.Close)
	}
	return p, err
}

// newRing makes one and lends it over a socket, of which a part has one.
func (b *bench) newRing(scanBytes int) (*ring, error) {
	return b.newRingAt(filepath.Join(b.home.Dir(), "ring.sock"), scanBytes)
}

// newRingAt is for parts that have several.
func (b *bench) newRingAt(socket string, scanBytes int) (*ring, error) {
	p, err := b.newPublisher(scanBytes)
	if err != nil {
		return nil, err
	}
	r := &ring{Publisher: p, socket: socket}
	server, err := handoff.Listen(r.socket, handoff.Options{Mode: 0o600})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, r) }()
	b.later(func() error {
		stop()
		return <-served
	})
	return r, nil
}

// Attach implements handoff.Handler: everyone who can reach the socket may.
func (r *ring) Attach(handoff.Peer, handoff.AttachRequest) (*shm.Publisher, uint16, error) {
	return r.Publisher, shm.AnySource, nil
}

// Attached implements handoff.Handler.
func (r *ring) Attached(*handoff.Lease) {}

// Detached implements handoff.Handler.
func (r *ring) Detached(*handoff.Lease) {}

// Status implements handoff.Handler.
func (r *ring) Status(handoff.Peer) ([]byte, error) {
	return nil, handoff.Refuse(syscall.ENOSYS, "a benchmark has no status")
}

// Rings implements handoff.Handler.
func (r *ring) Rings(handoff.Peer) ([]string, error) { return []string{ringName}, nil }

// attach is what every consumer does.
func attach(ctx context.Context, socket string) (*ringside.Subscription, error) {
	return ringside.Attach(ctx, ringside.Options{Socket: socket, Ring: ringName, Start: ringside.StartHead})
}

// source is a map that is published into a ring.
type source struct {
	*reader.Source
	into *published
}

// publish opens a pin and gives it a place in the ring.
func (b *bench) publish(r *ring, pin string, o reader.Options) (*source, error) {
	s, err := reader.Open(pin, o)
	if err != nil {
		return nil, err
	}
	b.later(s.Close)
	into, err := r.addSource(s.Info())
	return &source{s, into}, err
}

func (r *ring) addSource(i reader.Info) (*published, error) {
	info := shm.SourceInfo{
		Name: i.Name, MapID: i.MapID, MapType: uint32(i.Type), MaxEntries: uint32(min(i.MaxEntries, math.MaxUint32)),
		KeySize: uint32(i.KeySize), ValueSize: uint32(i.ValueSize), MapValueSize: uint32(i.MapValueSize), CPUs: uint32(i.CPUs),
	}
	if i.CPUs > 0 {
		info.Flags |= shm.SourcePerCPU
	}
	p, err := r.AddSource(info)
	return &published{p}, err
}

// published is a reader.Destination in a ring.
type published struct{ *shm.Producer }

// Commit implements reader.Destination.
func (p *published) Commit(f reader.Frame) {
	c := shm.Content{
		Kind: shm.KindRows, Rows: uint32(f.Rows), Bytes: f.Length,
		KeysOffset: uint32(f.Keys.Offset), KeyStride: uint32(f.Keys.Stride),
		ValuesOffset: uint32(f.Values.Offset), ValueStride: uint32(f.Values.Stride),
		Scan: f.Scan, TimeNS: uint64(f.TimeNS),
	}
	if f.Deletes {
		c.Kind = shm.KindDeletes
	}
	if f.Keyframe {
		c.Flags |= shm.FlagKeyframe
	}
	if f.First {
		c.Flags |= shm.FlagFirst
	}
	if f.Last {
		c.Flags |= shm.FlagLast
	}
	p.Producer.Commit(c)
}

// private is a reader.Destination in ordinary memory, for what the ring is held
// against. Claims follow each other through mem and begin anew at its end.
type private struct {
	mem  []byte
	most int // that one claim lends
	at   int
}

// newPrivate makes memory that is touched, so that no pass pays for that.
func newPrivate(size, most int) *private {
	p := &private{mem: make([]byte, size), most: most}
	for i := 0; i < size; i += 4096 {
		p.mem[i] = 1
	}
	return p
}

// Largest implements reader.Destination.
func (p *private) Largest() int { return p.most }

// Claim implements reader.Destination.
func (p *private) Claim(_ context.Context, least, most int) ([]byte, error) {
	if least > p.most {
		return nil, errors.New("larger than the memory")
	}
	most = min(most, p.most)
	if most > len(p.mem)-p.at {
		p.at = 0
	}
	return p.mem[p.at : p.at+most : p.at+most], nil
}

// Commit implements reader.Destination.
func (p *private) Commit(f reader.Frame) { p.at = (p.at + f.Length + 63) &^ 63 % len(p.mem) }

// Abort implements reader.Destination.
func (p *private) Abort() {}

// scanBytes is what a full scan of a map takes in a ring, nearly.
func scanBytes(m *ebpf.Map, rowBytes int) int { return int(m.MaxEntries()) * rowBytes }
