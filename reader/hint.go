// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxHints is how many neighbours a missing pin is told about.
const maxHints = 3

// hint names what does exist near a pin that does not.
func hint(path string) string {
	dir := nearestDir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	// The first component below dir is what is misspelt.
	rel, _ := filepath.Rel(dir, path)
	want, _, _ := strings.Cut(rel, string(filepath.Separator))
	var names []string
	for _, e := range entries {
		// No pin has a dot in its name; the kernel's own maps.debug and
		// progs.debug do.
		if !strings.Contains(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("nothing is pinned in %s yet", dir)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(distance(a, want), distance(b, want))
	})
	names = names[:min(len(names), maxHints)]
	for i, n := range names {
		names[i] = filepath.Join(dir, n)
	}
	return "nearest: " + strings.Join(names, ", ")
}

// distance is how many single-byte edits lead from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
