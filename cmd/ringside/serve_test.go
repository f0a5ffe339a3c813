// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
)

// look is what `status -o json` shows, and its exit code.
func (s *shell) look() (status.Document, int) {
	s.t.Helper()
	r := s.run("status", "-o", "json")
	var doc status.Document
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil && r.code <= exitUnhealthy {
		s.t.Fatalf("%v in %s", err, r.stdout)
	}
	return doc, r.code
}

// serving starts a sidecar and waits until it answers.
func (s *shell) serving(flags ...string) *process {
	s.t.Helper()
	p := s.start(append([]string{"serve", "--socket", s.socket}, flags...)...)
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	return p
}

func TestServeWaitsForAPin(t *testing.T) {
	s := newRootShell(t)
	p := s.serving("--map", s.bpffs+"/flows=10ms", "--read-when-idle")
	doc, code := s.look()
	if code != exitUnhealthy || doc.Health.State != status.Failed || doc.Health.Reasons[0].Code != status.SourceMissing {
		t.Fatalf("%d: %+v", code, doc.Health)
	}
	s.run("status").exits(exitUnhealthy, "source_missing: source flows: "+s.bpffs+"/flows: nothing is pinned there", "nothing is pinned in "+s.bpffs+" yet")
	s.pin("flows", plainMap)
	s.await("rows", func() bool { doc, code = s.look(); return code == exitOK && doc.Rings[0].Rows > 0 })
	s.run("status", "--brief").exits(exitOK, "ok: 1 sources, 0 consumers\n")
	if brief := s.run("status", "--brief", "-o", "json").exits(exitOK).stdout; brief != `{"schema_version":1,"health":{"state":"ok","reasons":[]}}`+"\n" {
		t.Errorf("brief, for a program: %s", brief)
	}
	p.signal(syscall.SIGTERM)
	r := p.wait().exits(exitOK, `"message":"cannot read the map"`, `"code":"source_missing"`, `"message":"ended"`)
	if r.stdout != "" {
		t.Errorf("logs belong on standard error: %s", r.stdout)
	}
	if _, err := os.Lstat(s.socket); !os.IsNotExist(err) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestServeRefusesWhatIsNoMap(t *testing.T) {
	s := newRootShell(t)
	if err := bpftest.NewProgram(t, "prog").Pin(s.bpffs + "/prog"); err != nil {
		t.Fatal(err)
	}
	if err := bpftest.NewLink(t).Pin(s.bpffs + "/link"); err != nil {
		t.Fatal(err)
	}
	s.pin("ringbuf", ringbufMap)
	s.run("serve", "--socket", s.socket, "--map", s.bpffs+"/prog").exits(exitConfig, s.bpffs+"/prog: not a map: it is a program", "ringside maps")
	s.run("serve", "--socket", s.socket, "--map", s.bpffs+"/link").exits(exitConfig, "not a map: it is a link")
	s.run("serve", "--socket", s.socket, "--map", s.bpffs+"/ringbuf").exits(exitConfig, "a ringbuf map")

	// Beside something that can be read they are problems, no more.
	s.pin("flows", plainMap)
	s.serving("--map", s.bpffs+"/prog", "--map", s.bpffs+"/ringbuf", "--map", s.bpffs+"/flows")
	doc, code := s.look()
	if code != exitUnhealthy || doc.Health.State != status.Degraded || len(doc.Health.Reasons) != 2 ||
		doc.Health.Reasons[0].Code != status.SourceNotMap || doc.Health.Reasons[1].Code != status.SourceUnsupported {
		t.Fatalf("%d: %+v", code, doc.Health)
	}
}

func TestServeRefusesARingThatIsTooSmall(t *testing.T) {
	s := newRootShell(t)
	s.pin("wide", func() (*ebpf.Map, error) {
		return ebpf.NewMap(&ebpf.MapSpec{Name: "wide", Type: ebpf.Hash, KeySize: 4, ValueSize: 1000, MaxEntries: 4})
	})
	s.run("serve", "--socket", s.socket, "--map", s.bpffs+"/wide", "--ring-bytes", "4KiB").exits(exitConfig,
		"a row of 4 + 1000 bytes takes 1088 in a frame, a frame is at most an eighth of a ring of 4KiB, which is 512 with its header; set --ring-bytes (rings[].bytes) to at least 16KiB")
	s.pin("huge", func() (*ebpf.Map, error) {
		return ebpf.NewMap(&ebpf.MapSpec{Name: "huge", Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 10_000_000, Flags: unix.BPF_F_NO_PREALLOC})
	})
	s.run("serve", "--socket", s.socket, "--map", s.bpffs+"/huge").exits(exitConfig,
		"10000000 rows of 4 + 32 bytes, each aligned to 8, are 381.5MiB a scan, 4 scans are 1.5GiB, and a ring is at most 256MiB unless you say so")
	s.serving("--map", s.bpffs+"/huge", "--ring-bytes", "1MiB") // who knows that it is never full
}

func TestDeniedPinSaysWhy(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	path := s.bpffs + "/flows"
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := s.as(bpftest.Nobody)
	nobody.socket = filepath.Join(s.open(), "s")
	nobody.run("serve", "--socket", nobody.socket, "--map", path).exits(exitPermission,
		path+": permission denied (mode 0600", "owner uid 0", "own uid 65534", "chmod o+r "+path)
}

// open makes a directory where anyone may make a socket.
func (s *shell) open() string {
	s.t.Helper()
	dir := filepath.Join(filepath.Dir(s.socket), "open")
	if err := os.Mkdir(dir, 0o777); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // whatever the umask
		s.t.Fatal(err)
	}
	return dir
}

