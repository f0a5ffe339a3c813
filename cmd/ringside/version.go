// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/shm"
)

// version is set by the linker (-X main.version=v1.2.3) and by nobody else.
var version string

// versionInfo is the document of `version -o json`.
type versionInfo struct {
	SchemaVersion int    `json:"schema_version"`
	Version       string `json:"version"`
	Commit        string `json:"commit,omitempty"`
	RingABI       string `json:"ring_abi"`
	Go            string `json:"go"`
	Platform      string `json:"platform"`
}

// buildVersion tells what this binary was built from: the release it was
// stamped with, else what the go command recorded.
func buildVersion() versionInfo {
	v := versionInfo{
		SchemaVersion: 1, Version: version,
		RingABI: fmt.Sprintf("%d.%d", shm.ABIMajor, shm.ABIMinor),
		Go:      runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		if v.Version == "" {
			v.Version = build.Main.Version
		}
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	return v
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print what this binary is and which rings it speaks",
		Flags: []cli.Flag{outputFlag("text or json", "text")},
		Action: func(c *cli.Context) error {
			format, err := outputFormat(c, "text", "json")
			if err == nil {
				err = noArguments(c)
			}
			if err != nil {
				return err
			}
			return printVersion(c.App.Writer, buildVersion(), format)
		},
	}
}

func printVersion(w io.Writer, v versionInfo, format string) error {
	if format == "json" {
		return printLine(w, v)
	}
	commit := ""
	if v.Commit != "" {
		commit = " (" + v.Commit + ")"
	}
	_, err := fmt.Fprintf(w, "ringside %s%s, ring ABI %s, %s, %s\n", v.Version, commit, v.RingABI, v.Go, v.Platform)
	return err
}
