// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// rows are key and value of JSON lines, sorted: a hash has no order.
func rows(t *testing.T, lines string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(lines) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
		_, row, ok := strings.Cut(line, `"key":`)
		if !ok {
			t.Errorf("no key: %s", line)
		}
		all = append(all, `{"key":`+strings.TrimSpace(row))
	}
	slices.Sort(all)
	return all
}

func TestTailPrintsTypedRowsToNobody(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve("--allow-uid", fmt.Sprint(bpftest.Nobody))
	out := s.as(bpftest.Nobody).run("tail", "-o", "jsonl", "-n", "2").exits(exitOK,
		`{"ring":"main","map":"typed","kind":"row","seq":0,"scan":1,"time_ns":`)
	want := []string{
		`{"key":{"id":0,"port":53,"proto":17},"value":{"bytes":9223372036854775808,"point":{"x":-1,"y":2},"hist":[10,20,30],` +
			`"comm":"curl","state":"OPEN","fin":1,"window":1500,"addr":{"v4":16777226,"raw":"0a000001"},"mac":"deadbeef"}}`,
		`{"key":{"id":1,"port":53,"proto":17},"value":{"bytes":9223372036854775809,"point":{"x":-1,"y":2},"hist":[10,20,30],` +
			`"comm":"a\"b\\","state":7,"fin":1,"window":1500,"addr":{"v4":16777226,"raw":"0a000001"},"mac":"deadbeef"}}`,
	}
	if got := rows(t, out.stdout); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTailPrintsRowsOfOtherShapes(t *testing.T) {
	s := newRootShell(t)
	s.pin("percpu", perCPUMap)
	s.pin("plain", plainMap)
	s.serve()
	var perCPU []string
	for i := range ebpf.MustPossibleCPU() {
		perCPU = append(perCPU, fmt.Sprint(i+1))
	}
	for name, want := range map[string]string{
		"percpu": `{"key":7,"value":[` + strings.Join(perCPU, ",") + `]}`,
		"plain":  `{"key":"01ff","value":"68656c6c6f"}`,
	} {
		out := s.run("tail", "-o", "jsonl", "-n", "1", "--map", name).exits(exitOK)
		if got := rows(t, out.stdout); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestTailPrintsTables(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve()
	out := s.run("tail", "-n", "1").exits(exitOK, "==> typed <==", "TIME", "key.id", "value.point.x", "value.window",
		"value.addr.v4", "9223372036854775", "[10,20,30]", "1500")
	if lines := strings.Count(out.stdout, "\n"); lines != 3 || strings.Contains(out.stdout, "\x1b") {
		t.Errorf("want a heading, a head and a row without colours; got\n%q", out.stdout)
	}
}

func TestTailEndsQuietly(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve()

	t.Run("Ctrl-C", func(t *testing.T) {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			p := s.start("tail", "-o", "jsonl")
			s.attached("ringside tail")
			p.signal(sig)
			if out := p.wait().exits(exitOK); out.stderr != "" {
				t.Errorf("%v: %s", sig, out.stderr)
			}
		}
	})
	t.Run("broken pipe", func(t *testing.T) {
		cmd := s.command("tail", "-o", "jsonl")
		var complaint strings.Builder
		cmd.Stderr = &complaint
		pipe, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(pipe).ReadString('\n'); err != nil {
			t.Error(err)
		}
		pipe.(io.Closer).Close() // as head does once it has seen enough
		if err := cmd.Wait(); err != nil || complaint.Len() > 0 {
			t.Errorf("%v, %q", err, complaint.String())
		}
	})
}

func TestTailSurvivesARestart(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := newRootShell(t)
	s.pin("typed", typedMap)
	first := s.serve()
	p := s.start("tail", "-o", "jsonl")
	s.attached("ringside tail")
	first.signal(syscall.SIGTERM)
	first.wait().exits(exitOK)
	second := s.serve()
	s.attached("ringside tail")
	second.signal(syscall.SIGKILL)
	second.wait()
	out := p.wait().exits(exitUnavailable, `"kind":"restart"`, "waiting 5s for it to come back", "did not come back")
	before, after, _ := strings.Cut(out.stdout, `"kind":"restart"`)
	if !strings.Contains(before, `"kind":"row"`) || !strings.Contains(after, `"kind":"row"`) {
		t.Errorf("want rows before and after the restart; got %d and %d bytes", len(before), len(after))
	}
}

func TestTailSaysThatTheSidecarHangs(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := newRootShell(t)
	s.pin("typed", typedMap)
	sidecar := s.serve()
	tail := s.command("tail", "-o", "jsonl")
	messages, err := tail.StderrPipe()
	if err == nil {
		err = tail.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { tail.Process.Kill() })
	defer late.Stop()
	s.attached("ringside tail")
	sidecar.signal(syscall.SIGSTOP)
	line, _ := bufio.NewReader(messages).ReadString('\n') // a failure shows in what it says
	if !strings.Contains(line, "has not beaten for 2 s; it hangs or is stopped") {
		t.Errorf("says %q", line)
	}
	sidecar.signal(syscall.SIGCONT)
	if err := tail.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := tail.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTailThatMayNot(t *testing.T) {
	s := newRootShell(t)
	s.pin("typed", typedMap)
	s.serve("--allow-uid", "1")
	s.as(bpftest.Nobody).run("tail").exits(exitPermission, "--allow-uid 65534")
	s.run("tail", "--map", "nope").exits(exitConfig, `no source "nope"`, "typed")
	s.run("tail", "--ring", "nope").exits(exitConfig, `no ring "nope"`)
}

func TestTailUsage(t *testing.T) {
	s := newShell(t)
	s.run("tail").exits(exitUnavailable, s.socket, "is `ringside serve` running")
	s.run("tail", "--socket", "/nonexistent/sock").exits(exitUnavailable, "/nonexistent/sock")
	for _, args := range [][]string{
		{"-o", "xml"}, {"--from", "noon"}, {"-n", "0"}, {"-n", "-3"}, {"extra"}, {"--nope"},
	} {
		s.run(append([]string{"tail"}, args...)...).exits(exitUsage)
	}
}
