// SPDX-License-Identifier: Apache-2.0

package status

import (
	"errors"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := Table(&b, sample(), false); err != nil {
		t.Fatal(err)
	}
	want := `ringside v1.2.3  pid 42  up 1h2m3s  degraded
workers 2 of 8  duty 3.4% of 20% (intervals up to x 2.5)  events lost by other programs 1,234
memory 30 MiB  rings 16 MiB  history 1 MiB (512 KiB stuck)  scratch 96 KiB
    workers 2 to 4, 1m1s ago: work waited
source_missing: source flows: /p/flows: nothing is pinned there
    nearest: /p/flow

ring main  16 MiB  lossy  9,876,543 rows in 12,345 frames
  SOURCE  MAP  TYPE  MODE     ENGINE  ENTRIES    EVERY  SCANS  READ p50  p99     HOLD max  LATE p99  ERRORS
  stats   7    hash  full     batch   21/65,536  100ms  1,500  114.69µs  1.66ms  950ns     20.39ms   0
  flows   -    -     changes  -       -          1s     0      -         -       -         -         0
  CONSUMER       PID  UID   STATE   ATTACHED  LAG rows  LOST rows  LAPS
  evil?[2J?name  99   1000  asleep  1m1s      1,000     0          0
`
	if b.String() != want {
		t.Fatalf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestColorIsForTerminals(t *testing.T) {
	var plain, color strings.Builder
	if err := errors.Join(Table(&plain, sample(), false), Table(&color, sample(), true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(color.String(), "\x1b[31mdegraded\x1b[0m") {
		t.Fatalf("plain\n%q\ncolor\n%q", plain.String(), color.String())
	}
	if strings.Contains(color.String(), "\x1b[2J") {
		t.Fatal("a consumer's name reached the terminal as it is")
	}
}

func TestBrief(t *testing.T) {
	var b strings.Builder
	if err := Brief(&b, sample()); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "degraded: 2 sources, 1 consumers; source_missing\n"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteErrorsAreReported(t *testing.T) {
	if err := Table(fullDisk{}, sample(), false); err == nil {
		t.Fatal("lost")
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{12: "12 B", 4096: "4 KiB", 1536: "1.5 KiB", 16 << 20: "16 MiB", 3 << 30: "3 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
