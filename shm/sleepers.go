// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"slices"
	"time"
)

const (
	// directRings is how many consumers are rung by the publishing goroutine
	// itself, which is the fastest; beyond that a notifier does it, so that many
	// sleepers do not delay the next batch.
	directRings = 4

	// ringShare is the part of the ring, a quarter, after which sleepers are
	// rung in the middle of a scan: early enough that more than half the ring
	// goes by before they are overtaken, and late enough that a ring of the
	// usual size, four scans, rings once a scan. At an eighth it rang twice.
	ringShare = 4
)

// bellOf is the bell of a user's consumers. It has to be left.
func (p *Publisher) bellOf(uid uint32) (*bell, error) {
	p.mu.Lock()
	b := p.bells[uid]
	if b != nil {
		b.guests++
	}
	p.mu.Unlock()
	if b != nil {
		return b, nil
	}
	made, err := newBell() // without p.mu: these are system calls
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	if b = p.bells[uid]; b == nil {
		b = made
		p.bells[uid] = b
	}
	b.guests++
	p.mu.Unlock()
	if b != made {
		made.close() // another consumer of this user was faster
	}
	return b, nil
}

func (p *Publisher) leaveBell(uid uint32, b *bell) {
	p.mu.Lock()
	b.guests--
	last := b.guests == 0
	if last {
		delete(p.bells, uid)
	}
	p.mu.Unlock()
	if last {
		b.close()
	}
}

// withConsumer is the list and one more, beside those who share its bell.
func withConsumer(list []*Consumer, c *Consumer) []*Consumer {
	at := slices.IndexFunc(list, func(x *Consumer) bool { return x.bell == c.bell })
	if at < 0 {
		at = len(list)
	}
	return slices.Insert(slices.Clone(list), at, c)
}

// ringAll rings every bell once, for those of its consumers that sleep.
func (p *Publisher) ringAll() {
	for list := *p.consumers.Load(); len(list) > 0; {
		b := list[0].bell
		n := 1
		for n < len(list) && list[n].bell == b {
			n++
		}
		if b.slow.Load() {
			p.ringAside(b)
		} else {
			b.ring(list[:n], false)
		}
		list = list[n:]
	}
}

// RingingTime is the processor time that it took to wake consumers, of the bells
// of those who are attached. More than a few are woken after the commit.
func (p *Publisher) RingingTime() (all time.Duration) {
	var counted *bell // consumers of one bell lie together
	for _, c := range *p.consumers.Load() {
		if c.bell != counted {
			counted = c.bell
			all += time.Duration(c.bell.spent.Load())
		}
	}
	return all
}

// ringAside keeps a bell that takes long to ring from delaying the others, and
// the publisher. One such goroutine a bell is on its way at most.
func (p *Publisher) ringAside(b *bell) {
	if !b.going.CompareAndSwap(false, true) {
		return // it has yet to look whom to wake, which will do for us
	}
	go func() {
		b.going.Store(false)
		others := func(c *Consumer) bool { return c.bell != b }
		b.ring(slices.DeleteFunc(slices.Clone(*p.consumers.Load()), others), false)
	}()
}

// ringSleepers wakes everyone who sleeps. p.mu must not be held.
func (p *Publisher) ringSleepers() {
	if len(*p.consumers.Load()) <= directRings {
		p.ringAll()
		return
	}
	select {
	case p.notify <- struct{}{}:
	default: // the notifier has yet to begin its round, which will do for us
	}
}

func (p *Publisher) runNotifier() {
	defer close(p.stopped)
	for {
		select {
		case <-p.notify:
			p.ringAll()
		case <-p.quit:
			return
		}
	}
}

// catchUp rings whoever should have heard of something and has not: of frames that
// did not end a scan. Rings that are owed a bell gives by itself.
func (p *Publisher) catchUp() {
	p.mu.Lock()
	news := p.rung != p.head
	p.rung = p.head
	p.mu.Unlock()
	if news {
		p.ringSleepers()
	}
}
