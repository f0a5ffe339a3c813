// SPDX-License-Identifier: Apache-2.0

package c

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const seedSchema = `{"version":1,"key":{"kind":"uint","name":"__u32","size":4},"value":{"kind":"struct","name":"struct v","size":24,
"fields":[{"name":"n","offset":0,"type":{"kind":"enum","size":4,"signed":true,"values":[{"name":"A","value":-1}]}},
{"offset":4,"type":{"kind":"union","size":4,"fields":[{"name":"low","offset":1,"bit_offset":3,"bit_size":5,"type":{"kind":"uint","size":4}}]}},
{"name":"list","offset":8,"type":{"kind":"array","size":16,"count":2,"elem":{"kind":"float","size":8}}}]}}`

// libFuzzer starts from the golden images, and from a schema with everything in
// it, always with the same inputs: a change is to be told by its own faults.
// `make -C clients/c fuzzers` builds them for longer and other ones.
func TestFuzz(t *testing.T) {
	if testing.Short() {
		t.Skip("leaving out the fuzzers: -short")
	}
	need(t, "clang")
	dir := filepath.Join(buildDir, "fuzz")
	if err := makeIn(dir, "fuzzers"); err != nil {
		t.Fatal(err)
	}
	seeds := t.TempDir()
	if err := os.WriteFile(filepath.Join(seeds, "schema"), []byte(seedSchema), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, corpus := range map[string]string{"fuzz_image": "../testdata", "fuzz_schema": seeds} {
		t.Run(name, func(t *testing.T) {
			found := t.TempDir() // what it finds interesting goes there, not into the corpus
			cmd := exec.Command(filepath.Join(dir, "tests", name), "-seed=1", "-runs=40000", "-max_total_time=30", "-timeout=20", "-rss_limit_mb=1024",
				"-max_len=65536", "-len_control=0", "-artifact_prefix="+found+"/", found, corpus)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
