// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"

	"github.com/cloudwego/shmipc-go"

	"github.com/ringside-bpf/ringside/reader"
)

// shmipcModule is what is measured, for the report.
const shmipcModule = "github.com/cloudwego/shmipc-go v0.2.0"

// sliceOverhead is what shmipc keeps in front of every slice of its memory.
const sliceOverhead = 64

// shmipcSilence is above every level of its log, which it writes to the standard
// output, where ours answers.
const shmipcSilence = 5

// shmipcs are one session with one stream to each consumer: the library knows no
// one to many.
type shmipcs struct {
	streams []*shmipc.Stream
}

// connect makes the session with a consumer that listens at path. Its memory has
// slices that hold a frame, and room for as many scans as a ring has.
func (s *shmipcs) connect(b *bench, path string, rows *inMemory) error {
	shmipc.SetLogLevel(shmipcSilence)
	c := shmipc.DefaultSessionManagerConfig()
	c.Network, c.Address, c.SessionNum = "unix", path, 1
	c.MemMapType = shmipc.MemMapTypeMemFd
	c.ShareMemoryPathPrefix, c.QueuePath = path+".memory", path+".queue"
	slice := uint32(len(rows.scratch) + headerBytes + sliceOverhead)
	c.BufferSliceSizes = []*shmipc.SizePercentPair{{Size: slice, Percent: 100}}
	c.ShareMemoryBufferCap = max(slice*uint32(4*len(rows.frames)+4), 2<<20)
	m, err := shmipc.NewSessionManager(c)
	if err != nil {
		return fmt.Errorf("shmipc: %w", err)
	}
	b.later(m.Close)
	stream, err := m.GetStream()
	if err != nil {
		return fmt.Errorf("shmipc: %w", err)
	}
	s.streams = append(s.streams, stream)
	return nil
}

// send writes where the consumer will read, and tells it at the end of a scan,
// which is the fewest notifications there can be.
func (s *shmipcs) send(_ context.Context, frame []byte, f reader.Frame) error {
	for _, stream := range s.streams {
		to, err := stream.BufferWriter().Reserve(headerBytes + f.Length)
		if err != nil {
			return fmt.Errorf("shmipc: %w", err)
		}
		putHeader(to, f)
		copy(to[headerBytes:], frame[:f.Length])
		if !f.Last {
			continue
		}
		if err := stream.Flush(false); err != nil {
			return fmt.Errorf("shmipc: %w", err)
		}
	}
	return nil
}

// shmipcConsumer is the other end.
type shmipcConsumer struct {
	path   string
	met    chan meeting
	stream *shmipc.Stream
	sum    uint64
}

// meeting is how the publisher's coming went.
type meeting struct {
	stream *shmipc.Stream
	err    error
}

// attach lets the publisher come: the library wants its hand shaken at once.
func (c *shmipcConsumer) attach(ctx context.Context) error {
	shmipc.SetLogLevel(shmipcSilence)
	listener, err := net.Listen("unix", c.path)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	c.met = make(chan meeting, 1)
	go func() {
		stream, err := acceptShmipc(ctx, listener)
		c.met <- meeting{stream, err}
	}()
	return nil
}

// acceptShmipc returns with the stream, which comes with its first bytes.
func acceptShmipc(ctx context.Context, listener net.Listener) (*shmipc.Stream, error) {
	conn, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	session, err := shmipc.Server(conn, shmipc.DefaultConfig())
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { session.Close() })
	return session.AcceptStream()
}

func (c *shmipcConsumer) take(_ context.Context, scan uint64) (rows int, err error) {
	if c.stream == nil {
		m := <-c.met
		if m.err != nil {
			return 0, fmt.Errorf("shmipc: %w", m.err)
		}
		c.stream = m.stream
	}
	from := c.stream.BufferReader()
	for {
		header, err := from.ReadBytes(headerBytes)
		if err != nil {
			return rows, fmt.Errorf("shmipc: %w", err)
		}
		f := getHeader(header)
		frame, err := from.ReadBytes(f.Length)
		if err != nil {
			return rows, fmt.Errorf("shmipc: %w", err)
		}
		c.sum += sumFrame(frame, f)
		rows += f.Rows
		from.ReleasePreviousRead()
		if f.Last && f.Scan >= scan {
			return rows, nil
		}
	}
}
