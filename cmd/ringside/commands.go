// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/urfave/cli/v2"

// commands lists the verbs in the order in which a new user meets them. Each
// comes from the file of its name.
func commands() []*cli.Command {
	verbs := []*cli.Command{
		mapsCommand(),
		serveCommand(),
		statusCommand(),
		tailCommand(),
		topCommand(),
		recordCommand(),
		schemaCommand(),
		demoCommand(),
		demoConsumerCommand(),
		completionCommand(),
		validateCommand(),
		reloadCommand(),
		versionCommand(),
	}
	return append(verbs, documentation()...)
}
