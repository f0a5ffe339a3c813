// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds keep a typing error from becoming a busy loop or a source that is
// never read.
const (
	minEvery   = time.Millisecond
	maxEvery   = 24 * time.Hour
	minMaxHold = 50 * time.Microsecond
	maxMaxHold = time.Second
	maxDuty    = 64.0 // of one CPU
	maxCPUs    = 1024 // what an affinity mask can name
	LeastBytes = 4 << 10
	maxBytes   = 4 << 30 // what a ring's format can describe
)

// ParseDuration reads "100ms" within bounds.
func ParseDuration(s string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration; write a number with a unit, such as 100ms or 2s", s)
	}
	if d < least || d > most {
		return 0, fmt.Errorf("%v is out of bounds; use %v to %v", d, least, most)
	}
	return d, nil
}

// ParseEvery reads a cadence.
func ParseEvery(s string) (time.Duration, error) { return ParseDuration(s, minEvery, maxEvery) }

// ParseMaxHold reads the longest stay in the kernel to aim for.
func ParseMaxHold(s string) (time.Duration, error) { return ParseDuration(s, minMaxHold, maxMaxHold) }

// parseLatency reads a latency that the number of workers follows.
func parseLatency(s string) (time.Duration, error) {
	return ParseDuration(s, 10*time.Microsecond, 10*time.Second)
}

// parseCPUs reads one CPU, or a range such as 4-7.
func parseCPUs(s string) ([]int, error) {
	first, last, ranged := strings.Cut(s, "-")
	if !ranged {
		last = first
	}
	from, err := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err != nil || err2 != nil || from < 0 || to < from || to >= maxCPUs {
		return nil, fmt.Errorf("%q is no CPU; write its number, or a range such as 4-7, below %d", s, maxCPUs)
	}
	cpus := make([]int, 0, to-from+1)
	for cpu := from; cpu <= to; cpu++ {
		cpus = append(cpus, cpu)
	}
	return cpus, nil
}

// ParseBytes reads "16MiB". Decimal units are refused because a ring has a
// power of two of bytes, and 16MB is none.
func ParseBytes(s string) (uint64, error) {
	units := []struct {
		suffix string
		factor float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no size; write bytes, or KiB, MiB, GiB, such as 16MiB", s)
		}
		if size := float64(n) * u.factor; size < LeastBytes || size > maxBytes {
			return 0, fmt.Errorf("%s is out of bounds; use 4KiB to 4GiB", s)
		}
		return n * uint64(u.factor), nil
	}
	panic("config: the empty suffix matches everything")
}

// ParsePercent reads "20%" as 0.2.
func ParsePercent(s string) (float64, error) {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || math.IsNaN(n) {
		return 0, fmt.Errorf("%q is no percentage; write it as 20%%, of one CPU", s)
	}
	if n <= 0 || n > maxDuty*100 {
		return 0, fmt.Errorf("%s is out of bounds; use more than 0%% and at most %d%%", s, int(maxDuty*100))
	}
	return n / 100, nil
}

// parseMode reads the mode of the socket file.
func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is no file mode; write it in octal, such as \"0660\"", s)
	}
	if n&0o200 == 0 {
		return 0, fmt.Errorf("mode %s lets not even its owner connect; connecting needs the write bit, such as \"0660\"", s)
	}
	return fs.FileMode(n), nil
}

// ParseID reads a uid or gid. The largest number is what the kernel takes for
// "no id".
func ParseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == math.MaxUint32 {
		return 0, fmt.Errorf("%q is no numeric id; 'id -u NAME' tells it", s)
	}
	return uint32(n), nil
}

// checkName keeps names printable and quotable: they travel through the ring,
// the socket, JSON and terminals.
func checkName(s string, most int) error {
	if s == "" || len(s) > most {
		return fmt.Errorf("%q has %d bytes; use 1 to %d", s, len(s), most)
	}
	for _, r := range s {
		if !strings.ContainsRune("-_.:/@+", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return fmt.Errorf("%q has the character %q; use letters, digits and -_.:/@+", s, r)
		}
	}
	return nil
}

// choose accepts one of a few words.
func choose(s string, known []string) error {
	if slices.Contains(known, s) {
		return nil
	}
	return errors.New(strconv.Quote(s) + " is unknown; use " + strings.Join(known, " or "))
}
