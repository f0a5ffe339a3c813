// SPDX-License-Identifier: Apache-2.0

//go:build urfave_cli_no_docs

package main

import "github.com/urfave/cli/v2"

func documentation() []*cli.Command { return nil }
