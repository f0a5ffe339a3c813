// SPDX-License-Identifier: Apache-2.0

package shm

// A consumer that has nothing to read raises the sleep flag in its control page
// and polls its socket; whoever publishes next takes the flag and sends one
// datagram. While nobody sleeps, publishing makes no system call.
//
// No wake-up is lost. The consumer stores the flag, fences, and looks at head
// again before it polls; the publisher stores head, then loads the flag. Both
// sides' store-then-load are sequentially consistent (Go's atomics are; other
// clients fence), so at least one of them sees the other's store.
//
// The flag and the socket are the consumer's to abuse, so a token bucket bounds
// what each of them can cost.

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

	ringBurst    = 32
	ringInterval = 1_000_000 // ns: a thousand rings a second, sustained
)

// bucket holds tokens as time: it is empty when ready lies a whole burst ahead.
type bucket struct{ ready uint64 }

func (b *bucket) take(now uint64) bool {
	const burst = ringBurst * ringInterval
	if b.ready+ringInterval > now+burst {
		return false
	}
	b.ready = max(b.ready, now) + ringInterval
	return true
}

// ring wakes the consumer if it sleeps. A ring that cannot be given now is owed
// and given by a later Beat.
func (c *Consumer) ring(owedOnly bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.page == nil || owedOnly && !c.owed || c.shared.sleep.Load() == 0 {
		return
	}
	if c.owed = !c.bucket.take(Monotonic()); c.owed {
		return
	}
	if c.shared.sleep.Swap(0) == 0 {
		return // it woke by itself
	}
	if err := c.bell(); err != nil {
		c.shared.sleep.Store(1) // still asleep: try again
		c.owed = true
	}
}

// ringSleepers wakes everyone who sleeps. p.mu must not be held.
func (p *Publisher) ringSleepers() {
	list := *p.consumers.Load()
	if len(list) <= directRings {
		for _, c := range list {
			c.ring(false)
		}
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
		case <-p.quit:
			return
		}
		for _, c := range *p.consumers.Load() {
			c.ring(false)
		}
	}
}

// catchUp rings whoever should have heard of something and has not: frames that
// did not end a scan, and rings that were owed.
func (p *Publisher) catchUp() {
	p.mu.Lock()
	news := p.rung != p.head
	p.rung = p.head
	p.mu.Unlock()
	if news {
		p.ringSleepers()
		return
	}
	for _, c := range *p.consumers.Load() {
		c.ring(true)
	}
}
