// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

const never = time.Hour // a stall timeout that no test waits for

func newLosslessRing(t testing.TB, dataBytes uint64, stall time.Duration) *Publisher {
	t.Helper()
	return newTestRingOf(t, Config{Name: "lossless", DataBytes: dataBytes, Sources: 8, HeapBytes: 4096, Lossless: true, StallTimeout: stall})
}

// until waits for a condition.
func until(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !reached(); runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("no %s", what)
		}
	}
}

// expire ends a member's time, as if its stall timeout were over: the tests hang on
// who was waited for, not on who got a CPU.
func expire(p *Publisher, c *Consumer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.member.deadline = 0
}

// publishing publishes frames of 4 rows, 128 bytes each, until a claim fails or
// ctx ends.
func publishing(ctx context.Context, r *Producer) (failed chan error) {
	failed = make(chan error, 1)
	go func() {
		err := ctx.Err()
		for i := uint64(0); err == nil; i += 4 {
			var b []byte
			if b, err = r.Claim(ctx, 64, 64); err == nil {
				fillRows(b, i, 4)
				r.Commit(rowContent(4, FlagFirst|FlagLast))
				err = ctx.Err() // which a claim looks at only when it waits
			}
		}
		failed <- err
	}()
	return failed
}

// Whoever keeps up gets every row once, however many claim and however slow it
// is otherwise.
func TestLosslessGivesEveryRowOnce(t *testing.T) {
	for _, producers := range []int{1, 3} {
		p := newLosslessRing(t, 16<<10, never)
		frames := 1500
		if raceEnabled {
			frames = 400
		}
		var writers, readers sync.WaitGroup
		for i := range 3 {
			_, page, pos := attach(t, p, StartHead)
			readers.Go(func() {
				c := NewCursor(p.Ring(), pos, StartOldest, AnySource)
				c.Report(page)
				buf, got := make([]byte, p.Geometry().LargestFrame), account{}
				for n := 0; ; n++ {
					h, payload, lost, s := c.Next(buf)
					switch s {
					case Ready:
						verifyRows(t, h, payload)
						got.add(h, lost)
					case Ended:
						if got.mustEqual(t, p.Totals()); got.lostFrames != 0 {
							t.Errorf("reader %d lost %+v", i, got)
						}
						return
					case Corrupt, Lapped:
						t.Error(s, c.Err())
						return
					default:
						runtime.Gosched()
					}
					for range i * 20 {
						runtime.Gosched()
					}
				}
			})
		}
		for i := range producers {
			r := addSource(t, p, string(rune('a'+i)))
			writers.Go(func() { produce(t, r, frames, uint64(i)) })
		}
		writers.Wait()
		if err := p.Finish(t.Context(), StateEnded); err != nil {
			t.Error(err)
		}
		readers.Wait()
		if d := p.Delivery(); d.Stalls == 0 || d.StalledNS == 0 || d.Evictions != 0 || d.Waiting != 0 {
			t.Errorf("%d producers: %+v", producers, d)
		}
	}
}

