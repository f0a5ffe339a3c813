// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// The example programs are built as a user would and run against a sidecar.
func TestExamplesRun(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("needs the go command: %v", err)
	}
	bin := t.TempDir()
	if out, err := exec.Command(tool, "build", "-o", bin+"/", "./examples/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := open(t, socketPath(t), 1<<20)
	flows := addFeed(t, s.ring, flowInfo("flows"))
	calls := addFeed(t, s.ring, shm.SourceInfo{
		Name: "syscalls", KeySize: 12, ValueSize: 16, MapValueSize: 8, CPUs: 2, Flags: shm.SourcePerCPU,
		Schema: (&schema.Schema{Key: structOf("struct syscall_key", 12, field("tgid", 0, u32), field("tid", 4, u32), field("nr", 8, s32)),
			Value: structOf("struct syscall_count", 8, field("calls", 0, u64))}).Encode(),
	})
	one := connect{PID: 7, Port: 443}
	addFeed(t, s.ring, eventInfo("connects")).events(t, bytesOf(&one))
	flows.must(t, 1, 3)
	row := func(process byte, a, b uint64) []byte { return append([]byte{process, 11: 0}, words(a, b)...) }
	calls.raw(t, 12, 16, row(7, 1, 2), row(8, 30, 40), row(7, 5, 0))
	sum := makeFlow(0).Row + makeFlow(1).Row + makeFlow(2).Row
	total, _ := json.Marshal(sum)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"tail", nil, `flows {"id":2} {"row":2,`},
		{"tail", nil, `syscalls {"tgid":8,"tid":0,"nr":0} [{"calls":30},{"calls":40}]`},
		{"toptalkers", nil, "[8 7]"},
		{"livetable", []string{"flows"}, `+ {"id":2} {"row":2,`},
		{"eventtap", []string{"connects"}, `{"pid":7,"port":443}`},
		{"lease", []string{"flows", "value.row"}, string(total)},
	} {
		t.Run(test.name, func(t *testing.T) { runExample(t, s.path, filepath.Join(bin, test.name), test.args, test.want) })
	}
}

// runExample runs a program until it prints a line that begins as wanted.
func runExample(t *testing.T, socket, program string, args []string, want string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), SocketEnv+"="+socket)
	cmd.Stderr = os.Stderr
	// As Ctrl-C does.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := false
	for scan := bufio.NewScanner(out); !found && scan.Scan(); {
		found = strings.HasPrefix(scan.Text(), want)
	}
	if !found {
		t.Errorf("did not print %s", want)
	}
	cancel()
	_ = cmd.Wait() // it was interrupted
}
