// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"golang.org/x/sys/unix"
)

// playSettled is a demo that runs until it is killed. It says where it lives.
func playSettled() error {
	home, err := Settle(os.Args[1])
	if err != nil {
		return err
	}
	d, err := Load()
	if err != nil {
		return err
	}
	if err := d.Pin(home.BPFFS()); err != nil {
		return err
	}
	fmt.Println(home.Dir())
	untilParentEnds()
	return nil
}

func mounted(t *testing.T, under string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(mounts), under)
}

func exist(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// settle makes a home and leaves the base clean whatever the test does to it.
func settle(t *testing.T, base string) *Home {
	t.Helper()
	home, err := Settle(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := home.Close(); err != nil {
			t.Error(err)
		}
	})
	return home
}

func TestHomeLeavesNothing(t *testing.T) {
	bpftest.RequireRoot(t)
	base := filepath.Join(t.TempDir(), "run", "demo")
	home := settle(t, base)
	var fs unix.Statfs_t
	if err := unix.Statfs(home.BPFFS(), &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
		t.Fatalf("%s: type %#x, %v; want a bpffs", home.BPFFS(), fs.Type, err)
	}
	if info, err := os.Stat(home.Dir()); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("home: %v, %v; want mode 0755, consumers must reach a socket in it", info, err)
	}
	if info, err := os.Stat(home.BPFFS()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("bpffs: %v, %v; want mode 0700", info, err)
	}
	if err := os.WriteFile(filepath.Join(home.Dir(), "socket"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := home.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if exist(base) || mounted(t, base) {
		t.Errorf("after Close: %s exists %v, mounted %v", base, exist(base), mounted(t, base))
	}
}

func TestKilledDemoIsCleanedUpByTheNext(t *testing.T) {
	bpftest.RequireRoot(t)
	base := filepath.Join(t.TempDir(), "demo")
	t.Cleanup(func() { settle(t, base) }) // once the living one was ended, too
	killed, stale := startRole(t, "settled", base, nil)
	_, living := startRole(t, "settled", base, nil)
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // reports the kill
	if !mounted(t, stale) || !exist(filepath.Join(stale, bpffsName, Processes)) {
		t.Fatalf("the killed demo left nothing at %s: this test tests nothing", stale)
	}

	home := settle(t, base)
	if exist(stale) || mounted(t, stale) {
		t.Errorf("left by the killed demo: %s exists %v, mounted %v", stale, exist(stale), mounted(t, stale))
	}
	if !exist(filepath.Join(living, bpffsName, Processes)) {
		t.Errorf("the demo still running at %s lost its pins", living)
	}
	if err := home.Close(); err != nil {
		t.Fatal(err)
	}
	if !exist(living) {
		t.Errorf("closing one home removed the base under %s", living)
	}
}

// The last one out removes the base, while others wait for its lock to come in.
func TestManyComeAndGo(t *testing.T) {
	bpftest.RequireRoot(t)
	base := filepath.Join(t.TempDir(), "demo")
	const demos, stays = 8, 10
	done := make(chan error)
	for range demos {
		go func() {
			for range stays {
				home, err := Settle(base)
				if err == nil {
					err = home.Close()
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range demos {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if exist(base) || mounted(t, base) {
		t.Errorf("after the last: %s exists %v, mounted %v", base, exist(base), mounted(t, base))
	}
}

// A base is there when one demo wants to make it, and gone when it looks: no error, but one more attempt.
func TestBaseIsMadeWhileOthersRemoveIt(t *testing.T) {
	base := filepath.Join(t.TempDir(), "demo")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Mkdir(base, 0o755) // often it is there
				_ = os.Remove(base)
			}
		}
	}()
	for range 20_000 {
		if err := makeBase(base); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	<-stopped
}

// A demo can be killed at any point of moving in. Nobody holds what it left, however little that is.
func TestHalfMadeHomesAreCleanedUp(t *testing.T) {
	bpftest.RequireRoot(t)
	base := t.TempDir()
	bare, furnished := filepath.Join(base, "run-1"), filepath.Join(base, "run-2")
	stranger := filepath.Join(base, "keep-me")
	for _, dir := range []string{bare, filepath.Join(furnished, bpffsName), stranger} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, base)
	if exist(bare) || exist(furnished) || !exist(stranger) {
		t.Errorf("bare %v, furnished %v, a stranger's %v; want only the last", exist(bare), exist(furnished), exist(stranger))
	}
}

func TestBaseThatOthersCouldSwapIsRefused(t *testing.T) {
	bpftest.RequireRoot(t)
	tmp := t.TempDir()
	open, link, foreign := filepath.Join(tmp, "open"), filepath.Join(tmp, "link"), filepath.Join(tmp, "foreign")
	steps := []error{
		os.Mkdir(open, 0o755), os.Chmod(open, 0o777),
		os.Symlink(tmp, link),
		os.Mkdir(foreign, 0o755), os.Chown(foreign, bpftest.Nobody, bpftest.Nobody),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{open, link, foreign} {
		if _, err := Settle(base); !errors.Is(err, ErrBase) || !strings.Contains(err.Error(), base) {
			t.Errorf("settled in %s: %v", base, err)
		}
	}
}

func TestMountRefusedLeavesNothing(t *testing.T) {
	bpftest.RequireRoot(t)
	base := t.TempDir()
	for _, dir := range []string{filepath.Dir(base), base} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(base, bpftest.Nobody, bpftest.Nobody); err != nil {
		t.Fatal(err)
	}
	err := bpftest.AsUser(t, bpftest.Nobody, func() error {
		_, err := moveIn(base)
		return err
	})
	if !errors.Is(err, unix.EPERM) {
		t.Fatalf("mounted as nobody: %v", err)
	}
	if left, err := os.ReadDir(base); len(left) != 0 || err != nil {
		t.Fatalf("left after the error: %v, %v", left, err)
	}
}
