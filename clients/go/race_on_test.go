// SPDX-License-Identifier: Apache-2.0

//go:build race

package ringside

// raceEnabled: the race detector allocates where the program does not.
const raceEnabled = true
