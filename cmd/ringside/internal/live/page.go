// SPDX-License-Identifier: Apache-2.0

package live

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"golang.org/x/sys/unix"
)

const pageBytes = 64 << 10

// page is memory that the consumer writes and the screen reads: a length, a
// checksum, a JSON text. Nobody waits for anybody. A reader that comes while the
// page is being written finds the checksum wrong and looks again later.
type page struct{ mem []byte }

var errUnsettled = errors.New("page is being written")

// newPage makes the page and the file by which the consumer is given it.
func newPage() (*page, *os.File, error) {
	fd, err := unix.MemfdCreate("ringside-demo-figures", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("memory for the demo's figures: %w", err)
	}
	f := os.NewFile(uintptr(fd), "figures")
	if err := f.Truncate(pageBytes); err != nil {
		f.Close()
		return nil, nil, err
	}
	// The consumer must not be able to cut the page off under the screen.
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("seal the demo's figures: %w", err)
	}
	p, err := openPage(f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return p, f, nil
}

func openPage(f *os.File) (*page, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, pageBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map the demo's figures: %w", err)
	}
	return &page{mem}, nil
}

func (p *page) close() error { return unix.Munmap(p.mem) }

// store makes no system call.
func (p *page) store(f *figures) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if len(text) > pageBytes-8 {
		return fmt.Errorf("%d bytes of figures do not fit the page", len(text))
	}
	binary.LittleEndian.PutUint32(p.mem[4:], crc32.ChecksumIEEE(text))
	copy(p.mem[8:], text)
	binary.LittleEndian.PutUint32(p.mem, uint32(len(text)))
	return nil
}

// load believes nothing but what a checksum vouches for.
func (p *page) load() (figures, error) {
	private := make([]byte, pageBytes)
	copy(private, p.mem)
	n := binary.LittleEndian.Uint32(private)
	if n == 0 || n > pageBytes-8 {
		return figures{}, errUnsettled
	}
	text := private[8 : 8+n]
	if crc32.ChecksumIEEE(text) != binary.LittleEndian.Uint32(private[4:]) {
		return figures{}, errUnsettled
	}
	var f figures
	if err := json.Unmarshal(text, &f); err != nil {
		return figures{}, errUnsettled
	}
	return f, nil
}
