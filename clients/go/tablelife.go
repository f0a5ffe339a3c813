// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
)

// lifetime is the loop that keeps a table of OpenTable.
type lifetime struct {
	stop context.CancelFunc // nil: the program's own loop does
	done chan struct{}
	sub  *Subscription
	err  error // of closing it; read when done is closed
}

// Close ends the reading of a table of [OpenTable] and gives the ring back. What
// it shows stays, and is stale. Tables of [TableOf] end with their subscription.
func (l *lifetime) Close() error {
	if l.stop == nil {
		return nil
	}
	l.stop()
	<-l.done
	return l.err
}

// Stats counts what the loop of [OpenTable] has read.
func (l *lifetime) Stats() Stats {
	if l.sub == nil {
		return Stats{}
	}
	return l.sub.Stats()
}

// keptTable is what openTable needs of the tables there are.
type keptTable interface {
	apply(*Batch) bool
	finish(error)
	live(lifetime) *lifetime
}

func (l *lifetime) live(with lifetime) *lifetime {
	*l = with
	return l
}

func openTable[T keptTable](ctx context.Context, o Options, of func(*Subscription, string) (T, error)) (T, error) {
	var none T
	sub, err := Attach(ctx, o)
	if err != nil {
		return none, err
	}
	t, err := of(sub, o.Source)
	if err != nil {
		return none, errors.Join(err, sub.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	l := t.live(lifetime{stop: stop, done: make(chan struct{}), sub: sub})
	go func() {
		defer close(l.done)
		t.finish(keep(ctx, sub, t))
		stop()
		l.err = sub.Close()
	}()
	return t, nil
}

// keep applies batches until nothing can come any more, and says why.
func keep(ctx context.Context, sub *Subscription, t keptTable) error {
	for b, err := range sub.Batches(ctx) {
		if b != nil {
			t.apply(b)
			continue
		}
		if !errors.Is(err, ErrLayout) { // of which the table tells
			return err
		}
	}
	return ErrClosed
}
