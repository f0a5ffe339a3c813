// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

const (
	heartbeat = 100 * time.Millisecond
	// lookEvery is how often pins are looked for and the rings are tidied.
	lookEvery = time.Second
	// drainPatience is how long a scan may go on after the signal to end.
	drainPatience = 2 * time.Second
)

// Sidecar reads maps and serves rings.
type Sidecar struct {
	config  *config.Config
	version string
	log     *logger
	started time.Time
	pool    *reader.Pool
	server  *handoff.Server
	misses  missCounter
	history *changes.Budget // of all maps in mode changes

	beat       atomic.Int64 // CLOCK_MONOTONIC of the last heartbeat
	background sync.WaitGroup

	reload   func() (*config.Config, error)
	lookup   acl.Lookup
	commands chan command
	kept     chan struct{} // closed when the keeper takes no more commands
	held     bool          // until another sidecar has stopped reading, from which we take over

	// The heart needs no mutex: making a large ring takes a while, in which no
	// reader of another one should worry.
	beating atomic.Pointer[[]*ring]

	// growing is held by whoever gives a ring sources or an epoch, also while mu is
	// let go to make the memory: status and attachments go on.
	growing  sync.Mutex
	newEpoch func(shm.Config) (*epoch, error) // so that tests can see that they do

	mu       sync.Mutex // guards the rest; rings and patterns are changed by the keeper alone
	rings    []*ring
	leaving  []*ring // no longer configured, while consumers hold them
	patterns []*pattern
	leases   map[*handoff.Lease]struct{}
	duty     dutyMeter
	spins    dutyMeter // what of it was waiting awake
}

// Options of a sidecar beside its configuration.
type Options struct {
	Version string
	Log     zerolog.Logger
	Lookup  acl.Lookup // of groups
	// Config reads the configuration again, for a reload; nil: there is none.
	Config func() (*config.Config, error)
	// TakeOver takes the place of the sidecar that listens at the socket, if one does.
	TakeOver bool
}

