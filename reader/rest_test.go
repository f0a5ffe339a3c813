// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringside-bpf/ringside/reader"
)

// One source rests while another is read, and is due at once when it is wanted
// again, however long that was.
func TestTaskRestsByItself(t *testing.T) {
	inPool(t, reader.PoolOptions{}, func(t *testing.T, p *reader.Pool) {
		rests, resting := add(t, p, time.Minute, 0)
		_, reading := add(t, p, time.Second, 0)
		synctest.Wait()
		rests.SetActive(false)
		rests.Force() // a wish for what nobody wants
		after(time.Hour)
		if n, m := resting.scans.Load(), reading.scans.Load(); n != 1 || m != 3601 || rests.Stats().Active {
			t.Fatalf("%d scans of what rests, %d of the other", n, m)
		}
		rests.SetActive(true)
		synctest.Wait()
		if n := resting.scans.Load(); n != 2 {
			t.Fatalf("%d scans right after becoming active", n)
		}
		rests.SetActive(true) // no news
		synctest.Wait()
		if st := rests.Stats(); st.Scans != 2 || st.LateP99 != 0 || !st.Active {
			t.Errorf("%+v", st)
		}
	})
}

// A scan that runs is finished, and none follows.
func TestTaskFinishesBeforeItRests(t *testing.T) {
	inPool(t, reader.PoolOptions{Duty: 10}, func(t *testing.T, p *reader.Pool) {
		task, d := add(t, p, 10*time.Millisecond, time.Second)
		after(time.Millisecond)
		task.SetActive(false)
		after(time.Hour)
		if n := d.scans.Load(); n != 1 {
			t.Fatalf("%d scans", n)
		}
	})
}

// What rests or is gone takes no part of the duty and stretches nobody's
// interval.
func TestShareOfWhatRestsIsFree(t *testing.T) {
	inPool(t, reader.PoolOptions{Duty: 0.2}, func(t *testing.T, p *reader.Pool) {
		task, _ := add(t, p, 100*time.Millisecond, 50*time.Millisecond)
		after(5 * time.Second)
		if s := p.Stats(); s.Stretch < 2 || s.Demand < 0.4 {
			t.Fatalf("not stretched: %+v", s)
		}
		task.SetActive(false)
		if s := p.Stats(); s.Stretch != 1 || s.Demand != 0 {
			t.Errorf("at rest: %+v", s)
		}
		task.SetActive(true)
		if s := p.Stats(); s.Stretch < 2 {
			t.Errorf("active again: %+v", s)
		}
		task.Remove()
		if s := p.Stats(); s.Stretch != 1 || s.Demand != 0 {
			t.Errorf("removed: %+v", s)
		}
	})
}
