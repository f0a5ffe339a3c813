// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/bpf/demo"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/sidecar"
)

// ConsumerVerb is the hidden verb by which this program becomes the consumer.
const ConsumerVerb = "demo-consumer"

const (
	nobody     = 65534
	every      = "=10ms"
	paintEvery = 250 * time.Millisecond
	sweepEvery = 2 * time.Second
	// patience is how long the consumer may take to show its first figures.
	patience = 10 * time.Second
)

var errSilent = errors.New("the consumer shows nothing")

// Options of a demo.
type Options struct {
	For      time.Duration
	Base     string // where its home is made; demo.DefaultBase unless in tests
	Out      io.Writer
	Terminal bool // Out is one
	Quiet    bool // paint nothing
	Version  string
	Log      zerolog.Logger
}

// Summary is the demo's answer.
type Summary struct {
	SchemaVersion    int              `json:"schema_version"`
	Rows             uint64           `json:"rows"`
	RowsPerSecond    float64          `json:"rows_per_second"`
	ConsumerUID      int              `json:"consumer_uid"`
	Capabilities     string           `json:"consumer_capabilities"`
	SyscallsReading  int64            `json:"consumer_syscalls_while_reading"`
	SyscallsByName   map[string]int64 `json:"consumer_syscalls_by_name"`
	ScansOfItsOwnMap uint64           `json:"scans_counted"`
	DurationSeconds  float64          `json:"duration_seconds"`
	LostRows         uint64           `json:"lost_rows"`
	LeftOut          []string         `json:"left_out"` // parts this kernel cannot run, with the reason
}

// Run shows the demo until it has lasted, or ctx ends, and removes everything
// that it made.
func Run(ctx context.Context, o Options) (s Summary, err error) {
	place, err := demo.Settle(o.Base)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	work, err := demo.Load()
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, work.Close()) }()
	if err := work.Pin(place.BPFFS()); err != nil {
		return s, err
	}
	s.LeftOut = leftOut(work)
	socket := filepath.Join(place.Dir(), "ringside.sock")
	stop, err := serve(work, place, socket, o)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	last, err := watch(ctx, work, socket, o)
	if err == nil {
		s.fill(&last)
	}
	return s, err
}

func leftOut(work *demo.Demo) []string {
	list := []string{}
	for _, p := range work.Parts() {
		if p.Err != nil {
			list = append(list, fmt.Sprintf("%s: %v", p.Name, p.Err))
		}
	}
	return list
}

// serve runs the sidecar in this process, as `ringside serve` would.
func serve(work *demo.Demo, place *demo.Home, socket string, o Options) (stop func() error, err error) {
	flags := config.Flags{Socket: socket, AllowUIDs: []string{strconv.Itoa(nobody)}, RingBytes: "16MiB", Duty: "50%"}
	for _, p := range work.Parts() {
		if p.Err == nil {
			flags.Maps = append(flags.Maps, filepath.Join(place.BPFFS(), p.Name)+every)
		}
	}
	c, err := flags.Resolve("")
	if err != nil {
		return nil, err
	}
	side, err := sidecar.New(c, sidecar.Options{Version: o.Version, Log: o.Log, Lookup: acl.LookupGroup})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- side.Run(ctx) }()
	return func() error { cancel(); return <-ended }, nil
}

// start makes the consumer: this same program, as a user who may do nothing.
func start(socket string, figures *os.File) (*exec.Cmd, error) {
	// The path of the program need not be reachable for that user; this one is.
	child := exec.Command("/proc/self/exe", ConsumerVerb, "--socket", socket)
	child.Args[0] = os.Args[0]
	child.ExtraFiles = []*os.File{figures}
	child.Stderr = os.Stderr
	child.Dir = "/"
	// One thread runs Go code, so the kernel's count of that thread is the
	// count of all reading. Nothing of this changes what reading does: it keeps
	// the runtime's scheduler and collector, which have calls of their own, quiet.
	child.Env = append(os.Environ(), "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1", "GOGC=off", "GOMEMLIMIT=64MiB")
	child.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C is for us; we end it
	}
	if err := child.Start(); err != nil {
		return nil, fmt.Errorf("start the consumer as uid %d: %w", nobody, err)
	}
	return child, nil
}

// watch paints what the consumer finds until the demo is over.
func watch(ctx context.Context, work *demo.Demo, socket string, o Options) (last figures, err error) {
	p, file, err := newPage()
	if err != nil {
		return last, err
	}
	defer p.close()
	defer file.Close()
	child, err := start(socket, file)
	if err != nil {
		return last, err
	}
	died := make(chan error, 1)
	go func() { died <- child.Wait() }()
	defer func() {
		if child.Process.Kill() == nil { // else it is dead, and has been waited for
			<-died
		}
	}()
	if !o.Quiet {
		s := &screen{w: o.Out, terminal: o.Terminal, lasts: o.For}
		s.open()
		defer s.close()
		return follow(ctx, p, died, work, o.For, s.paint)
	}
	return follow(ctx, p, died, work, o.For, func(*figures) {})
}

// follow looks at the page until time is up, and returns the last figures.
func follow(ctx context.Context, p *page, died <-chan error, work *demo.Demo, lasts time.Duration, paint func(*figures)) (last figures, err error) {
	paintTick, sweepTick := time.NewTicker(paintEvery), time.NewTicker(sweepEvery)
	defer paintTick.Stop()
	defer sweepTick.Stop()
	over := time.After(lasts)
	deadline := time.Now().Add(patience)
	for {
		select {
		case <-paintTick.C:
			now, err := p.load()
			if err == nil {
				last = now
				paint(&last)
			}
			if last.Scans == 0 && time.Now().After(deadline) {
				return last, fmt.Errorf("%w after %v", errSilent, patience)
			}
		case <-sweepTick.C:
			// Without room a call is not counted; what it cannot remove now it can later.
			_, _ = work.Sweep()
		case err := <-died:
			return last, fmt.Errorf("the consumer ended: %w", errors.Join(errSilent, err))
		case <-over:
			return last, nil
		case <-ctx.Done():
			return last, nil
		}
	}
}

func (s *Summary) fill(f *figures) {
	made := f.whileReading()
	s.SchemaVersion = 1
	s.Rows, s.RowsPerSecond, s.LostRows = f.Rows, f.rowsPerSecond(), f.LostRows
	s.ConsumerUID, s.Capabilities = f.UID, f.Capabilities
	s.SyscallsReading, s.SyscallsByName = total(made), map[string]int64{}
	for nr, n := range made {
		s.SyscallsByName[callName(nr)] = n
	}
	s.ScansOfItsOwnMap, s.DurationSeconds = f.Scans, f.seconds()
}