// TestServeWithoutRoot: a pin that may be read is all it takes.
func TestServeWithoutRoot(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	if err := os.Chmod(s.bpffs+"/flows", 0o644); err != nil {
		t.Fatal(err)
	}
	nobody := s.as(bpftest.Nobody)
	nobody.socket = filepath.Join(s.open(), "s")
	nobody.serving("--map", s.bpffs+"/flows=10ms", "--read-when-idle")
	nobody.await("rows", func() bool {
		doc, code := nobody.look()
		return code == exitOK && doc.Rings[0].Rows > 0 && len(doc.Sidecar.Capabilities) == 0
	})
}

func TestSocketIsNeverTakenFromSomebody(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	serve := []string{"serve", "--socket", s.socket, "--map", s.bpffs + "/flows"}
	first := s.serving(serve[3:]...)
	s.run(serve...).exits(exitConfig, s.socket, "socket is in use", "another process listens")
	first.signal(syscall.SIGKILL)
	first.wait()
	s.run("status").exits(exitUnavailable, "nobody listens on it; is `ringside serve` running?")
	s.serving(serve[3:]...) // takes the stale file's place

	missing := filepath.Join(filepath.Dir(s.socket), "missing")
	s.run("serve", "--socket", missing+"/s", "--map", s.bpffs+"/flows").exits(exitConfig, "no such directory: "+missing, "mkdir -p "+missing)
	file := filepath.Join(filepath.Dir(s.socket), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("serve", "--socket", file, "--map", s.bpffs+"/flows").exits(exitConfig, "not a socket")
}

func TestStatusOfASidecarThatHangs(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := newRootShell(t)
	s.pin("flows", plainMap)
	p := s.serving("--map", s.bpffs+"/flows")
	p.signal(syscall.SIGSTOP)
	s.run("status").exits(exitUnavailable, "socket accepts, no reply")
	p.signal(syscall.SIGCONT)
	s.run("status").exits(exitOK, "idle")
}

func TestWhoMaySeeTheStatus(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	p := s.serving("--map", s.bpffs+"/flows", "--allow-uid", "4711")
	s.as(4711).run("status", "--brief").exits(exitOK, "idle: 1 sources")
	s.as(4712).run("status").exits(exitPermission, "uid 4712 may not see the status", "--allow-uid 4712")
	p.signal(syscall.SIGINT)
	p.wait().exits(exitOK)

	// Nobody was let in: the socket itself keeps everyone out.
	p = s.serving("--map", s.bpffs+"/flows")
	s.as(4711).run("status").exits(exitPermission, s.socket, "permission denied", "mode 0600", "owner uid 0", "own uid 4711")
	p.signal(syscall.SIGTERM)
	if r := p.wait(); !strings.Contains(r.stderr, "--allow-uid") {
		t.Errorf("serve does not say how to let somebody in:\n%s", r.stderr)
	}
}

func TestStatusWatch(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	s.serving("--map", s.bpffs+"/flows")
	w := s.command("status", "--watch", "--brief")
	out, err := w.StdoutPipe()
	if err == nil {
		err = w.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(patience, func() { w.Process.Kill() }).Stop()
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() || lines.Text() != "idle: 1 sources, 0 consumers" {
			t.Errorf("got %q, %v", lines.Text(), lines.Err())
		}
	}
	if err := errors.Join(w.Process.Signal(syscall.SIGINT), w.Wait()); err != nil {
		t.Fatalf("Ctrl-C: %v", err)
	}
}

func TestServeFromAFile(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	s.pin("typed", typedMap)
	file := filepath.Join(s.open(), "ringside.yaml")
	text := `version: 1
socket: {path: ` + s.socket + `, mode: "0600"}
reader: {duty: 50%, read_when_idle: true}
rings:
  - {name: main, bytes: 2MiB}
  - {name: second, allow: {uids: [4711]}}
maps:
  - {path: ` + s.bpffs + `/flows, name: renamed, every: 10ms}
  - {path: "` + s.bpffs + `/ty*", ring: second, every: 10ms}
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run("validate", "--config", file).exits(exitOK, "maps: 2, rings: 2")
	p := s.start("serve", "--config", file, "--log-format", "text")
	s.await("rows in both", func() bool {
		doc, code := s.look()
		return code == exitOK && doc.Rings[0].Rows > 0 && doc.Rings[1].Rows > 0 && doc.Rings[0].Bytes == 2<<20 &&
			doc.Rings[0].Sources[0].Name == "renamed" && doc.Rings[1].Sources[0].Name == "typed"
	})
	p.signal(syscall.SIGTERM)
	p.wait().exits(exitOK, "INF serving", "INF ended")
}

// With percpu: sum the CPUs' values are added up in the kernel, and a row looks
// like that of a map that is not per CPU.
func TestServeSumsCPUs(t *testing.T) {
	s := newRootShell(t)
	s.pin("hits", perCPUMap)
	file := filepath.Join(filepath.Dir(s.socket), "sum.yaml")
	text := "version: 1\nsocket: {path: " + s.socket + "}\nmaps: [{path: " + s.bpffs + "/hits, every: 20ms, percpu: sum}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start("serve", "--config", file)
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	cpus := ebpf.MustPossibleCPU()
	s.run("tail", "-n", "1", "-o", "jsonl").exits(exitOK, fmt.Sprintf(`"key":7,"value":%d}`, cpus*(cpus+1)/2))
	if doc, _ := s.look(); doc.Rings[0].Sources[0].ValueSize != 8 || doc.Rings[0].Sources[0].Engine != "pump" {
		t.Errorf("%+v", doc.Rings[0].Sources[0])
	}
}

// A log that nobody reads any more is no reason to leave the consumers alone.
func TestServeOutlivesTheReaderOfItsLog(t *testing.T) {
	s := newRootShell(t)
	s.pin("flows", plainMap)
	log, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command("serve", "--socket", s.socket, "--map", s.bpffs+"/flows", "--allow-uid", "4712")
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	stderr.Close()
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	log.Close()
	s.as(4711).run("tail").exits(exitPermission) // which is logged
	s.run("status").exits(exitOK)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by %v", err)
	}
}
