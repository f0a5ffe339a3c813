// SPDX-License-Identifier: Apache-2.0

// Package readertest has destinations in plain memory, for tests and benchmarks
// of readers: [Memory] for rows, [Events] for records. They hold the reader to
// its contract: one claim at a time, frames inside their claim, nothing stale in
// what becomes visible.
//
// Who writes: a reader under test. Who reads: the test. What may go wrong is
// reported through testing.TB, so a destination belongs to the test's goroutine,
// or to one that ends before it.
package readertest
