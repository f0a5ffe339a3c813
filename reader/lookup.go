// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// Lookup tells of single keys whether they are in the source's map. A program
// of ours does it where one can: lookups of bpf(2) make other tools lose events.
// Neither marks the rows of an LRU map as used.
//
// A key that is being overwritten may not be found: the kernel links the new
// element before it unlinks the old, but both can be passed by.
type Lookup struct {
	source *Source
	seeker seeker // nil: Options.Lookups was not set
}

// seeker is one way to look keys up.
type seeker interface {
	// seek looks for the keys that lie in keys, one behind the other, and returns
	// how many it has answered.
	seek(keys []byte, found []bool, p *pass) (int, error)
	close() error
}

// Find looks for the keys that lie in keys, one behind the other, and sets found
// for each. It allocates nothing.
func (l *Lookup) Find(ctx context.Context, keys []byte, found []bool) error {
	if l.seeker == nil {
		return fmt.Errorf("%w: the source was opened without lookups", ErrUnsupported)
	}
	size := l.source.info.KeySize
	for len(found) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := l.seeker.seek(keys, found, &l.source.pass)
		if err != nil {
			if err = l.fallBack(err); err != nil {
				return err
			}
		}
		keys, found = keys[n*size:], found[n:]
	}
	return nil
}

func (l *Lookup) close() error {
	if l.seeker == nil {
		return nil
	}
	return l.seeker.close()
}

// openLookup chooses how keys are looked up.
func (s *Source) openLookup() error {
	if !s.options.Lookups {
		return nil
	}
	s.lookup.source = s
	if s.info.Type == ebpf.LPMTrie {
		s.lookup.use(newTrieSeeker(s), "bpf(2): in a trie, the key after it tells")
		return nil
	}
	finder, err := s.openFinder()
	if err != nil {
		s.lookup.use(newCallSeeker(s), fmt.Sprintf("bpf(2), which makes other tools' programs lose events (no program: %v)", err))
		return nil
	}
	s.lookup.use(&programSeeker{finder: finder, size: s.info.KeySize}, "a program looks them up")
	return nil
}

func (s *Source) openFinder() (*scan.Finder, error) {
	i := &s.info
	t := scan.Target{
		FD: s.fd, Type: i.Type, Flags: i.Flags,
		KeySize: i.KeySize, ValueSize: i.MapValueSize, MaxEntries: i.MaxEntries, CPUs: s.cpus,
	}
	return scan.OpenFinder(t, s.options.MaxHold)
}

// use installs a seeker.
func (l *Lookup) use(s seeker, how string) {
	l.seeker = s
	l.source.mu.Lock()
	defer l.source.mu.Unlock()
	l.source.info.Lookup = how
}

// fallBack replaces a program that failed.
func (l *Lookup) fallBack(cause error) error {
	if _, ok := l.seeker.(*programSeeker); !ok {
		return cause
	}
	l.seeker.close()
	l.use(newCallSeeker(l.source), fmt.Sprintf("bpf(2), which makes other tools' programs lose events (the program failed: %v)", cause))
	return nil
}

// programSeeker lets a program look keys up, many a run.
type programSeeker struct {
	finder *scan.Finder
	size   int
}

func (s *programSeeker) seek(keys []byte, found []bool, p *pass) (int, error) {
	p.entering()
	n, hold, err := s.finder.Find(keys, found)
	p.held(int64(hold))
	return n, err
}

func (s *programSeeker) close() error { return s.finder.Close() }

// callSeeker asks bpf(2) for one key after the other.
type callSeeker struct {
	call  *elemCall
	size  int
	value []byte
}

func newCallSeeker(s *Source) *callSeeker {
	return &callSeeker{call: newElemCall(s.fd), size: s.info.KeySize, value: make([]byte, s.rawRows().value)}
}

func (s *callSeeker) close() error { return nil }

func (s *callSeeker) seek(keys []byte, found []bool, p *pass) (int, error) {
	p.entering()
	began := nowNS()
	switch errno := s.call.lookup(keys[:s.size], s.value, false); errno {
	case 0:
		found[0] = true
	case unix.ENOENT:
		found[0] = false
	default:
		return 0, fmt.Errorf("BPF_MAP_LOOKUP_ELEM: %w", named(errno))
	}
	p.held(nowNS() - began)
	return 1, nil
}

// trieSeeker tells whether a prefix is in a trie. A lookup would answer with any
// shorter prefix that matches. But the kernel gives the key after one that is
// there, and the first key of all for one that is not. Bits behind a prefix are
// nothing to the kernel: a prefix that its owner now spells with others is found
// under its old spelling, too.
type trieSeeker struct {
	call               *elemCall
	first, after, next []byte
}

func newTrieSeeker(s *Source) *trieSeeker {
	k := s.info.KeySize
	return &trieSeeker{newElemCall(s.fd), make([]byte, k), make([]byte, k), make([]byte, k)}
}

func (s *trieSeeker) close() error { return nil }

func (s *trieSeeker) seek(keys []byte, found []bool, p *pass) (int, error) {
	p.entering()
	began := nowNS()
	defer func() { p.held((nowNS() - began) / 3) }()
	key := keys[:len(s.first)]
	first := s.call.nextKey(nil, s.first)
	next := s.call.nextKey(key, s.next)
	after := s.call.nextKey(nil, s.after)
	for _, errno := range []unix.Errno{first, next, after} {
		if errno != 0 && errno != unix.ENOENT {
			return 0, fmt.Errorf("BPF_MAP_GET_NEXT_KEY: %w", named(errno))
		}
	}
	switch {
	case first != 0 || after != 0: // empty, at one moment at least
		found[0] = false
	case next != 0: // the last, which has none after it
		found[0] = true
	case bytes.Equal(key, s.first): // the first has another after it
		found[0] = true
	default:
		// What the first key is may change between the calls. Then it is not
		// known, and a key is there until it is known to be gone.
		found[0] = !bytes.Equal(s.first, s.after) || !bytes.Equal(s.next, s.first)
	}
	return 1, nil
}
