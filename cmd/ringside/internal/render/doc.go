// SPDX-License-Identifier: Apache-2.0

// Package render turns what a subscription delivers into lines: aligned tables
// for people ([Table]) and one JSON object a row for programs ([JSONL]), whose
// form is a promise (docs/operations.md).
//
// Who writes: `ringside tail`. Who reads: a terminal, or the next program of a
// pipe. A row costs no allocation; lines are collected and written in large
// pieces, and whoever prints says when nothing more is to be expected (Flush).
//
// What may go wrong: the reader of the pipe goes away, which every method
// reports as the error of the write. Names and text come from other programs'
// maps; what a terminal could take for a command is escaped.
package render