// New opens what is there to be read, makes the rings and listens. It fails if
// nothing can ever be read as things are, if a ring cannot hold what it is
// asked to, or if the socket cannot be had.
func New(c *config.Config, o Options) (*Sidecar, error) {
	if err := reader.CheckCPUs(c.Reader.CPUs); err != nil {
		return nil, fmt.Errorf("reader.cpus: %w", err)
	}
	s := &Sidecar{
		config: c, version: o.Version, log: newLogger(o.Log), started: time.Now(),
		leases: map[*handoff.Lease]struct{}{}, pool: reader.NewPool(poolOptions(&c.Reader, o.TakeOver)), held: o.TakeOver,
		reload: o.Config, lookup: o.Lookup, commands: make(chan command), kept: make(chan struct{}),
		history: changes.NewBudget(int64(c.Reader.History)), newEpoch: newEpoch,
	}
	if err := s.pool.Stats().Latency.KernelError; err != nil {
		s.log.Warn().Err(err).Msg("calls are timed by ourselves (reader.kernel_timing)")
	}
	err := s.assemble()
	s.beat.Store(int64(monotonic.Now())) // a fresh ring has had its first beat
	if err == nil {
		s.misses.start(s.pool.Programs())
		err = s.listen(o.TakeOver)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func poolOptions(r *config.Reader, held bool) reader.PoolOptions {
	return reader.PoolOptions{
		Workers: r.WorkersMax, Duty: r.Duty, Idle: held || !r.ReadWhenIdle, CPUs: r.CPUs,
		GrowAbove: r.GrowAbove, ShrinkBelow: r.ShrinkBelow, KernelTiming: r.KernelTiming,
	}
}

// assemble makes rings and sources, and looks for the pins once.
func (s *Sidecar) assemble() error {
	for _, rc := range s.config.Rings {
		r, err := s.newRing(rc)
		if err != nil {
			return err
		}
		s.rings = append(s.rings, r)
	}
	s.setRings(s.rings)
	s.want()
	s.look(time.Now())
	for _, r := range s.rings {
		if err := s.startable(r); err != nil {
			return err
		}
		if r.current.Load() == nil {
			s.lockToGrow()
			_, err := s.beginEpoch(r, r.empty(), nil)
			s.unlockGrown()
			if err != nil {
				return err
			}
		}
	}
	return s.hope()
}

func (s *Sidecar) setRings(list []*ring) {
	s.rings = list
	s.beating.Store(&list)
}

// newRing is a ring without memory yet.
func (s *Sidecar) newRing(c config.Ring) (*ring, error) {
	rules, err := acl.Compile(c, uint32(os.Geteuid()), s.lookup)
	if err != nil {
		return nil, err
	}
	for _, w := range rules.Warnings() {
		s.log.Warn().Msg(w)
	}
	return &ring{config: c, rules: rules, active: s.config.Reader.ReadWhenIdle && !s.held}, nil
}

// access is who may connect to the socket at all, and the rules.
func (s *Sidecar) access(c *config.Socket, rings []*ring) (mode os.FileMode, gid int, err error) {
	var rules []*acl.Rules
	for _, r := range rings {
		rules = append(rules, r.rules)
	}
	mode, gid, err = acl.SocketMode(*c, rules, s.lookup)
	if err != nil {
		return 0, 0, fmt.Errorf("socket.group: %w", err)
	}
	if gid > 0 && c.Group == "" && c.Mode == nil && !mayGive(gid) {
		// The rules decide at every attachment anyway: see acl.SocketMode.
		mode, gid = 0o666, acl.KeepGID
	}
	return mode, gid, nil
}

// listen makes the socket.
func (s *Sidecar) listen(takeOver bool) error {
	path := s.config.Socket.Path
	mode, gid, err := s.access(&s.config.Socket, s.rings)
	if err != nil {
		return err
	}
	if err := ownDirectory(path); err != nil {
		return err
	}
	if options := (handoff.Options{Mode: mode, GID: gid}); takeOver {
		s.server, err = s.takePlace(path, options)
	} else {
		s.server, err = handoff.Listen(path, options)
	}
	if err != nil {
		return err
	}
	s.release()
	s.log.Info().Str("socket", path).Str("mode", fmt.Sprintf("%04o", mode)).
		Str("version", s.version).Int("pid", os.Getpid()).Msg("serving")
	s.tellRules()
	return nil
}

func (s *Sidecar) tellRules() {
	for _, r := range s.rings {
		e := s.log.Info().Str("ring", r.rules.Ring).Stringer("allowed", r.rules)
		if r.rules.Closed() {
			e.Str("remedy", fmt.Sprintf("let a user in with --allow-uid, such as --allow-uid %d", likelyUser()))
		}
		e.Msg("who may attach")
	}
}

// mayGive tells whether this process may give a file of its own to a group.
func mayGive(gid int) bool {
	groups, err := os.Getgroups()
	return os.Geteuid() == 0 || os.Getegid() == gid || err == nil && slices.Contains(groups, gid)
}

// likelyUser is the uid that somebody behind sudo will want to let in.
func likelyUser() uint32 {
	if uid, err := config.ParseID(os.Getenv("SUDO_UID")); err == nil {
		return uid
	}
	return 1000
}

// ownDirectory makes the directory of the default socket, which is ringside's
// own. Any other is somebody's decision and must exist.
func ownDirectory(socket string) error {
	if socket != config.DefaultSocket {
		return nil
	}
	// Open to all: the socket's own mode and the rules say who gets in.
	if err := os.Mkdir("/run/ringside", 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("directory of the socket: %w; run as root or choose another place with --socket", err)
	}
	return nil
}

// Run serves until ctx ends, then drains: running scans come to their end and
// consumers are told that nothing more will follow; or that they should attach
// again, if another sidecar takes over.
func (s *Sidecar) Run(ctx context.Context) error {
	beating, still := context.WithCancel(context.Background())
	s.background.Go(func() { s.heart(beating) })
	s.background.Go(func() { s.attend(beating) })
	failed := make(chan error, 1)
	s.background.Go(func() { failed <- s.server.Serve(beating, s) })
	successor, err := s.keep(ctx, failed)
	close(s.kept)
	s.log.Info().Msg("draining")
	final := shm.StateEnded
	if successor != nil {
		final = shm.StateSuperseded
	}
	drained := s.drain(final)
	if successor != nil {
		successor.done <- result{}
		s.yieldTo(ctx)
	}
	still()
	err = errors.Join(err, drained, s.close())
	s.log.Info().Msg("ended")
	return err
}

// heart tells every reader that its publisher lives.
func (s *Sidecar) heart(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		for _, r := range *s.beating.Load() {
			r.current.Load().beat()
		}
		s.beat.Store(int64(monotonic.Now()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// keep looks after pins and rings until ctx ends, the server fails or another
// sidecar takes over, which then waits for an answer.
func (s *Sidecar) keep(ctx context.Context, failed <-chan error) (successor *command, err error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.look(now)
			s.tidy(now)
		case c := <-s.commands:
			if c.takeOver {
				return &c, nil
			}
			changes, err := s.reconfigure(time.Now())
			c.done <- result{changes, err}
		case <-ctx.Done():
			return nil, nil
		case err := <-failed:
			return nil, fmt.Errorf("the socket failed: %w", err)
		}
	}
}

// drain stops reading and finishes every ring.
func (s *Sidecar) drain(final shm.State) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	s.endStreams()
	err := s.pool.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn().Err(err).Msg("a scan was interrupted")
		err = nil
	}
	// At once: who takes over waits for all of them.
	finished := make(chan error)
	for _, r := range s.rings {
		go func() { finished <- r.current.Load().finish(final, finishPatience) }()
	}
	for range s.rings {
		err = errors.Join(err, <-finished)
	}
	return err
}

// close gives back what was taken, as far as it was taken.
func (s *Sidecar) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	s.endStreams()
	errs := []error{s.pool.Stop(ctx)}
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	s.background.Wait() // the server's leases end here
	if errors.Is(errs[0], reader.ErrHangs) {
		return errors.Join(errs...) // the rest is in use, and goes with the process
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Concat(s.rings, s.leaving) {
		for _, x := range r.sources {
			errs = append(errs, x.letGo())
		}
		for _, e := range slices.Concat(r.old, r.stuck, []*epoch{r.current.Load()}) {
			if e != nil {
				errs = append(errs, e.close())
			}
		}
	}
	return errors.Join(errs...)
}
