// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// A file is read from where the options say, and from its oldest frame if they
// say nothing.
func TestOpenFileStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recorded")
	file, err := shm.CreateFile(path, shm.Config{Name: "recorded", DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	flows := addFeed(t, file.Publisher, flowInfo("flows"))
	flows.must(t, 100, 40) // more than the ring holds
	addFeed(t, file.Publisher, flowInfo("others")).must(t, 1, 2)
	flows.must(t, 3, 5)
	addFeed(t, file.Publisher, flowInfo("nothing"))
	if err := file.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	ring, err := shm.OpenImage(path)
	if err != nil {
		t.Fatal(err)
	}
	oldest := 104 - ring.Begin(shm.StartOldest, shm.AnySource).Seq
	for _, test := range []struct {
		name   string
		o      Options
		frames uint64
		lost   bool
	}{
		{"default", Options{}, oldest, false},
		{"oldest", Options{Start: StartOldest}, oldest, false},
		{"keyframe of all", Options{Start: StartKeyframe}, 4, false},
		{"keyframe of one", Options{Start: StartKeyframe, Source: "flows"}, 1, false},
		{"no keyframe", Options{Start: StartKeyframe, Source: "nothing"}, 0, false},
		{"head", Options{Start: StartHead}, 0, false},
		{"beginning", Options{Start: StartBeginning}, oldest, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			sub, err := OpenFile(path, test.o)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			for _, err := range sub.Batches(context.Background()) {
				if err != nil {
					t.Fatal(err)
				}
			}
			if st := sub.Stats(); st.Frames != test.frames || st.LostFrames > 0 != test.lost {
				t.Errorf("%+v, expected %d frames", st, test.frames)
			}
		})
	}
	if _, err := Attach(t.Context(), Options{Socket: socketPath(t), Start: StartBeginning}); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}
