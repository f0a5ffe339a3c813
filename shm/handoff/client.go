// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// replyTimeout bounds a question whose context has no deadline.
const replyTimeout = 5 * time.Second

// Conn is a client's connection: some questions, then at most one Attach. A
// sidecar closes a connection that asks nothing for about two seconds, so ask
// soon after Dial. Any failure but a refusal closes it: an answer that comes
// late must not be taken for the next one. Not safe for concurrent use.
type Conn struct {
	path   string
	socket *socket
	packet []byte
}

// Dial connects to the sidecar that listens at path.
func Dial(ctx context.Context, path string) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		socket, err := connect(path)
		if err == nil {
			return &Conn{path: path, socket: socket}, nil
		}
		// A full backlog: others connect faster than the sidecar accepts, or
		// it does not accept at all.
		if !errors.Is(err, syscall.EAGAIN) && ctx.Err() == nil {
			return nil, explain(path, err)
		}
		if wait(ctx, pause); ctx.Err() != nil {
			return nil, silence(ctx, path)
		}
	}
}

// Close hangs up. After a successful Attach it does nothing: the connection
// belongs to the Attachment.
func (c *Conn) Close() error {
	if c.socket == nil {
		return nil
	}
	socket := c.socket
	c.socket = nil
	return socket.close()
}

// Status asks for the sidecar's status, a JSON document.
func (c *Conn) Status(ctx context.Context) ([]byte, error) {
	return c.ask(ctx, typeStatus, encodePlain(typeStatus))
}

// Rings asks for the names of the rings that this process may attach to.
func (c *Conn) Rings(ctx context.Context) ([]string, error) {
	doc, err := c.ask(ctx, typeRings, encodePlain(typeRings))
	if err != nil || len(doc) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(doc), "\x00"), "\x00"), nil
}

// Reload makes the sidecar read its configuration again, and says what has
// changed, in a JSON document. A configuration that is not valid changes nothing
// and comes back as a refusal with EINVAL. Only root and the sidecar's own user
// may ask.
func (c *Conn) Reload(ctx context.Context) ([]byte, error) {
	return c.ask(ctx, typeReload, encodePlain(typeReload))
}

// TakeOver makes the sidecar finish its rings and end: see Beside. Only root and
// the sidecar's own user may ask.
func (c *Conn) TakeOver(ctx context.Context) error {
	_, err := c.ask(ctx, typeTakeover, encodePlain(typeTakeover))
	return err
}

// ask sends a request and gathers the packets of its answer.
func (c *Conn) ask(ctx context.Context, kind uint16, request []byte) ([]byte, error) {
	done, err := c.begin(ctx, request)
	if err != nil {
		return nil, err
	}
	defer done()
	var doc []byte
	for {
		a, files, err := c.receive(ctx, kind)
		closeAll(files)
		if err != nil {
			return nil, c.end(err)
		}
		// Nothing is allocated on the word of total; what arrived is the measure.
		if a.offset != uint64(len(doc)) || len(a.payload) == 0 && a.offset != a.total {
			return nil, c.end(fmt.Errorf("socket %s: %w: %d bytes at %d, expected %d", c.path, ErrProtocol, len(a.payload), a.offset, len(doc)))
		}
		if doc = append(doc, a.payload...); uint64(len(doc)) == a.total {
			return doc, nil
		}
	}
}

// begin sends a request and lets ctx end what follows; done undoes that.
func (c *Conn) begin(ctx context.Context, request []byte) (done func(), err error) {
	if c.socket == nil {
		return nil, fmt.Errorf("socket %s: %w", c.path, os.ErrClosed)
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(replyTimeout)
	}
	c.socket.until(until)
	socket := c.socket
	stop := context.AfterFunc(ctx, func() { socket.until(time.Unix(1, 0)) })
	if err = c.socket.send(request, nil); err != nil && !hungUp(err) {
		stop()
		return nil, c.end(c.failed(ctx, err))
	}
	// If it hung up, it may have said why first.
	return func() { stop() }, nil
}

// receive reads one packet of an answer to kind, and whatever descriptors came
// with it; they are the caller's, also together with an error.
func (c *Conn) receive(ctx context.Context, kind uint16) (a answer, files []*os.File, err error) {
	if c.packet == nil {
		c.packet = make([]byte, answerBytes+chunkBytes)
	}
	b, files, err := receiveFiles(c.socket, c.packet)
	if errors.Is(err, syscall.ECONNRESET) {
		// The sidecar closed without reading all we sent. The kernel says so
		// once, before it hands out what the sidecar sent.
		b, files, err = receiveFiles(c.socket, c.packet)
	}
	if err != nil {
		return a, files, c.failed(ctx, err)
	}
	if a, err = decodeAnswer(b); err != nil {
		return a, files, fmt.Errorf("socket %s: %w", c.path, err)
	}
	if a.status != 0 {
		return a, files, fmt.Errorf("sidecar at %s: %w", c.path, &Refusal{Errno: a.status, Text: string(a.payload)})
	}
	if a.kind != kind|typeAnswer {
		return a, files, fmt.Errorf("socket %s: %w: answer of type %#x to a request of type %#x", c.path, ErrProtocol, a.kind, kind)
	}
	return a, files, nil
}

// end closes the connection for every error but a refusal, and returns it.
func (c *Conn) end(err error) error {
	var refused *Refusal
	if !errors.As(err, &refused) || errors.Is(err, ErrProtocol) {
		c.Close()
	}
	return err
}

// failed says what the failure of a socket operation means.
func (c *Conn) failed(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return silence(ctx, c.path)
	case hungUp(err):
		return fmt.Errorf("socket %s: %w", c.path, ErrHangup)
	}
	return fmt.Errorf("socket %s: %w", c.path, err)
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// silence is the error of a deadline that passed without an answer.
func silence(ctx context.Context, path string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("socket %s: %w: the sidecar hangs or is stopped; look at its process and its log", path, ErrNoReply)
}
