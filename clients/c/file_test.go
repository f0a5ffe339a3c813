// SPDX-License-Identifier: Apache-2.0

package c

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// A file is read from where the options say, and from its oldest frame if they
// say nothing, or a keyframe that it has not.
func TestFileStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recorded")
	file, err := shm.CreateFile(path, shm.Config{Name: "recorded", DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f := clienttest.AddFeed(t, file.Publisher, 0)
	for range 100 { // more than the ring holds
		f.Publish(t, 40)
	}
	if _, err := file.AddSource(shm.SourceInfo{Name: "nothing", KeySize: 4, ValueSize: 4}); err != nil {
		t.Fatal(err)
	}
	if err := file.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	ring, err := shm.OpenImage(path)
	if err != nil {
		t.Fatal(err)
	}
	lost := ring.Begin(shm.StartOldest, shm.AnySource).Seq
	all := fmt.Sprintf("%d-0", 100-lost)
	starts := filepath.Join(build(t, "asan"), "tests", "starts")
	for source, want := range map[string]string{
		// of all and of the source: by default, keyframe, oldest, head, beginning
		"flows":   all + " " + all + " 1-0 1-0 " + all + " " + all + " 0-0 0-0 " + fmt.Sprintf("%[1]d-%[2]d %[1]d-%[2]d", 100-lost, lost),
		"nothing": all + " 0-0 1-0 0-0 " + all + " 0-0 0-0 0-0 " + fmt.Sprintf("%d-%[2]d 0-%[2]d", 100-lost, lost),
	} {
		if got := strings.TrimSpace(output(t, starts, path, source)); got != want {
			t.Errorf("%s: got\n%s\nexpected\n%s", source, got, want)
		}
	}
}
