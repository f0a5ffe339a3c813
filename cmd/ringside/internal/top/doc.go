// SPDX-License-Identifier: Apache-2.0

// Package top ranks the rows of a table by one of their numbers, as it is or by
// how fast it grows, and writes the best of them as a page for people or as a
// document for programs.
//
// Who writes: `ringside top`, from snapshots of a table that the Go client keeps
// from the stream. A rate is the change between two snapshots, divided by the
// time between the scans that they show, and not by when somebody looked.
//
// What may go wrong: a key is deleted and comes again, or a counter is set back.
// Unsigned numbers are taken for counters: one that is smaller than before began
// again at zero. Signed ones and floats may fall.
package top
