// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// listener waits for a bell as a client does: edge-triggered.
type listener struct {
	t  testing.TB
	ep int
}

func listen(t testing.TB, bell *os.File) *listener {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ep) })
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(bell.Fd()), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}); err != nil {
		t.Fatal(err)
	}
	l := &listener{t, ep}
	l.rung(0) // it is readable from the beginning
	return l
}

// rung reports whether the bell was rung since it was asked last, and waits for
// that for at most so many milliseconds.
func (l *listener) rung(patience int) bool {
	l.t.Helper()
	for {
		n, err := unix.EpollWait(l.ep, make([]unix.EpollEvent, 1), patience)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			l.t.Fatal(err)
		}
		return n > 0
	}
}

func (l *listener) expect(want bool, when string) {
	l.t.Helper()
	if got := l.rung(0); got != want {
		l.t.Errorf("%s: rung %v, want %v", when, got, want)
	}
}

func TestSleeperIsRungOnceAndOnlyForNews(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	bell := listen(t, c.Bell())

	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	bell.expect(false, "an awake consumer")
	page.Sleep()
	p.Beat()
	bell.expect(false, "a quiet ring")
	publishRows(t, r, 0, 1, FlagFirst)
	bell.expect(false, "the middle of a scan")
	publishRows(t, r, 0, 1, FlagLast)
	bell.expect(true, "the end of a scan")
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	bell.expect(false, "a consumer that was rung and has not slept since")
	page.Sleep()
	publishRows(t, r, 0, 1, FlagFirst)
	p.Beat()
	bell.expect(true, "a scan that does not end by itself")
	page.Sleep()
	if err := p.Finish(t.Context(), StateEnded); err != nil {
		t.Fatal(err)
	}
	bell.expect(true, "the end of the ring")
}

// The end of the sidecar rings, too, whatever it comes by: the kernel closes A.
func TestBellRingsWhenItsOwnerIsGone(t *testing.T) {
	b, err := newBell()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	l := listen(t, b.file)
	unix.Close(b.fd)
	l.expect(true, "A was closed")
	b.fd = -1
	b.file.Close()
}

func TestBellIsOfOneUser(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	var bells [2]*listener
	var pages [2]*ControlPage
	for uid := range uint32(2) {
		a, _, err := p.Attach(StartHead, AnySource, uid)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := p.Attach(StartHead, AnySource, uid)
		if err != nil {
			t.Fatal(err)
		}
		if a.Bell() != b.Bell() {
			t.Errorf("uid %d has two bells", uid)
		}
		a.Detach() // the other one goes on
		bells[uid] = listen(t, b.Bell())
		if pages[uid], err = OpenControlPage(b.File()); err != nil {
			t.Fatal(err)
		}
		defer pages[uid].Close()
		defer b.Detach()
	}
	pages[1].Sleep()
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	bells[0].expect(false, "a user of whom nobody sleeps")
	bells[1].expect(true, "the user of the sleeper")
	if len(p.bells) != 2 {
		t.Errorf("%d bells of two users", len(p.bells))
	}
}

