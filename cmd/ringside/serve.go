// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/sidecar"
)

func serveCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "config", TakesFile: true, Usage: "read everything from `FILE` (YAML)"},
		&cli.StringSliceFlag{Name: "map", Usage: "serve the map pinned at `PIN[=EVERY]`, such as /sys/fs/bpf/flows=1s; globs; repeatable"},
		// Not socketFlag: here a configuration file stands between the flag and the environment.
		&cli.StringFlag{Name: "socket", TakesFile: true, Usage: "listen at `PATH` (default: $" + socketEnv + ", else " + defaultSocket + ")"},
		&cli.StringSliceFlag{Name: "allow-uid", Usage: "let the user with this `UID` attach; repeatable"},
		&cli.StringSliceFlag{Name: "allow-gid", Usage: "let members of the group with this `GID` attach; repeatable"},
		&cli.StringFlag{Name: "ring-bytes", Usage: "`SIZE` of the ring, such as 16MiB (default: 4 full scans of its largest map)"},
		&cli.StringFlag{Name: "consistency", Usage: "walked or locked: `HOW` rows may differ from what was ever there (default: walked)"},
		&cli.StringFlag{Name: "max-hold", Usage: "longest single stay in the kernel to aim for, a `DURATION` (default: 2ms)"},
		&cli.StringFlag{Name: "duty", Usage: "`SHARE` of one CPU that reading may take (default: 20%)"},
		&cli.BoolFlag{Name: "read-when-idle", Usage: "read also while nobody is attached"},
		&cli.BoolFlag{Name: "takeover", Usage: "take the place of the sidecar that listens at the socket, if there is one"},
	}
	return &cli.Command{
		Name:  "serve",
		Usage: "read pinned maps and publish them; the one verb that needs privilege",
		Description: `Reads the pinned maps while somebody is attached, and serves their rows in
shared memory. A pin that is not there yet is waited for; one that is replaced
is followed. SIGTERM ends it, after telling every consumer. With --config, SIGHUP
makes it read the file again, as 'ringside reload' does. With --takeover another
sidecar of the same user ends as soon as this one is ready; its consumers read it
to the end and come over.

   ringside serve --map /sys/fs/bpf/flows --allow-uid 1000
   ringside serve --map '/sys/fs/bpf/tc/globals/*=1s'
   ringside serve --config /etc/ringside/ringside.yaml

Who may attach: root, the group ringside if there is one, and whom --allow-uid,
--allow-gid or the file let in.`,
		Flags:  append(flags, logFlags()...),
		Action: serve,
	}
}

func serve(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	log, err := newLogger(c)
	if err != nil {
		return err
	}
	resolve := func() (*config.Config, error) { return serveFlags(c).Resolve(os.Getenv(socketEnv)) }
	cfg, err := resolve()
	if err != nil {
		return err
	}
	// Whoever reads the log may go away. The runtime would end the sidecar for
	// that, by a signal, the next time somebody is refused.
	signal.Ignore(unix.SIGPIPE)
	sidecar.TuneMemory()
	hangups := make(chan os.Signal, 1)
	defer close(hangups)
	if c.String("config") != "" {
		catchHangups(hangups)
		defer signal.Stop(hangups)
	}
	s, err := sidecar.New(cfg, sidecar.Options{
		Version: buildVersion().Version, Log: log, Lookup: acl.LookupGroup, Config: resolve, TakeOver: c.Bool("takeover"),
	})
	if err != nil {
		return err
	}
	go func() {
		for range hangups {
			_, _ = s.ReloadConfig() // which logs what it did, or why not
		}
	}()
	return s.Run(c.Context)
}

// catchHangups gives SIGHUP the meaning that it has for a sidecar with a file, from
// before it starts: one that comes meanwhile is answered then. A sidecar without
// one has nothing to read again, and ends when its terminal does.
func catchHangups(hangups chan<- os.Signal) {
	signal.Ignore(unix.SIGHUP) // which main listens to, and which is the end for who does not
	signal.Notify(hangups, unix.SIGHUP)
}

func serveFlags(c *cli.Context) config.Flags {
	return config.Flags{
		File: c.String("config"), Maps: c.StringSlice("map"), Socket: c.String("socket"),
		AllowUIDs: c.StringSlice("allow-uid"), AllowGIDs: c.StringSlice("allow-gid"),
		RingBytes: c.String("ring-bytes"), Consistency: c.String("consistency"),
		MaxHold: c.String("max-hold"), Duty: c.String("duty"), ReadWhenIdle: c.Bool("read-when-idle"),
	}
}
