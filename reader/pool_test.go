// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// These tests run on synthetic time: real maps, real scans, and a clock that
// moves only when everybody waits. A scan takes as long as its destination says.

// slow is a destination that takes its time, and watches for overlap.
type slow struct {
	*readertest.Memory
	takes   time.Duration
	running atomic.Int32
	scans   atomic.Int32
	starts  gaps
}

func (d *slow) Commit(f reader.Frame) {
	if d.running.Add(1) > 1 {
		panic("two scans of one source at the same time")
	}
	time.Sleep(d.takes)
	d.Memory.Commit(f)
	d.running.Add(-1)
	d.scans.Add(1)
}

// inPool runs f on synthetic time with a fresh pool, which is stopped after it.
func inPool(t *testing.T, o reader.PoolOptions, f func(t *testing.T, p *reader.Pool)) {
	bpftest.RequireRoot(t)
	synctest.Test(t, func(t *testing.T) {
		p := reader.NewPoolOnWallTime(o)
		defer p.Stop(context.Background()) // also when f gives up
		f(t, p)
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := p.Add(reader.Job{Source: new(reader.Source), Destination: &slow{}, Every: 1}); !errors.Is(err, reader.ErrStopped) {
			t.Errorf("add to a stopped pool: %v", err)
		}
	})
}

// add gives the pool a one-frame source.
func add(t *testing.T, p *reader.Pool, every, takes time.Duration) (*reader.Task, *slow) {
	t.Helper()
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 8})
	s, err := reader.Open(pin, reader.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &slow{Memory: readertest.New(t, 4096), takes: takes}
	d.OnClaim = d.starts.note
	task, err := p.Add(reader.Job{Source: s, Destination: d, Every: every})
	if err != nil {
		t.Fatal(err)
	}
	return task, d
}

// after lets synthetic time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestPoolKeepsCadence(t *testing.T) {
	inPool(t, reader.PoolOptions{}, func(t *testing.T, p *reader.Pool) {
		fast, _ := add(t, p, 10*time.Millisecond, 0)
		slow, _ := add(t, p, 30*time.Millisecond, 0)
		after(305 * time.Millisecond)
		if f, s := fast.Stats(), slow.Stats(); f.Scans != 31 || s.Scans != 11 || f.LateP99 != 0 || f.Errors+s.Errors != 0 {
			t.Errorf("fast %+v\nslow %+v", f, s)
		}
		if last := fast.Stats().Last; last.Rows != 8 || last.Frames != 1 {
			t.Errorf("%+v", last)
		}
	})
}

func TestPoolIdlesUntilWanted(t *testing.T) {
	inPool(t, reader.PoolOptions{Idle: true}, func(t *testing.T, p *reader.Pool) {
		task, d := add(t, p, time.Second, 0)
		task.Force()
		after(time.Hour)
		if n := d.scans.Load(); n != 0 || p.Stats().Active {
			t.Fatalf("%d scans while idle", n)
		}
		p.SetActive(true)
		synctest.Wait()
		if n := d.scans.Load(); n != 1 {
			t.Fatalf("%d scans right after becoming active", n)
		}
		after(10 * time.Second)
		p.SetActive(false)
		if n := d.scans.Load(); n != 11 {
			t.Errorf("%d scans in ten seconds", n)
		}
		after(time.Hour)
		if n := d.scans.Load(); n != 11 {
			t.Errorf("%d scans after going idle", n)
		}
		// The hour of idleness is no lateness.
		p.SetActive(true)
		synctest.Wait()
		if late := task.Stats().LateP99; late > time.Second {
			t.Errorf("late by %v", late)
		}
	})
}

func TestPoolForce(t *testing.T) {
	inPool(t, reader.PoolOptions{Duty: 10}, func(t *testing.T, p *reader.Pool) {
		task, d := add(t, p, time.Hour, time.Second)
		after(500 * time.Millisecond) // in the middle of the first scan
		task.Force()
		task.Force()
		after(time.Second)
		if n := d.scans.Load(); n != 1 || d.running.Load() != 1 {
			t.Fatalf("%d scans done, %d running; the forced one must follow the running one", n, d.running.Load())
		}
		after(10 * time.Second)
		if n := d.scans.Load(); n != 2 {
			t.Errorf("%d scans", n)
		}
		p.Force()
		after(2 * time.Second)
		if n := d.scans.Load(); n != 3 {
			t.Errorf("%d scans", n)
		}
	})
}

func TestPoolStaysWithinDuty(t *testing.T) {
	inPool(t, reader.PoolOptions{Duty: 0.2}, func(t *testing.T, p *reader.Pool) {
		task, d := add(t, p, 100*time.Millisecond, 50*time.Millisecond)
		other, _ := add(t, p, 100*time.Millisecond, 0)
		after(20 * time.Second)
		ps, ts := p.Stats(), task.Stats()
		if ps.Busy > 5*time.Second || ps.Stretch < 2.4 || ps.Stretch > 2.6 || ps.Demand < 0.49 || ps.Demand > 0.51 {
			t.Errorf("%+v", ps)
		}
		if n := d.scans.Load(); n < 78 || n > 84 || ts.Effective < 240*time.Millisecond || ts.Every != 100*time.Millisecond {
			t.Errorf("%d scans, %+v", n, ts)
		}
		// One worker is busy half the time at most; the small source is not late.
		if late := other.Stats().LateP99; late != 0 {
			t.Errorf("the small source is late by %v", late)
		}
	})
}

