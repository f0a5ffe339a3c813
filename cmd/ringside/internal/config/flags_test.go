// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFlagsMakeTheConfigOfAFile(t *testing.T) {
	flags := Flags{
		Maps: []string{"/p/flows=1s", "/p/*"}, Socket: "/tmp/s", AllowUIDs: []string{"1000"}, AllowGIDs: []string{"5"},
		RingBytes: "16MiB", Consistency: "locked", MaxHold: "1ms", Duty: "50%", ReadWhenIdle: true,
	}
	c, err := flags.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse("f", []byte(`version: 1
socket: {path: /tmp/s}
reader: {duty: 50%, max_hold: 1ms, read_when_idle: true}
rings: [{name: main, bytes: 16MiB, allow: {uids: [1000], gids: [5]}}]
maps:
  - {path: /p/flows, every: 1s, consistency: locked}
  - {path: "/p/*", consistency: locked}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Maps {
		c.Maps[i].Origin, d.Maps[i].Origin = "", ""
	}
	if !slices.Equal(c.Maps, d.Maps) || c.Socket != d.Socket || !reflect.DeepEqual(c.Reader, d.Reader) || c.Rings[0].Bytes != d.Rings[0].Bytes ||
		!slices.Equal(c.Rings[0].Allow.UIDs, d.Rings[0].Allow.UIDs) || !slices.Equal(c.Rings[0].Allow.GIDs, d.Rings[0].Allow.GIDs) {
		t.Fatalf("flags %+v\nfile  %+v", c, d)
	}
}

func TestMapFlagSplitsAtTheLastEqualsSign(t *testing.T) {
	for _, tt := range []struct {
		in, path string
		every    time.Duration
	}{
		{"/p/a", "/p/a", DefaultEvery},
		{"/p/a=2s", "/p/a", 2 * time.Second},
		{"/p/a=b=2s", "/p/a=b", 2 * time.Second},
		{"/p//[a-c]*=1ms", "/p/[a-c]*", time.Millisecond},
	} {
		c, err := Flags{Maps: []string{tt.in}}.Resolve("")
		if err != nil || c.Maps[0].Path != tt.path || c.Maps[0].Every != tt.every {
			t.Errorf("%s: %+v, %v", tt.in, c, err)
		}
	}
}

func TestFlagProblems(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		flags      Flags
	}{
		{"nothing", "there is nothing to read; give --map PIN or --config FILE", Flags{}},
		{"no cadence", `--map /p/a=b: "b" is no duration`, Flags{Maps: []string{"/p/a=b"}}},
		{"escape", "takes one more, as in /p/a=b=100ms", Flags{Maps: []string{"/p/a=b"}}},
		{"relative", `"a" is relative`, Flags{Maps: []string{"a"}}},
		{"uid", `--allow-uid: "me" is no numeric id`, Flags{Maps: []string{"/p/a"}, AllowUIDs: []string{"me"}}},
		{"no id", "is no numeric id", Flags{Maps: []string{"/p/a"}, AllowGIDs: []string{"4294967295"}}},
		{"duty", "--duty: 0% is out of bounds", Flags{Maps: []string{"/p/a"}, Duty: "0%"}},
		{"beside a file", "--map: does not go with --config; set maps in the file", Flags{File: "f", Maps: []string{"/p/a"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.flags.Resolve("")
			if !errors.Is(err, ErrFlags) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSocketPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("version: 1\nsocket: {path: /file}\nmaps: [{path: /p/a}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	without := file + "-without"
	if err := os.WriteFile(without, []byte("version: 1\nmaps: [{path: /p/a}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pins := []string{"/p/a"}
	for _, tt := range []struct {
		flags     Flags
		env, want string
	}{
		{Flags{Maps: pins}, "", DefaultSocket},
		{Flags{Maps: pins}, "/env", "/env"},
		{Flags{Maps: pins, Socket: "/flag"}, "/env", "/flag"},
		{Flags{File: file}, "/env", "/file"},
		{Flags{File: file, Socket: "/flag"}, "/env", "/flag"},
		{Flags{File: without}, "/env", "/env"},
		{Flags{File: without}, "", DefaultSocket},
	} {
		c, err := tt.flags.Resolve(tt.env)
		if err != nil || c.Socket.Path != tt.want {
			t.Errorf("%+v, environment %q: got %+v, %v; want %s", tt.flags, tt.env, c, err, tt.want)
		}
	}
}
