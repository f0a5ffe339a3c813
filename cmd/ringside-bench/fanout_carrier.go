// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

// carrier brings frames to all consumers.
type carrier interface {
	send(ctx context.Context, frame []byte, f reader.Frame) error
}

// inMemory are the rows of a scan as a reader has them: a frame at a time, in
// scratch that is used for all frames. Here it holds the same rows for each.
type inMemory struct {
	frames  []reader.Frame
	scratch []byte
	rows    int
}

// layOut makes rows as they are in a filled map, columns first, as a scan
// makes them.
func layOut(rows, perFrame int) *inMemory {
	most := min(rows, perFrame)
	at := (most*keyBytes + 63) &^ 63
	m := &inMemory{rows: rows, scratch: make([]byte, at+most*valueBytes)}
	for i := range most {
		binary.LittleEndian.PutUint32(m.scratch[i*keyBytes:], uint32(i))
		binary.LittleEndian.PutUint64(m.scratch[at+i*valueBytes:], uint64(i))
	}
	for first := 0; first < rows; first += perFrame {
		n := min(perFrame, rows-first)
		m.frames = append(m.frames, reader.Frame{Rows: n, Length: at + n*valueBytes, Keys: reader.Column{Stride: keyBytes}, Keyframe: true,
			Values: reader.Column{Offset: at, Stride: valueBytes}, First: first == 0, Last: first+n == rows})
	}
	return m
}

// send gives one scan to everybody.
func (m *inMemory) send(ctx context.Context, to carrier, scan uint64) (rows int, err error) {
	for _, f := range m.frames {
		f.Scan = scan
		if err := to.send(ctx, m.scratch[:f.Length], f); err != nil {
			return 0, err
		}
	}
	return m.rows, nil
}

// ringCarrier copies frames into a ring, once for everybody.
type ringCarrier struct{ into *published }

func (c ringCarrier) send(ctx context.Context, frame []byte, f reader.Frame) error {
	to, err := c.into.Claim(ctx, len(frame), len(frame))
	if err != nil {
		return err
	}
	c.into.Fill(to, frame)
	c.into.Commit(f)
	return nil
}

// numbered is a ring whose scans have the numbers that consumers are told.
type numbered struct {
	*published
	scan uint64
}

// Commit implements reader.Destination.
func (n *numbered) Commit(f reader.Frame) {
	f.Scan = n.scan
	n.published.Commit(f)
}

// carried is memory of our own from which every frame is sent on at once.
type carried struct {
	*private
	ctx  context.Context
	to   carrier
	scan uint64
	err  error
}

// Commit implements reader.Destination.
func (c *carried) Commit(f reader.Frame) {
	f.Scan = c.scan
	if c.err == nil {
		c.err = c.to.send(c.ctx, c.mem[c.at:c.at+f.Length], f)
	}
	c.private.Commit(f)
}

// headerBytes stand before every frame on a socket: rows, bytes, keys and their
// stride, values and theirs, and the number of the scan with a bit for its end.
const headerBytes = 32

// putHeader says what frame follows; getHeader is the other end.
func putHeader(b []byte, f reader.Frame) {
	for i, v := range [...]int{f.Rows, f.Length, f.Keys.Offset, f.Keys.Stride, f.Values.Offset, f.Values.Stride} {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(v))
	}
	scan := f.Scan << 1
	if f.Last {
		scan |= 1
	}
	binary.LittleEndian.PutUint64(b[24:], scan)
}

func getHeader(b []byte) (f reader.Frame) {
	word := func(i int) int { return int(binary.LittleEndian.Uint32(b[4*i:])) }
	f = reader.Frame{Rows: word(0), Length: word(1),
		Keys: reader.Column{Offset: word(2), Stride: word(3)}, Values: reader.Column{Offset: word(4), Stride: word(5)}}
	scan := binary.LittleEndian.Uint64(b[24:])
	f.Scan, f.Last = scan>>1, scan&1 != 0
	return f
}

// sumFrame looks at every row of a frame that came over a socket.
func sumFrame(b []byte, f reader.Frame) uint64 {
	return sumOf(b[f.Keys.Offset:], f.Keys.Stride, b[f.Values.Offset:], f.Values.Stride, f.Rows)
}

// sumOf looks at three words of every row, as total does.
func sumOf(keys []byte, keyStride int, values []byte, valueStride, rows int) uint64 {
	sum := uint64(0)
	for i := range rows {
		v := values[i*valueStride:][:16:16]
		sum += uint64(binary.LittleEndian.Uint32(keys[i*keyStride:])) + binary.LittleEndian.Uint64(v) + binary.LittleEndian.Uint64(v[8:])
	}
	return sum
}

// sockets are one connection to each consumer. The calls are the kernel's own,
// blocking: nothing of Go's network poller is in the figures.
type sockets struct {
	to     []int
	header [headerBytes]byte
}

// socketBytes is the buffer of a connection. Smaller and larger ones, up to whole
// scans, cost the same or more.
const socketBytes = 1 << 20

func (s *sockets) send(_ context.Context, frame []byte, f reader.Frame) error {
	putHeader(s.header[:], f)
	for _, fd := range s.to {
		if err := sendAll(fd, s.header[:], unix.MSG_MORE); err != nil {
			return err
		}
		if err := sendAll(fd, frame[:f.Length], 0); err != nil {
			return err
		}
	}
	return nil
}

// sendAll goes on where a signal, as the Go runtime sends them, cut a call short.
func sendAll(fd int, b []byte, flags int) error {
	for len(b) > 0 {
		n, err := unix.SendmsgN(fd, b, nil, nil, flags|unix.MSG_NOSIGNAL)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("send to a consumer: %w", err)
		}
		b = b[max(n, 0):]
	}
	return nil
}

// listenSockets makes a place where consumers connect.
func (b *bench) listenSockets(path string) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	b.later(func() error { return unix.Close(fd) })
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = unix.Listen(fd, 1)
	}
	return fd, err
}

// accept takes the connection of a consumer that has made it.
func (s *sockets) accept(b *bench, listener int) error {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("accept a consumer: %w", err)
	}
	b.later(func() error { return unix.Close(fd) })
	s.to = append(s.to, fd)
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBytes)
}

// socketConsumer is the other end.
type socketConsumer struct {
	path   string
	fd     int
	header [headerBytes]byte
	frame  []byte
	sum    uint64
}

func (c *socketConsumer) attach(ctx context.Context) (err error) {
	if c.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { unix.Shutdown(c.fd, unix.SHUT_RDWR) }) // wakes a waiting read
	return unix.Connect(c.fd, &unix.SockaddrUnix{Name: c.path})
}

func (c *socketConsumer) take(_ context.Context, scan uint64) (rows int, err error) {
	for {
		if err := receiveAll(c.fd, c.header[:]); err != nil {
			return rows, err
		}
		f := getHeader(c.header[:])
		if f.Length > len(c.frame) {
			c.frame = make([]byte, f.Length)
		}
		if err := receiveAll(c.fd, c.frame[:f.Length]); err != nil {
			return rows, err
		}
		c.sum += sumFrame(c.frame, f)
		rows += f.Rows
		if f.Last && f.Scan >= scan {
			return rows, nil
		}
	}
}

func receiveAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_WAITALL)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("receive from the publisher: %w", err)
		case n == 0:
			return errors.New("the publisher is gone")
		}
		b = b[n:]
	}
	return nil
}
