// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// leasePackets is how many packets a client may send on its lease, where it has
// nothing to say: enough to be told so, few enough to cost nothing.
const leasePackets = 16

// conn is the server's side of one connection: some questions, then at most one
// ATTACH, which makes it a lease.
type conn struct {
	socket  *socket
	peer    Peer
	handler Handler
	timeout time.Duration
	meter   *meter
	lease   *Lease
}

// serve answers requests until the client leaves, breaks the protocol, talks on
// its lease or, as long as it has none, takes too long.
func (c *conn) serve(ctx context.Context) {
	defer c.detach()
	if err := c.welcome(ctx); err != nil {
		return
	}
	for onLease := 0; ; {
		c.socket.until(c.deadline())
		r, wrong := c.receive()
		var refused *Refusal
		if wrong != nil && !errors.As(wrong, &refused) {
			return
		}
		if c.lease != nil {
			if onLease++; onLease > leasePackets {
				return
			}
		}
		if err := errors.Join(c.pace(ctx), wrong); errors.As(err, &refused) {
			// A client that does not speak the protocol is told so, once.
			c.answer(refusal(r.kind, refused), nil)
			return
		} else if err != nil {
			return
		}
		if err := c.reply(r); err != nil {
			return
		}
	}
}

// deadline of the next request: a lease may be silent for as long as it likes.
func (c *conn) deadline() time.Time {
	if c.lease != nil {
		return time.Time{}
	}
	return time.Now().Add(c.timeout)
}

// welcome makes a client that connects too often wait before anything is done
// for it.
func (c *conn) welcome(ctx context.Context) (err error) {
	var refused *Refusal
	if err = c.pace(ctx); errors.As(err, &refused) {
		c.turnAway(refused)
	}
	if err == nil {
		c.peer.Groups, err = groupsOf(c.socket.raw)
	}
	return err
}

// pace takes the client's token for a connection or a request, and waits for it
// as long as for the client itself. The number of connections of a uid bounds
// how many wait.
func (c *conn) pace(ctx context.Context) error {
	pause, ok := c.meter.take(c.peer.UID, time.Now(), c.timeout)
	if pause > 0 {
		wait(ctx, pause)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !ok:
		return Refuse(syscall.EUSERS, "%v: uid %d asks more than %d times a second; ask less often", ErrBusy, c.peer.UID, time.Second/price)
	}
	return nil
}

// receive reads one request. It has no room for descriptors, so the kernel
// drops those that a client attaches, and they never become ours.
func (c *conn) receive() (request, error) {
	var b [attachBytes]byte // the largest request; the kernel says if there was more
	n, _, flags, err := c.socket.receive(b[:], nil)
	switch {
	case err != nil:
		return request{}, err
	case n == 0:
		return request{}, io.EOF
	case flags&unix.MSG_TRUNC != 0:
		return request{}, Refuse(syscall.EMSGSIZE, "request has more than %d bytes", attachBytes)
	case flags&unix.MSG_CTRUNC != 0:
		return request{}, Refuse(syscall.EPROTO, "a request carries no descriptors")
	}
	return decodeRequest(b[:n])
}

func (c *conn) reply(r request) error {
	switch {
	case c.lease != nil:
		return c.answer(refusal(r.kind, Refuse(syscall.EISCONN, "this connection is a lease: ask on another one")), nil)
	case r.kind == typeAttach:
		return c.attach(r.attach)
	case r.kind == typeStatus:
		doc, err := c.handler.Status(c.peer)
		return c.document(r.kind, doc, err)
	case r.kind == typeReload, r.kind == typeTakeover:
		doc, err := c.command(r.kind)
		return c.document(r.kind, doc, err)
	}
	names, err := c.handler.Rings(c.peer)
	doc := []byte(strings.Join(names, "\x00"))
	if len(names) > 0 {
		doc = append(doc, 0)
	}
	return c.document(r.kind, doc, err)
}

// document sends doc in as many packets as it takes.
func (c *conn) document(kind uint16, doc []byte, err error) error {
	if err != nil {
		return c.answer(refusal(kind, asRefusal(err)), nil)
	}
	a := answer{kind: kind | typeAnswer, total: uint64(len(doc))}
	for {
		a.payload = doc[a.offset:min(a.offset+chunkBytes, a.total)]
		if err := c.answer(&a, nil); err != nil {
			return err
		}
		if a.offset += uint64(len(a.payload)); a.offset == a.total {
			return nil
		}
	}
}

// attach makes the connection a lease, or says why not and leaves it as it is.
func (c *conn) attach(r AttachRequest) error {
	p, source, err := c.handler.Attach(c.peer, r)
	if err != nil {
		return c.answer(refusal(typeAttach, asRefusal(err)), nil)
	}
	consumer, pos, err := p.Attach(r.Start, source, c.peer.UID)
	if err != nil {
		return c.answer(refusal(typeAttach, asRefusal(err)), nil)
	}
	g := p.Geometry()
	c.lease = &Lease{
		Peer: c.peer, Name: r.Consumer, Ring: g.Name, Source: source,
		AttachedAt: time.Now(), Publisher: p, Consumer: consumer, conn: c,
	}
	c.handler.Attached(c.lease)
	granted := grant{source: source, epoch: g.Epoch, pos: pos, ringBytes: g.TotalBytes}
	payload := granted.encode()
	return c.grant(&answer{kind: typeAttach | typeAnswer, total: uint64(len(payload)), payload: payload})
}

// hangUp ends the connection; serve notices. It may be called from anywhere.
func (c *conn) hangUp() { c.socket.close() }

// grant sends the answer with its descriptors: the ring, the page, the bell.
func (c *conn) grant(a *answer) error {
	l := c.lease
	return holding([]*os.File{l.Publisher.File(), l.Consumer.File(), l.Consumer.Bell()}, nil, func(fds []int) error {
		return c.answer(a, unix.UnixRights(fds...))
	})
}

// holding has files held while do has their descriptors: a number that was closed
// and used again must not go out.
func holding(files []*os.File, fds []int, do func(fds []int) error) error {
	if len(files) == 0 {
		return do(fds)
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return err
	}
	held := raw.Control(func(fd uintptr) {
		err = holding(files[1:], append(fds, int(fd)), do)
	})
	return errors.Join(held, err)
}

func (c *conn) detach() {
	if c.lease == nil {
		return
	}
	c.hangUp()
	c.handler.Detached(c.lease)
	c.lease.Consumer.Detach()
}

// answer sends one packet, and waits no longer than the client's timeout for
// room in its socket.
func (c *conn) answer(a *answer, rights []byte) error {
	c.socket.until(time.Now().Add(c.timeout))
	return c.socket.send(a.encode(nil), rights)
}

// turnAway tells a client why it is not served. It does not wait; the caller
// closes.
func (c *conn) turnAway(r *Refusal) {
	b := refusal(0, r).encode(nil)
	// A fresh socket has room; and if not, it learns nothing.
	_ = c.socket.raw.Control(func(fd uintptr) {
		_ = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	})
}

// asRefusal keeps the number of a Refusal and finds one for what shm says.
func asRefusal(err error) *Refusal {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, shm.ErrClosed):
		return Refuse(syscall.EAGAIN, "the ring is just being replaced: try again")
	case errors.Is(err, shm.ErrBarred):
		return Refuse(syscall.EBUSY, "%v", err)
	case exhausted(err):
		return Refuse(syscall.EAGAIN, "the sidecar has no room just now (%v): try again; if it lasts, raise its limit of open files", err)
	}
	return Refuse(syscall.EIO, "%v", err)
}
