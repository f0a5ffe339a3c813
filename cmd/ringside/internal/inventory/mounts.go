// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/ringside-bpf/ringside/reader"
)

// rootError tells somebody who named a directory without a bpffs where there
// is one.
func rootError(dir string, err error) error {
	var pin *reader.PinError
	if !errors.Is(err, reader.ErrNotBPFFS) || !errors.As(err, &pin) {
		return err
	}
	better := *pin
	better.Remedy = "mount one: mount -t bpf bpf /sys/fs/bpf"
	if f, err := os.Open("/proc/self/mounts"); err == nil {
		defer f.Close()
		if mounted := bpffsMounts(f); len(mounted) > 0 {
			better.Remedy = "name one that is: --bpffs " + strings.Join(mounted, ", ")
		}
	}
	return &better
}

// bpffsMounts finds the mounted ones in the kernel's list of mounts.
func bpffsMounts(mounts io.Reader) []string {
	var dirs []string
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > 2 && f[2] == "bpf" {
			dirs = append(dirs, unescape.Replace(f[1]))
		}
	}
	return dirs
}
