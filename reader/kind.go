// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Kind is what an entry of a bpffs is.
type Kind string

const (
	KindMap     Kind = "map"
	KindProgram Kind = "program"
	KindLink    Kind = "link"
	KindDir     Kind = "directory"
	KindSymlink Kind = "symlink"
	KindOther   Kind = "other" // could not be told
)

// fdKind tells BPF objects apart by the name their descriptors carry in /proc.
// Each kind has its own info structure, so asking the kernel would already
// require knowing.
func fdKind(fd int) (Kind, error) {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return KindOther, fmt.Errorf("tell maps from programs: %w", err)
	}
	switch strings.TrimPrefix(name, "anon_inode:") {
	case "bpf-map":
		return KindMap, nil
	case "bpf-prog":
		return KindProgram, nil
	case "bpf_link", "bpf-link":
		return KindLink, nil
	}
	return KindOther, nil
}

// fdFrozen reports whether the map's owner has frozen it, which only /proc
// tells. Not to know is no reason to fail.
func fdFrozen(fd int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	return err == nil && bytes.Contains(b, []byte("\nfrozen:\t1\n"))
}
