// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"golang.org/x/sys/unix"
)

// playCounted counts its own calls under the numbers it knows itself by, and says "pid calls".
func playCounted() error {
	d, err := Load()
	if err != nil {
		return err
	}
	defer d.Close()
	m, err := d.table(Syscalls)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	getppid(100)
	calls, err := callsOf(m, ownKey(unix.SYS_GETPPID))
	if err != nil {
		return err
	}
	fmt.Println(os.Getpid(), calls)
	return nil
}

func TestInAPIDNamespaceOfItsOwn(t *testing.T) {
	bpftest.RequireRoot(t)
	_, said := startRole(t, "counted", "", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID})
	if said != "1 100" {
		t.Fatalf("process and calls: %s; want 1 100", said)
	}
}

func TestOwnPIDNamespace(t *testing.T) {
	ns, err := ownPIDNamespace()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); errors.Is(err, os.ErrNotExist) {
		bpftest.Skip(t, "needs /proc: %v", err)
	}
	if initial := st.Ino == initialPIDNamespace; initial != (ns == pidNamespace{}) {
		t.Fatalf("namespace inode %#x became %+v", st.Ino, ns)
	}
}
