// SPDX-License-Identifier: Apache-2.0

package c

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// lender lends one ring to one client, and holds the client's page.
type lender struct {
	ring     *shm.Publisher
	producer *shm.Producer
	consumer *shm.Consumer
	path     string
	scan     uint64
}

func lend(t testing.TB, info shm.SourceInfo) *lender {
	t.Helper()
	p, err := shm.Create(shm.Config{Name: "main", DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	producer, err := p.AddSource(info)
	if err != nil {
		t.Fatal(err)
	}
	consumer, _, err := p.Attach(shm.StartHead, shm.AnySource, uint32(os.Geteuid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumer.Detach)
	grant := make([]byte, 48)
	binary.LittleEndian.PutUint16(grant, shm.AnySource)
	binary.LittleEndian.PutUint64(grant[8:], p.Geometry().Epoch)
	binary.LittleEndian.PutUint64(grant[40:], p.Geometry().TotalBytes)
	fds := []int{int(p.File().Fd()), int(consumer.File().Fd()), int(consumer.Bell().Fd())}
	return &lender{ring: p, producer: producer, consumer: consumer, path: imposter(t, fds, answer(attached, 0, grant))}
}

// publish commits one frame of rows key = value = from, from+1, ...
func (l *lender) publish(t testing.TB, kind shm.Kind, flags shm.Flags, from, rows int) {
	t.Helper()
	const stride = 16
	b, err := l.producer.Claim(t.Context(), rows*stride, rows*stride)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		binary.LittleEndian.PutUint64(b[i*stride:], uint64(from+i))
		binary.LittleEndian.PutUint64(b[i*stride+8:], uint64(from+i))
	}
	if flags&shm.FlagFirst != 0 {
		l.scan++
	}
	l.producer.Commit(shm.Content{Kind: kind, Flags: flags, Rows: uint32(rows), Bytes: rows * stride,
		KeyStride: stride, ValuesOffset: 8, ValueStride: stride, Scan: l.scan})
	l.ring.Beat()
}

// told is the next line, but for what a machine that is busy elsewhere makes of a
// sidecar that beats only when it publishes.
func told(t testing.TB, p *clienttest.Program) string {
	t.Helper()
	for {
		if line := p.Expect(t, ""); line != "hangs" {
			return line
		}
	}
}

// A table follows keyframes and changes as the protocol says, and asks for a
// keyframe when it needs one.
func TestTableFollowsChanges(t *testing.T) {
	const whole, key = shm.FlagFirst | shm.FlagLast, shm.FlagKeyframe
	l := lend(t, shm.SourceInfo{Name: "m", KeySize: 8, ValueSize: 8, MapValueSize: 8, Flags: shm.SourceChanges})
	keep := start(t, os.Geteuid(), filepath.Join(build(t, "asan"), "tests", "keep"), l.path, "m")
	keep.Expect(t, "attached")
	expect := func(line string) {
		t.Helper()
		if got := told(t, keep); got != line {
			t.Fatalf("table is %q, expected %q", got, line)
		}
	}
	l.publish(t, shm.KindRows, key|shm.FlagFirst, 0, 5)
	l.publish(t, shm.KindRows, key|shm.FlagLast, 5, 5)
	expect("fresh 10 45")
	l.publish(t, shm.KindRows, shm.FlagFirst, 10, 2)
	l.publish(t, shm.KindDeletes, 0, 0, 10)
	l.publish(t, shm.KindRows, shm.FlagLast, 0, 0)
	expect("fresh 2 21")
	if source, ok := l.consumer.TakeAsk(); ok {
		t.Errorf("a fresh table asks for source %d", source)
	}
	l.publish(t, shm.KindRows, shm.FlagFirst, 100, 1) // breaks off
	l.publish(t, shm.KindRows, whole, 100, 1)
	expect("stale 2 21")
	if source, ok := l.consumer.TakeAsk(); !ok || source != 0 {
		t.Errorf("a stale table asks for source %d: %v", source, ok)
	}
	l.publish(t, shm.KindRows, key|whole, 7, 1)
	expect("fresh 1 7")
	keep.Finish(t, "end")
}

// A consumer that is told in its page that it was evicted tells the application,
// once.
func TestEvictionIsToldOnce(t *testing.T) {
	l := lend(t, shm.SourceInfo{Name: "m", KeySize: 8, ValueSize: 8, MapValueSize: 8})
	keep := start(t, os.Geteuid(), filepath.Join(build(t, "asan"), "tests", "keep"), l.path, "m")
	keep.Expect(t, "attached")
	const evicted = 640
	if _, err := unix.Pwrite(int(l.consumer.File().Fd()), []byte{1, 0, 0, 0, 0, 0, 0, 0}, evicted); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		l.publish(t, shm.KindRows, shm.FlagFirst|shm.FlagLast|shm.FlagKeyframe, 1, 1)
		if i == 0 {
			if got := told(t, keep); got != "evicted" {
				t.Errorf("told %q", got)
			}
		}
		if got := told(t, keep); got != "fresh 1 1" {
			t.Errorf("table is %q", got)
		}
	}
	keep.Finish(t, "end")
}

// A sidecar that holds the socket and has stopped beating is told once, however
// the consumer waits, and goes on.
func TestHangIsTold(t *testing.T) {
	for _, how := range []string{"read", "poll", "busy"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := clienttest.Open(t, 1<<20)
			f := clienttest.AddFeed(t, s.Ring, 0)
			reader := start(t, os.Geteuid(), filepath.Join(build(t, "gcc"), "tests", "follow"), s.Path, how)
			reader.Expect(t, "attached")
			for _, frames := range []int{1, 100} {
				reader.Expect(t, "hangs")
				f.PublishEach(t, frames, 3)
				reader.Expect(t, "reading")
			}
			_, rows, _, lost, restarts := reader.End(t)
			if rows != 303 || lost != 0 || restarts != 0 {
				t.Errorf("%d rows, %d lost, %d restarts", rows, lost, restarts)
			}
		})
	}
}
