// SPDX-License-Identifier: Apache-2.0

package interleave

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// journal records who ran when.
type journal struct{ names []string }

func (j *journal) contender(name string) Contender[int] {
	return Contender[int]{name, func(context.Context, int) (int, error) {
		j.names = append(j.names, name)
		return len(j.names), nil
	}}
}

func TestEveryRoundHasEveryone(t *testing.T) {
	var j journal
	var rounds []int
	names := []string{"a", "b", "c", "d", "e", "f"}
	var all []Contender[int]
	for _, n := range names {
		all = append(all, j.contender(n))
	}
	samples, err := Run(t.Context(), all, Options{MinRounds: 40, Progress: func(r int) { rounds = append(rounds, r) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(rounds) != 41 || rounds[0] != 0 || rounds[40] != 40 {
		t.Errorf("rounds %v", rounds)
	}
	orders := map[string]bool{}
	for r := range 40 {
		for _, s := range samples {
			if at := s[r] - 1; at/len(names) != r+1 { // the round thrown away is the first
				t.Errorf("sample of round %d was taken as pass %d", r, at)
			}
		}
		round := j.names[(r+1)*len(names) : (r+2)*len(names)]
		orders[strings.Join(round, "")] = true
		if got := slices.Sorted(slices.Values(round)); !slices.Equal(got, names) {
			t.Errorf("round %d: %v", r, round)
		}
	}
	if len(orders) < 2 { // 720 orders, 40 rounds
		t.Errorf("always in the same order: %v", orders)
	}
}

func TestShortWorkIsRepeated(t *testing.T) {
	var got []int
	quick := Contender[int]{"quick", func(_ context.Context, reps int) (int, error) {
		got = append(got, reps)
		return reps, nil
	}}
	if _, err := Run(t.Context(), []Contender[int]{quick}, Options{PassFor: time.Second, MinRounds: 1}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0] != 1 || got[1] != 1 || got[2] < 2 || got[2] > maxReps {
		t.Errorf("repetitions %v", got)
	}
}

func TestErrorsNameTheContender(t *testing.T) {
	broken := errors.New("broken")
	var j journal
	bad := Contender[int]{"bad", func(context.Context, int) (int, error) { return 0, broken }}
	_, err := Run(t.Context(), []Contender[int]{j.contender("good"), bad}, Options{})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "bad: ") {
		t.Errorf("got %v", err)
	}
}

func TestContextEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	passes := 0
	c := Contender[int]{"c", func(context.Context, int) (int, error) {
		if passes++; passes == 5 {
			cancel()
		}
		return 0, nil
	}}
	if _, err := Run(ctx, []Contender[int]{c}, Options{For: time.Hour}); !errors.Is(err, context.Canceled) || passes != 5 {
		t.Errorf("%d passes, %v", passes, err)
	}
}
