// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Seals of a ring. SHRINK: a consumer must not get SIGBUS because somebody cut
// the file. GROW: its size is part of what clients verify. FUTURE_WRITE (Linux
// 5.1): no new writable mapping and no write(2) or hole punching by anyone, root
// included, while the publisher's own mapping goes on writing. SEAL: nobody
// takes these promises for an opening to add others, such as WRITE.
const ringSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL

// Seals of a consumer's control page. It stays writable, that is its purpose;
// but without SHRINK one ftruncate(0) would kill the sidecar by SIGBUS. A hole
// may still be punched into it and reads as zero, which is as harmless as any
// other number a consumer may write there.
const controlSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// createMemfd makes an anonymous file of size bytes that can be sealed.
func createMemfd(name string, size uint64) (*os.File, error) {
	// NOEXEC_SEAL (Linux 6.3): the memory cannot be turned into a program by
	// whoever it is passed to. Older kernels do not know the flag.
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("create memfd %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		f.Close()
		return nil, fmt.Errorf("size memfd %s to %d bytes: %w", name, size, err)
	}
	return f, nil
}

func seal(f *os.File, seals int) error {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal %s: %w (needs Linux 5.1 or later)", f.Name(), err)
	}
	return nil
}

// requireSeals is the client's half: believe the memory only if nobody can take
// it away or change it behind the publisher's back.
func requireSeals(f *os.File, want int) error {
	got, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSeals, err)
	}
	if got&want != want {
		return fmt.Errorf("%w: has %#x, needs %#x", ErrSeals, got, want)
	}
	return nil
}

// reopenReadOnly gives a second open file description of the same memory, one
// that carries no right to write. O_RDONLY belongs to the description, so it
// cannot be had by dup(2).
func reopenReadOnly(f *os.File) (*os.File, error) {
	// 0444 keeps a consumer from opening its /proc/self/fd/N for writing.
	if err := f.Chmod(0o444); err != nil {
		return nil, fmt.Errorf("make %s read-only: %w", f.Name(), err)
	}
	ro, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("reopen %s read-only (is /proc mounted?): %w", f.Name(), err)
	}
	return ro, nil
}
