// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// A consumer gets three descriptors. This is everything that it may try with
// them, as an ordinary user and as root, while another one reads.
func TestConsumerCannotHarmTheRing(t *testing.T) {
	for _, uid := range []int{bpftest.Nobody, 0} {
		t.Run(fmt.Sprint("uid ", uid), func(t *testing.T) {
			s := open(t, settings{})
			s.busy(t)
			p := bpftest.StartRole(t, uid, nil, "attacker", s.path)
			p.Expect(t, "attacked")
			s.statsStayPossible(t)
			if err := p.Finish(); err != nil {
				t.Error(err)
			}
			s.until(t, "detach", func(leases, _ int) bool { return leases == 1 })
		})
	}
}

// statsStayPossible asserts that no consumer's line can show nonsense.
func (s *stand) statsStayPossible(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		st, total := l.Consumer.Stats(), s.publisher.Totals()
		if st.LagRows > total.Rows || st.LagFrames > total.Frames || st.LostRows > total.Rows || st.LostFrames > total.Frames || st.Laps > total.Frames {
			t.Errorf("%s: %+v of %+v", l.Name, st, total)
		}
	}
}

func init() { roles["attacker"] = playAttacker }

// lent is what a consumer receives, before a library has looked at it.
type lent struct {
	conn             *Conn
	ring, page, bell *os.File
}

func takeRaw(path string) (*lent, error) {
	ctx := context.Background()
	c, err := Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	r := AttachRequest{Ring: "main", Consumer: "attacker"}
	request, err := r.encode()
	if err != nil {
		return nil, err
	}
	done, err := c.begin(ctx, request)
	if err != nil {
		return nil, err
	}
	defer done()
	_, files, err := c.receive(ctx, typeAttach)
	if err != nil {
		return nil, err
	}
	return &lent{conn: c, ring: files[0], page: files[1], bell: files[2]}, nil
}

func playAttacker(args []string) error {
	done := bpftest.RoleMayEnd()
	l, err := takeRaw(args[0])
	if err != nil {
		return err
	}
	if err := attackRing(int(l.ring.Fd()), "the lent descriptor", unix.EBADF); err != nil {
		return err
	}
	// Root may open anything, but not undo a seal.
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", l.ring.Fd()), unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case err == nil && os.Geteuid() != 0:
		return errors.New("the ring could be opened for writing")
	case err == nil:
		err = attackRing(again, "the reopened ring", unix.EPERM)
	case os.Geteuid() != 0 && errors.Is(err, unix.EACCES):
		err = nil
	}
	if err != nil {
		return err
	}
	if err := attackPage(int(l.page.Fd())); err != nil {
		return err
	}
	if err := attackBell(l); err != nil {
		return err
	}
	fmt.Println("attacked")
	<-done
	return nil
}

// attackRing expects every way to change the memory to fail, write(2) with a
// particular error.
func attackRing(fd int, what string, write error) error {
	mustFail := func(how string, err error, want ...error) error {
		for _, w := range want {
			if errors.Is(err, w) {
				return nil
			}
		}
		return fmt.Errorf("%s through %s: got %v, expected one of %v", how, what, err, want)
	}
	_, wrote := unix.Pwrite(fd, []byte{1}, 0)
	writable, mapped := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if mapped == nil {
		unix.Munmap(writable)
	}
	readable, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(readable)
	const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	_, sealed := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	return errors.Join(
		mustFail("write", wrote, write),
		mustFail("writable mapping", mapped, unix.EACCES, unix.EPERM),
		mustFail("mprotect", unix.Mprotect(readable, unix.PROT_READ|unix.PROT_WRITE), unix.EACCES, unix.EPERM),
		mustFail("truncate", unix.Ftruncate(fd, 0), unix.EINVAL, unix.EPERM),
		mustFail("grow", unix.Ftruncate(fd, 1<<40), unix.EINVAL, unix.EPERM),
		mustFail("punch", unix.Fallocate(fd, punch, 0, 1<<20), unix.EBADF, unix.EPERM),
		mustFail("zero", unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20), unix.EBADF, unix.EPERM, unix.EOPNOTSUPP),
		mustFail("MADV_REMOVE", unix.Madvise(readable, unix.MADV_REMOVE), unix.EACCES, unix.EPERM, unix.EINVAL),
		mustFail("seal", sealed, unix.EPERM),
	)
}

// attackPage does to the own page what is allowed and what is not. Nothing of
// it may matter to anybody else.
func attackPage(fd int) error {
	if err := unix.Ftruncate(fd, 0); !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("truncate the control page: got %v", err)
	}
	b, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(b)
	for _, absurd := range []uint64{math.MaxUint64, 1 << 63, 1, 0} {
		for off := 0; off < len(b); off += 8 {
			putWord(b, off, absurd)
		}
		if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); err != nil {
			return err
		}
	}
	for off := 0; off < len(b); off += 8 {
		putWord(b, off, math.MaxUint64) // and leave it so, the sleep flag raised
	}
	return nil
}

// A consumer that raises its flag all the time and never reads its socket
// costs what its tokens allow, and the others nothing.
func TestConsumerFlickers(t *testing.T) {
	s := open(t, settings{})
	s.busy(t)
	p := bpftest.StartRole(t, bpftest.Nobody, nil, "flicker", s.path)
	p.Expect(t, "flickered")
	if err := p.Finish(); err != nil {
		t.Error(err)
	}
}

func init() { roles["flicker"] = playFlicker }

func playFlicker(args []string) error {
	a, err := dialAndAttach(args[0])
	if err != nil {
		return err
	}
	defer a.Close()
	const turns = 16
	for from := a.Ring.Head(); a.Ring.Head()-from < turns*a.Ring.Geometry().DataBytes; {
		a.Page.Sleep()
	}
	fmt.Println("flickered")
	return nil
}

func dialAndAttach(path string) (*Attachment, error) {
	c, err := Dial(context.Background(), path)
	if err != nil {
		return nil, err
	}
	return c.Attach(context.Background(), AttachRequest{Ring: "main"})
}