// Whoever gets B can ring it, and do nothing else that another holder notices.
func TestHolderCannotChangeTheBell(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	other := listen(t, c.Bell())
	b := int(c.Bell().Fd())
	for range 100 {
		if n, err := unix.Read(b, make([]byte, 8)); n != 0 || err != nil {
			t.Fatalf("read: %d bytes, %v", n, err)
		}
		if err := unix.Sendto(b, []byte("x"), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil); err != unix.EPIPE {
			t.Fatalf("send: %v", err)
		}
		for _, err := range []error{unix.Listen(b, 1), unix.Connect(b, &unix.SockaddrUnix{Name: "@nobody"})} {
			if err == nil {
				t.Fatal("B listens or connects")
			}
		}
	}
	other.expect(false, "a holder that does what it can")
	if err := unix.Shutdown(b, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	other.expect(true, "a holder that rings")
	page.Sleep()
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	other.expect(true, "the end of a scan after that")
}

// Who sleeps, and finds no token left, is rung as soon as there is one: nobody else
// may have anything to publish.
func TestRingIsGivenWhenThereIsAToken(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	bell := listen(t, c.Bell())
	for range 3 {
		c.bell.mu.Lock()
		c.bell.bucket.ready = monotonic.Now() + ringBurst*ringInterval
		c.bell.mu.Unlock()
		page.Sleep()
		publishRows(t, r, 0, 1, FlagFirst|FlagLast)
		if !bell.rung(60_000) {
			t.Fatal("it was not given")
		}
	}
}

// Without a token nobody is rung, by heartbeats neither.
func TestRingThatIsHeldBack(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	bell := listen(t, c.Bell())
	c.bell.bucket.ready = monotonic.Now() + uint64(time.Hour)
	page.Sleep()
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	p.Beat()
	bell.expect(false, "no token")
}

// Whoever sleeps on a quiet ring is left alone by heartbeats, also if the last ring
// of its bell took long.
func TestHeartbeatsRingNobody(t *testing.T) {
	p := newTestRing(t, 16<<10)
	c, page, _ := attach(t, p, StartHead)
	bell := listen(t, c.Bell())
	c.bell.slow.Store(true)
	page.Sleep()
	p.Beat()
	if bell.rung(100) {
		t.Error("rung, without anything to read")
	}
}

func TestFlickeringSleeperCannotCostMuch(t *testing.T) {
	b, now, taken := bucket{}, uint64(5_000_000_000), 0
	for range 1000 {
		if b.take(now) {
			taken++
		}
	}
	if taken != ringBurst {
		t.Errorf("%d rings at once, want %d", taken, ringBurst)
	}
	if b.take(now + ringInterval/2) {
		t.Error("a ring before the next is due")
	}
	if !b.take(now + ringInterval) {
		t.Error("no ring when one is due")
	}
	b.charge(time.Second)
	if b.take(now + uint64(time.Second)/2) {
		t.Error("a ring in the time that was charged for")
	}
}

// A user who has the kernel call on thousands of waiters is rung aside, less
// often, and still rung.
func TestBellThatIsSlowToRing(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
	honest, _, err := p.Attach(StartHead, AnySource, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Detach()
	bell, other := listen(t, c.Bell()), listen(t, honest.Bell())
	watch(t, int(c.Bell().Fd()), 200, 200)
	for i := range 2 {
		page.Sleep()
		publishRows(t, r, uint64(i), 1, FlagFirst|FlagLast)
		if !bell.rung(30_000) {
			t.Fatal("not rung")
		}
	}
	c.bell.mu.Lock()
	over, ready := c.bell.over, c.bell.bucket.ready
	c.bell.mu.Unlock()
	if over == 0 || !c.bell.slow.Load() || ready < monotonic.Now() {
		t.Errorf("ring took %v too long, slow %v, charged %v", over, c.bell.slow.Load(), time.Duration(ready))
	}
	page.Sleep()
	honest.shared.sleep.Store(1)
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	other.expect(true, "the other user, at once")
	for deadline := time.Now().Add(30 * time.Second); !bell.rung(10); p.Beat() {
		if time.Now().After(deadline) {
			t.Fatal("a slow bell is not rung any more")
		}
	}
}

// Who is slow to ring every now and then pays nearly as who always is; a ring that
// lost its processor once costs nothing.
func TestBellThatIsSlowNowAndThen(t *testing.T) {
	for every, least := range map[int]time.Duration{2: 15, 5: 10, 10: 5, 1000: 0} {
		b := bell{}
		for i := range 1000 {
			over := time.Duration(0)
			if i%every == every-1 {
				over = time.Millisecond
			}
			b.account(over)
		}
		slow := 1000 / time.Duration(every)
		if charged := time.Duration(b.bucket.ready); charged < least*(slow-1)*time.Millisecond || every == 1000 && charged != 0 {
			t.Errorf("each %d.: charged %v", every, charged)
		}
	}
}

// watch has every one of n epoll instances wait for each of m copies of a
// descriptor.
func watch(t testing.TB, fd, n, m int) {
	t.Helper()
	copies := make([]int, m)
	for i := range copies {
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		copies[i] = c
		t.Cleanup(func() { unix.Close(c) })
	}
	for range n {
		ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(ep) })
		for _, c := range copies {
			if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestManySleepersAreAllRung(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	const consumers = 64
	bells := make([]*listener, consumers)
	for i := range bells {
		c, _, err := p.Attach(StartHead, AnySource, uint32(i%3))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Detach()
		bells[i] = listen(t, c.Bell())
		c.shared.sleep.Store(1)
	}
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	for i, b := range bells {
		if !b.rung(30_000) {
			t.Errorf("consumer %d was not rung", i)
		}
	}
}

// A producer that was held up behind its last commit rings when the ring is
// closed already.
func TestRingThatComesAfterTheEndIsNone(t *testing.T) {
	p, err := Create(Config{Name: "late", DataBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for range directRings + 1 { // enough for the notifier
		if _, _, err := p.Attach(StartHead, AnySource, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Finish(t.Context(), StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.ringSleepers()
	p.ringAll()
}

// BenchmarkRing is what waking one sleeper costs whoever publishes, beside what
// publishing costs.
func BenchmarkRing(b *testing.B) {
	bell, err := newBell()
	if err != nil {
		b.Fatal(err)
	}
	defer bell.close()
	l := listen(b, bell.file)
	for b.Loop() {
		bell.strike(1)
	}
	l.expect(true, "the end")
}