// A member that stands still holds claims up for the stall timeout. Then it is
// evicted, and hw tells it so before it trusts a byte of what was overwritten.
func TestEvictedMemberLearnsBeforeItTrusts(t *testing.T) {
	p := newLosslessRing(t, 16<<10, never)
	r := addSource(t, p, "s")
	stands, page, pos := attach(t, p, StartHead)
	keeps, keepsPage, keepsPos := attach(t, p, StartHead)
	ctx, stop := context.WithCancel(t.Context())
	failed := publishing(ctx, r)
	var following sync.WaitGroup
	following.Go(func() {
		c := NewCursor(p.Ring(), keepsPos, StartOldest, AnySource)
		c.Report(keepsPage)
		for s := Empty; s != Ended; {
			_, _, _, s = c.Next(make([]byte, p.Geometry().LargestFrame))
			runtime.Gosched()
		}
		if c.Loss() != (Loss{}) {
			t.Errorf("the one that kept up lost %+v", c.Loss())
		}
	})

	c := NewCursor(p.Ring(), pos, StartOldest, AnySource)
	until(t, "stall", func() bool { return p.Delivery().Waiting > 0 })
	h, payload, _, s := c.Peek()
	if s != Ready || !c.Valid() || h.Seq != 0 || stands.Stats().Evicted {
		t.Fatalf("%v, %+v, held up: its first frame is there", s, h)
	}
	p.mu.Lock()
	if m := stands.member; m.goal == 0 || m.deadline-m.asked != uint64(never) {
		t.Errorf("%+v: its time is not the stall timeout", m)
	}
	p.mu.Unlock()
	expire(p, stands)
	until(t, "eviction", func() bool { return stands.Stats().Evicted })
	until(t, "lap", func() bool { return p.Totals().Head > 2*p.geometry.DataBytes })
	if _ = payload[0]; c.Valid() {
		t.Error("what was overwritten counts as valid")
	}
	stop()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Finish(t.Context(), StateEnded); err != nil {
		t.Error(err)
	}
	following.Wait()
	got, _ := readAll(t, c, make([]byte, p.Geometry().LargestFrame))
	if got.mustEqual(t, p.Totals()); got.lostFrames == 0 || !page.Evicted() || keepsPage.Evicted() || keeps.Stats().Evicted {
		t.Errorf("%+v, page %v, the other's %v", got, page.Evicted(), keepsPage.Evicted())
	}
	if d := p.Delivery(); d.Evictions != 1 || d.Stalls == 0 || d.StalledNS == 0 {
		t.Errorf("%+v", d)
	}
}

// A member that reads just enough to let one claim through at a time is as bad as
// one that stands still.
func TestDripIsEvicted(t *testing.T) {
	p := newLosslessRing(t, 16<<10, never)
	r := addSource(t, p, "s")
	drips, page, pos := attach(t, p, StartHead)
	ctx, stop := context.WithCancel(t.Context())
	failed := publishing(ctx, r)
	c := NewCursor(p.Ring(), pos, StartOldest, AnySource)
	c.Report(page)
	until(t, "stall", func() bool { return p.Delivery().Waiting > 0 })
	p.mu.Lock()
	first := drips.member
	p.mu.Unlock()
	for stalls := range uint64(20) {
		until(t, "stall", func() bool { return p.Delivery().Stalls > stalls && p.Delivery().Waiting > 0 })
		if _, _, _, s := c.Peek(); s != Ready {
			t.Fatal(s)
		}
		c.Advance()
	}
	p.mu.Lock()
	if m := drips.member; m.goal != first.goal || m.deadline != first.deadline || m.seen == first.seen {
		t.Errorf("%+v by dripping, it was %+v", m, first)
	}
	p.mu.Unlock()
	expire(p, drips)
	until(t, "eviction", func() bool { return drips.Stats().Evicted })
	stop()
	<-failed
}