func TestPoolNeverScansTwiceAtOnce(t *testing.T) {
	inPool(t, reader.PoolOptions{Duty: 100}, func(t *testing.T, p *reader.Pool) {
		task, d := add(t, p, time.Millisecond, 10*time.Millisecond) // panics on overlap
		after(105 * time.Millisecond)
		if n := d.scans.Load(); n != 10 {
			t.Errorf("%d scans", n)
		}
		// The second scan was due 9 ms before it could start, and no scan
		// whose time had passed was made up for.
		if late := task.Stats().LateP99; late > 10*time.Millisecond {
			t.Errorf("late by %v", late)
		}
	})
}

func TestPoolRemoveWaitsForTheScan(t *testing.T) {
	inPool(t, reader.PoolOptions{}, func(t *testing.T, p *reader.Pool) {
		task, d := add(t, p, time.Hour, time.Second)
		after(time.Millisecond)
		task.Remove()
		if d.scans.Load() != 1 || d.running.Load() != 0 {
			t.Error("removed while it was scanned")
		}
		task.Remove() // harmless
		after(3 * time.Hour)
		if d.scans.Load() != 1 {
			t.Error("scanned after it was removed")
		}
	})
}

func TestPoolStopDrainsThenInterrupts(t *testing.T) {
	bpftest.RequireRoot(t)
	synctest.Test(t, func(t *testing.T) {
		p := reader.NewPool(reader.PoolOptions{})
		_, d := add(t, p, time.Hour, time.Second)
		after(time.Millisecond)
		if err := p.Stop(context.Background()); err != nil || d.scans.Load() != 1 {
			t.Errorf("drain: %v, %d scans", err, d.scans.Load())
		}

		p = reader.NewPool(reader.PoolOptions{Idle: true})
		_, stuck := add(t, p, time.Hour, 0)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		waiting := make(chan struct{})
		stuck.OnClaim = func() error { // a ring without room
			close(waiting)
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return context.Canceled
		}
		p.SetActive(true)
		<-waiting
		if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || stuck.scans.Load() != 0 {
			t.Errorf("interrupt: %v", err)
		}

		p = reader.NewPool(reader.PoolOptions{Idle: true})
		_, hangs := add(t, p, time.Hour, 0)
		begun, comes := make(chan struct{}), make(chan struct{})
		hangs.OnClaim = func() error { // a call that does not return
			close(begun)
			<-comes
			return context.Canceled
		}
		p.SetActive(true)
		<-begun
		if err := p.Stop(ctx); !errors.Is(err, reader.ErrHangs) {
			t.Errorf("hangs: %v", err)
		}
		close(comes)
		if err := p.Stop(context.Background()); err != nil {
			t.Errorf("once it has come back: %v", err)
		}
	})
}

func TestPoolFollowsReplacedPin(t *testing.T) {
	inPool(t, reader.PoolOptions{}, func(t *testing.T, p *reader.Pool) {
		_, pin := bpftest.NewPinned(t, "flows", &small)
		s, err := reader.Open(pin, reader.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before, afterwards := &slow{Memory: readertest.New(t, 4096)}, &slow{Memory: readertest.New(t, 4096)}
		var fail atomic.Bool
		fail.Store(true)
		task, err := p.Add(reader.Job{
			Source: s, Destination: before, Every: time.Second,
			OnReplaced: func(old *reader.Source) (*reader.Source, reader.Destination, error) {
				if fail.Load() {
					return nil, nil, errors.New("not yet")
				}
				next, err := reader.Open(old.Info().Pin, reader.Options{})
				return next, afterwards, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		after(1500 * time.Millisecond)
		id := task.Stats().Info.MapID
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		bpftest.Pin(t, bpftest.NewMap(t, &small), filepath.Dir(pin), "flows")
		after(time.Second)
		if st := task.Stats(); st.Replaced != 0 || st.Errors != 1 || !st.Failing || st.LastError == nil || st.Scans != 3 || st.Info.PinState != reader.Replaced {
			t.Errorf("while the new map cannot be opened: %+v", st)
		}
		fail.Store(false)
		after(2 * time.Second)
		st := task.Stats()
		if st.Replaced != 1 || st.Failing || st.Info.MapID == id || st.Info.PinState != reader.Pinned {
			t.Errorf("%+v", st)
		}
		if before.scans.Load() != 3 || afterwards.scans.Load() != 2 {
			t.Errorf("%d scans before, %d after", before.scans.Load(), afterwards.scans.Load())
		}
	})
}
