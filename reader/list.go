// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// maxListDepth bounds the walk: a bpffs has no loops, but it may be deep.
const maxListDepth = 32

// Entry is one thing found in a bpffs.
type Entry struct {
	Path string
	Kind Kind
	// Info is set for every map that could be opened, with the engine that
	// would read it; without an engine, Err says why none can.
	Info *Info
	// Err is why the entry was passed over: not to be opened, gone meanwhile,
	// foreign, or a map that cannot be read. Programs and links have none.
	Err error
}

// List walks the bpffs at dir and describes what is pinned there. Nothing stops
// it: whatever cannot be looked at is an Entry with an error. Each map is opened
// and probed for a moment.
func List(dir string, o Options) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		walk(dir, func(e Entry) bool {
			if e.Kind == KindMap && e.Err == nil {
				e.Info, e.Err = inspect(e.Path, o)
			}
			return yield(e)
		})
	}
}

// inspect describes a map, and says why if it cannot be read.
func inspect(path string, o Options) (*Info, error) {
	o.Name = ""
	s, err := describe(path, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if s.info.Type == ebpf.RingBuf {
		s.info.Engine = EngineRingbuf // of mode events; there is nothing to try out without taking records
	}
	err = s.prepare()
	info := s.Info()
	return &info, err
}

// Find returns the pins of maps that match a pattern: a path, returned as it
// is, or a glob as of path.Match, where * stays within one directory. Whatever
// else matched the glob is in passed, with its kind or the error that kept it
// from being a map. A glob that matches nothing is no error: its maps may come.
func Find(pattern string) (pins []string, passed []Entry, err error) {
	if !hasMeta(pattern) {
		return []string{pattern}, nil, nil
	}
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", pattern, err)
	}
	if pattern, err = filepath.Abs(pattern); err != nil {
		return nil, nil, err
	}
	dir := pattern
	for hasMeta(dir) {
		dir = filepath.Dir(dir)
	}
	if err := checkBPFFS(pattern, nearestDir(filepath.Join(dir, "x"))); err != nil {
		return nil, nil, err
	}
	walk(dir, func(e Entry) bool {
		match, _ := filepath.Match(pattern, e.Path)
		switch {
		case match && e.Kind == KindMap && e.Err == nil:
			pins = append(pins, e.Path)
		case match, e.Err != nil && e.Kind == KindDir && mayHold(pattern, e.Path):
			passed = append(passed, e)
		}
		return true
	})
	return pins, passed, nil
}

func hasMeta(path string) bool { return strings.ContainsAny(path, `*?[\`) }

// mayHold reports whether a directory could hold matches of a pattern.
func mayHold(pattern, dir string) bool {
	for ; pattern != filepath.Dir(pattern); pattern = filepath.Dir(pattern) {
		if ok, _ := filepath.Match(pattern, dir); ok {
			return true
		}
	}
	return false
}

// walk calls visit for everything in the bpffs at dir until it returns false.
// pin.WalkDir of cilium/ebpf stops at the first entry it cannot open; on a
// shared machine there is always one.
func walk(dir string, visit func(Entry) bool) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		visit(Entry{Path: dir, Kind: KindDir, Err: explainStat(dir, err)})
		return
	}
	if err := checkBPFFS(dir, dir); err != nil {
		visit(Entry{Path: dir, Kind: KindDir, Err: err})
		return
	}
	walkDir(dir, st.Dev, 0, visit)
}

func walkDir(dir string, dev uint64, depth int, visit func(Entry) bool) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if !visit(Entry{Path: dir, Kind: KindDir, Err: explainList(dir, err)}) {
			return false
		}
	}
	for _, d := range entries {
		path := filepath.Join(dir, d.Name())
		if !d.IsDir() {
			if !visit(look(path, d.Type())) {
				return false
			}
			continue
		}
		if err := enterable(path, dev, depth+1); err != nil {
			if !visit(Entry{Path: path, Kind: KindDir, Err: err}) {
				return false
			}
			continue
		}
		if !walkDir(path, dev, depth+1, visit) {
			return false
		}
	}
	return true
}

// enterable says why the walk passes a directory over.
func enterable(dir string, dev uint64, depth int) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return explainStat(dir, err)
	}
	if st.Dev != dev {
		return &PinError{Path: dir, Cause: errors.New("another file system is mounted there; list it by itself")}
	}
	if depth > maxListDepth {
		return &PinError{Path: dir, Cause: fmt.Errorf("nested deeper than %d directories", maxListDepth)}
	}
	return nil
}

// look tells what one entry is.
func look(path string, mode fs.FileMode) Entry {
	if mode&fs.ModeSymlink != 0 {
		return Entry{Path: path, Kind: KindSymlink, Err: &PinError{Path: path, Cause: errors.New("a symbolic link; its target counts")}}
	}
	fd, kind, err := openAny(path)
	if err != nil {
		return Entry{Path: path, Kind: KindOther, Err: err}
	}
	unix.Close(fd)
	return Entry{Path: path, Kind: kind}
}

// explainList says why a directory could not be listed.
func explainList(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return denied(dir, dir, fmt.Errorf("%w: it may not be listed", ErrPermission), "chmod o+rx "+dir)
	case errors.Is(err, fs.ErrNotExist):
		return explainStat(dir, unix.ENOENT)
	}
	return &PinError{Path: dir, Cause: fmt.Errorf("list the directory: %w", err)}
}
