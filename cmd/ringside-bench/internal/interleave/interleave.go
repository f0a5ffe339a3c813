// SPDX-License-Identifier: Apache-2.0

package interleave

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
)

// Contender is one of several ways to do the same thing.
type Contender[S any] struct {
	Name string
	// Pass does the work reps times, at least once, and says what it measured.
	Pass func(ctx context.Context, reps int) (S, error)
}

// Options bound a run. The zero value makes one round.
type Options struct {
	For       time.Duration // start no round later than this, but for MinRounds
	MinRounds int
	PassFor   time.Duration // how long a pass should be at least; 0: every pass is one repetition
	// Progress is told of every round before it begins; round 0 is the one
	// that is thrown away.
	Progress func(round int)
}

// firstFactor is how much slower than others the first time may be.
const firstFactor = 10

// maxReps bounds a pass whose work takes no time at all.
const maxReps = 1 << 20

// Run returns the samples of each contender, by round: result[c][r] and
// result[d][r] were measured in the same round.
func Run[S any](ctx context.Context, contenders []Contender[S], o Options) ([][]S, error) {
	reps, err := calibrate(ctx, contenders, o)
	if err != nil {
		return nil, err
	}
	samples := make([][]S, len(contenders))
	start := time.Now()
	for round := 1; round <= max(o.MinRounds, 1) || time.Since(start) < o.For; round++ {
		o.tell(round)
		for _, i := range rand.Perm(len(contenders)) {
			s, err := pass(ctx, contenders[i], reps[i])
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], s)
		}
	}
	return samples, nil
}

// calibrate warms everything up and finds how often each contender has to
// repeat its work.
func calibrate[S any](ctx context.Context, contenders []Contender[S], o Options) ([]int, error) {
	o.tell(0)
	reps := make([]int, len(contenders))
	for i, c := range contenders {
		reps[i] = 1
		start := time.Now()
		if _, err := pass(ctx, c, 1); err != nil {
			return nil, err
		}
		if time.Since(start) > firstFactor*o.PassFor {
			continue // long enough, however much slower first times are
		}
		start = time.Now()
		if _, err := pass(ctx, c, 1); err != nil {
			return nil, err
		}
		once := max(time.Since(start), 1)
		reps[i] = int(min(max((o.PassFor+once-1)/once, 1), maxReps))
	}
	return reps, nil
}

func pass[S any](ctx context.Context, c Contender[S], reps int) (S, error) {
	if err := ctx.Err(); err != nil {
		var none S
		return none, err
	}
	runtime.GC()
	s, err := c.Pass(ctx, reps)
	if err != nil {
		return s, fmt.Errorf("%s: %w", c.Name, err)
	}
	return s, nil
}

func (o *Options) tell(round int) {
	if o.Progress != nil {
		o.Progress(round)
	}
}