// Whatever stands in a member's page, it can hold claims up for one stall timeout
// and nothing else.
func TestHostileMembersAreEvicted(t *testing.T) {
	for name, lie := range map[string]func(c *Consumer, page *ControlPage) error{
		"frozen":     func(*Consumer, *ControlPage) error { return nil },
		"backward":   func(_ *Consumer, page *ControlPage) error { page.shared.cursor.Store(0); return nil },
		"ahead":      func(_ *Consumer, page *ControlPage) error { page.shared.cursor.Store(1 << 40); return nil },
		"far ahead":  func(_ *Consumer, page *ControlPage) error { page.shared.cursor.Store(math.MaxUint64); return nil },
		"not a word": func(_ *Consumer, page *ControlPage) error { page.shared.cursor.Store(4096 + 3); return nil },
		"innocent":   func(_ *Consumer, page *ControlPage) error { page.shared.evicted.Store(77); return nil },
		"punched": func(c *Consumer, _ *ControlPage) error {
			return unix.Fallocate(int(c.File().Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, consumerBytes)
		},
	} {
		p := newLosslessRing(t, 16<<10, never)
		r := addSource(t, p, "s")
		for range 64 {
			publishRows(t, r, 0, 4, FlagFirst|FlagLast)
		}
		liar, page, _ := attach(t, p, StartHead)
		if err := lie(liar, page); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		failed := publishing(ctx, r)
		until(t, name+" evicted or waited for", func() bool { return liar.Stats().Evicted || p.Delivery().Waiting > 0 })
		expire(p, liar)
		until(t, name+" evicted", func() bool { return liar.Stats().Evicted && p.Totals().Head > 2*p.geometry.DataBytes })
		stop()
		<-failed
		// Its user has to wait; others need not.
		if _, _, err := p.Attach(StartHead, AnySource, 0); !errors.Is(err, ErrBarred) || !strings.Contains(err.Error(), "attach again in") {
			t.Errorf("%s: attach after the eviction: %v", name, err)
		}
		if other, _, err := p.Attach(StartHead, AnySource, 1); err != nil {
			t.Error(err)
		} else {
			other.Detach()
		}
		p.mu.Lock()
		p.patience.records[0] = conduct{until: monotonic.Now()}
		p.mu.Unlock()
		if back, _, err := p.Attach(StartHead, AnySource, 0); err != nil {
			t.Errorf("%s: after the bar: %v", name, err)
		} else {
			back.Detach()
		}
	}
}

// To go backward gives nothing back: what was read stays read.
func TestPositionsOnlyGrow(t *testing.T) {
	p := newLosslessRing(t, 16<<10, never)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	for round := range 4 {
		for p.Totals().Head < uint64(round+1)*p.geometry.DataBytes { // exactly as far as admitted
			publishRows(t, r, 0, 4, FlagFirst|FlagLast)
		}
		page.shared.cursor.Store(p.Totals().Head)
		p.mu.Lock()
		p.admits(p.hw + 64)
		p.mu.Unlock()
		page.shared.cursor.Store(0)
	}
	if c.Stats().Evicted || p.Delivery().Stalls != 0 {
		t.Errorf("%+v", p.Delivery())
	}
}

// A stall ends with its context, with its ring, and when the one that is waited
// for leaves. What others give back meanwhile is used.
func TestStallEnds(t *testing.T) {
	p := newLosslessRing(t, 16<<10, never)
	r, open := addSource(t, p, "s"), addSource(t, p, "open")
	c, _, _ := attach(t, p, StartHead)
	for p.Totals().Head < 15<<10 {
		publishRows(t, r, 0, 4, FlagFirst|FlagLast)
	}
	if _, err := open.Claim(t.Context(), 960, 960); err != nil { // all that is left
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	held := func() bool { return p.Delivery().Waiting > 0 }
	fill := publishing(ctx, r)
	until(t, "stall", held)
	if p.Totals().Head != 15<<10 {
		t.Errorf("%+v", p.Totals())
	}
	open.Abort()
	until(t, "use of what was given back", func() bool { return p.Totals().Head == 16<<10 })
	until(t, "stall", held)
	stop()
	if err := <-fill; !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}

	ctx, stop = context.WithCancel(t.Context())
	fill = publishing(ctx, r)
	until(t, "stall", held)
	before := p.Totals().Head
	c.Detach()
	until(t, "frames after it left", func() bool { return p.Totals().Head > before+4*p.geometry.DataBytes })
	stop()
	<-fill

	if _, _, err := p.Attach(StartHead, AnySource, 1); err != nil {
		t.Fatal(err)
	}
	fill = publishing(t.Context(), r)
	until(t, "stall", held)
	if err := p.Finish(t.Context(), StateSuperseded); err != nil {
		t.Error(err)
	}
	if err := <-fill; !errors.Is(err, ErrClosed) {
		t.Errorf("after the ring: %v", err)
	}
}

// Who leaves in the middle of a stall and comes again has not a whole stall
// timeout each time.
func TestLeavingIsNoWayOut(t *testing.T) {
	p := newLosslessRing(t, 16<<10, 400*time.Millisecond)
	r := addSource(t, p, "s")
	ctx, stop := context.WithCancel(t.Context())
	failed := publishing(ctx, r)
	times := 0
	until(t, "bar", func() bool {
		c, _, err := p.Attach(StartOldest, AnySource, 7)
		if err != nil {
			if !errors.Is(err, ErrBarred) {
				t.Fatal(err)
			}
			return true
		}
		times++
		until(t, "stall of some length", func() bool { return c.Stats().HoldsNS > 100_000_000 || c.Stats().Evicted })
		c.Detach()
		return false
	})
	if times > 5 {
		t.Errorf("it came %d times", times)
	}
	stop()
	<-failed
}

// A user's consumers that stand still one after the other have less time each, until
// the bar is over: many of them cannot hold claims up for long.
func TestManyOfOneUserHaveNoMoreTime(t *testing.T) {
	p := newLosslessRing(t, 16<<10, time.Hour)
	r := addSource(t, p, "s")
	members := make([]*Consumer, 6)
	for i := range members {
		var err error
		if members[i], _, err = p.Attach(StartHead, AnySource, 7); err != nil {
			t.Fatal(err)
		}
	}
	want := uint64(time.Hour)
	for i, c := range members {
		for p.Totals().Head < uint64(i+1)*p.geometry.DataBytes { // exactly as far as admitted
			publishRows(t, r, 0, 4, FlagFirst|FlagLast)
		}
		for _, other := range members[i+1:] {
			other.shared.cursor.Store(p.head)
		}
		p.mu.Lock()
		if p.admits(p.hw + 64); c.member.deadline-c.member.asked != want {
			t.Errorf("the %d. has %v", i, time.Duration(c.member.deadline-c.member.asked))
		}
		c.member.deadline = 0
		if !p.admits(p.hw+64) || !c.member.evicted {
			t.Errorf("the %d. is still waited for", i)
		}
		if want /= 2; i == len(members)-2 {
			p.patience.records[7] = conduct{held: uint64(time.Hour), until: 1}
			want = uint64(time.Hour)
		}
		p.mu.Unlock()
	}
}

// On a lossy ring nobody is waited for, and one that nobody reads waits for none.
func TestNobodyIsWaitedFor(t *testing.T) {
	for _, p := range []*Publisher{newTestRing(t, 16<<10), newLosslessRing(t, 16<<10, never)} {
		r := addSource(t, p, "s")
		if !p.geometry.Lossless {
			attach(t, p, StartHead)
		}
		for range 1000 {
			publishRows(t, r, 0, 4, FlagFirst|FlagLast)
		}
		if p.Delivery() != (Delivery{}) || p.patience.limit != math.MaxUint64 {
			t.Errorf("lossless %v: %+v", p.geometry.Lossless, p.Delivery())
		}
	}
}

// BenchmarkPublishLossless is BenchmarkPublish with a member that keeps up.
func BenchmarkPublishLossless(b *testing.B) {
	p := newLosslessRing(b, 4<<20, never)
	r, err := p.AddSource(SourceInfo{Name: "s", KeySize: 4, ValueSize: 32})
	if err != nil {
		b.Fatal(err)
	}
	_, page, _ := attach(b, p, StartHead)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Claim(b.Context(), benchRows*rowBytes, benchRows*rowBytes); err != nil {
			b.Fatal(err)
		}
		r.Commit(benchContent(benchRows))
		page.shared.cursor.Store(p.shared.head.Load())
	}
}

// A member that sleeps in the middle of a scan, of which it would not hear
// before the end, is rung before it is waited for.
func TestSleeperIsRungBeforeItIsWaitedFor(t *testing.T) {
	p := newLosslessRing(t, 16<<10, never)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	for p.Totals().Head < 16<<10 {
		publishRows(t, r, 0, 4, 0)
	}
	if page.Sleep(); p.Delivery().Stalls != 0 {
		t.Fatalf("%+v", p.Delivery())
	}
	claimed := make(chan error)
	go func() {
		_, err := r.Claim(t.Context(), 64, 64)
		claimed <- err
	}()
	until(t, "ring", func() bool { return page.shared.sleep.Load() == 0 })
	page.shared.cursor.Store(p.Totals().Head) // it has read all of it
	if err := <-claimed; err != nil || c.Stats().Evicted {
		t.Errorf("%v, %+v", err, c.Stats())
	}
	r.Abort()
	if p.Delivery().Stalls != 1 || p.Delivery().Waiting != 0 {
		t.Errorf("%+v", p.Delivery())
	}
}
