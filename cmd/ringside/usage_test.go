// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// TestCommandLines runs what needs neither root nor maps: exit codes are a
// contract, and a message is one line that says what to do.
func TestCommandLines(t *testing.T) {
	s := newShell(t)
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"", exitOK, "ringside serve --map"},
		{"--version", exitOK, "ringside"},
		{"serve --help", exitOK, "--allow-uid"},
		{"version", exitOK, fmt.Sprintf(", ring ABI %d.%d, go1.", shm.ABIMajor, shm.ABIMinor)},
		{"version now", exitUsage, `unexpected argument "now"`},
		{"serv", exitUsage, `ringside: unknown verb "serv": Did you mean "serve"? See 'ringside --help'`},
		{"xyzzy", exitUsage, `unknown verb "xyzzy"`},
		{"serve --mpa /x", exitUsage, "ringside: flag provided but not defined: -mpa; see 'ringside serve --help'"},
		{"serve /sys/fs/bpf/flows", exitUsage, `unexpected argument "/sys/fs/bpf/flows"`},
		{"serve", exitUsage, "there is nothing to read; give --map PIN or --config FILE; 'ringside maps' lists what is pinned here"},
		{"serve --map flows", exitUsage, `"flows" is relative; write the whole path`},
		{"serve --map /p=soon", exitUsage, `"soon" is no duration`},
		{"serve --map /p --allow-uid me", exitUsage, `--allow-uid: "me" is no numeric id`},
		{"serve --map /p --ring-bytes 16MB", exitUsage, `--ring-bytes: "16MB" is no size`},
		{"serve --map /p --duty 200", exitUsage, `--duty: "200" is no percentage`},
		{"serve --config f --map /p", exitUsage, "--map: does not go with --config; set maps in the file"},
		{"serve --config /nowhere/f", exitConfig, "/nowhere/f: no such file"},
		{"serve --config /etc", exitConfig, "/etc: is a directory; name a file"},
		{"status --socket /etc/passwd", exitConfig, "/etc/passwd: not a socket; name the sidecar's with --socket"},
		{"tail --file /nowhere/f", exitConfig, "/nowhere/f: no such file or directory; 'ringside record FILE' makes one"},
		{"--log-level loud serve --map /p", exitUsage, `--log-level "loud": use debug, info, warn or error`},
		{"serve --log-format xml --map /p", exitUsage, `--log-format "xml": use json or text`},
		// Flags of later versions are refused, not ignored.
		{"serve --map /p --lockdown", exitUsage, "flag provided but not defined: -lockdown"},
		{"status -o yaml", exitUsage, `-o "yaml": use one of [table json]`},
		{"status", exitUnavailable, "no sidecar: there is no such file; is `ringside serve` running"},
		{"status --watch", exitUnavailable, "no sidecar"},
		{"status --socket /nowhere/s", exitUnavailable, "/nowhere/s"},
		{"validate", exitUsage, "give --config FILE"},
		{"serve --map /nowhere/flows --socket /nowhere/s", exitConfig, "no bpffs is mounted there"},
		{"serve --map /nowhere/*", exitConfig, "no bpffs is mounted there"},
	} {
		r := s.run(strings.Fields(tt.args)...)
		if r.exits(tt.code, tt.says); t.Failed() {
			t.Fatalf("ringside %s", tt.args)
		}
		// The help and the version are answers; everything else is a message.
		if answer := r.code == exitOK; answer != (r.stdout != "") {
			t.Errorf("ringside %s: on standard output: %q", tt.args, r.stdout)
		}
	}
}

func TestVersionDocument(t *testing.T) {
	var v versionInfo
	if err := json.Unmarshal([]byte(newShell(t).run("version", "-o", "json").exits(exitOK).stdout), &v); err != nil {
		t.Fatal(err)
	}
	if v.SchemaVersion != 1 || v.RingABI != fmt.Sprintf("%d.%d", shm.ABIMajor, shm.ABIMinor) || v.Version == "" || !strings.HasPrefix(v.Platform, "linux/") {
		t.Fatalf("%+v", v)
	}
}

func TestValidate(t *testing.T) {
	s := newShell(t)
	file := func(text string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "ringside.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := file("version: 1\nmaps:\n - {path: /sys/fs/bpf/flows, every: 1s}\n - {path: '/sys/fs/bpf/s_*'}\n")
	s.run("validate", "--config", good).exits(exitOK, good+": valid: maps: 2, rings: 1, socket: "+s.socket+"\n")

	var v verdict
	s.run("validate", "--config", good, "-o", "json").exits(exitOK).decode(&v)
	if v.SchemaVersion != 1 || v.File != good || !v.Valid || v.Maps != 2 || v.Rings != 1 || v.Socket != s.socket || len(v.Problems) != 0 {
		t.Errorf("%+v", v)
	}

	bad := file("version: 1\nreader: {duty: 0.2}\nmaps:\n  - path: flows\n    mode: events2\n")
	want := `ringside: configuration is not valid: 3 problems
  ` + bad + `:2: reader.duty: "0.2" is no percentage; write it as 20%, of one CPU
  ` + bad + `:4: maps[0].path: "flows" is relative; write the whole path
  ` + bad + `:5: maps[0].mode: "events2" is unknown; use full or changes or events
`
	for _, verb := range []string{"validate", "serve"} { // which refuses in the same words
		if r := s.run(verb, "--config", bad).exits(exitConfig); r.stderr != want || r.stdout != "" {
			t.Errorf("%s: got\n%s%s\nwant\n%s", verb, r.stdout, r.stderr, want)
		}
	}
	v = verdict{}
	r := s.run("validate", "--config", bad, "-o", "json").exits(exitConfig)
	r.decode(&v)
	last := problem{bad + ":5: maps[0].mode", `"events2" is unknown; use full or changes or events`}
	if r.stderr != want || v.Valid || len(v.Problems) != 3 || v.Problems[2] != last {
		t.Errorf("%s%+v", r.stderr, v)
	}
	s.run("validate", "--config", "/nowhere", "-o", "json").exits(exitConfig, "/nowhere")
	s.run("validate", "--config", good, "-o", "xml").exits(exitUsage, `-o "xml"`)

	group := file("version: 1\nrings: [{name: main, allow: {groups: [no-such-group]}}]\nmaps: [{path: /nowhere/flows}]\n")
	s.run("validate", "--config", group).exits(exitOK)
	s.run("serve", "--config", group).exits(exitConfig, group+`:2: rings[0]: allow.groups: no such group "no-such-group"; create it with 'groupadd --system no-such-group'`)
}

// A variable that is set to nothing is not set.
func TestEmptySocketVariable(t *testing.T) {
	s := newShell(t)
	s.socket = ""
	out := s.run("status")
	if !strings.Contains(out.stdout+out.stderr, defaultSocket) {
		t.Errorf("%+v", out)
	}
}
