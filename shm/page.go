// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ControlPage is a consumer's own page, mapped by the consumer. What it stores
// there is shown by `ringside status`; only the sleep flag has an effect.
type ControlPage struct {
	mem    memory
	shared feedback
}

// OpenControlPage maps the page that came with an attachment. f may be closed
// afterwards.
func OpenControlPage(f *os.File) (*ControlPage, error) {
	if err := requireSeals(f, controlSeals); err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() != consumerBytes {
		return nil, fmt.Errorf("%w: control page of %d bytes, expected %d", ErrGeometry, st.Size(), consumerBytes)
	}
	mem, err := mapFile(f, consumerBytes, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, err
	}
	return &ControlPage{mem: mem, shared: feedbackOf(mem)}, nil
}

// store writes how far the consumer is. Plain progress needs no order between
// the words: the sidecar only shows them.
func (p *ControlPage) store(pos Position, loss Loss) {
	p.shared.nextSeq.Store(pos.Seq)
	p.shared.nextRows.Store(pos.Rows)
	if loss.Frames != p.shared.lostFrames.Load() || loss.Laps != p.shared.laps.Load() {
		p.shared.lostFrames.Store(loss.Frames)
		p.shared.lostRows.Store(loss.Rows)
		p.shared.laps.Store(loss.Laps)
	}
	p.shared.cursor.Store(pos.Offset)
}

// Sleep asks to be rung. The caller looks at the ring once more afterwards, and
// only then waits: see bell.go for why both are needed.
func (p *ControlPage) Sleep() { p.shared.sleep.Store(1) }

// Wake takes the request back.
func (p *ControlPage) Wake() { p.shared.sleep.Store(0) }

// Ask wants a keyframe of one source, or of AnySource. It is taken back with the
// publisher's next heartbeat.
func (p *ControlPage) Ask(source uint16) {
	if source == AnySource {
		p.shared.ask.Store(askAll)
		return
	}
	p.shared.ask.Store(uint64(source) + 1)
}

// Evicted reports whether the publisher of a lossless ring has ceased to wait for
// this consumer. It is told for the application's sake: what was overwritten
// shows by itself.
func (p *ControlPage) Evicted() bool { return p.shared.evicted.Load() != 0 }

// Close unmaps the page, once.
func (p *ControlPage) Close() error {
	mem := p.mem
	p.mem = nil // a second time the address may be somebody else's
	return unmap(mem)
}
