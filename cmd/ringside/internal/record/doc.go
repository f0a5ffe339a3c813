// SPDX-License-Identifier: Apache-2.0

// Package record writes what a ring publishes into a file, as an image that every
// client reads like a ring.
//
// It is a consumer like any other: it attaches, copies frames from the ring into
// the file's, and attaches again when the sidecar was replaced. Frames keep their
// bytes, kinds, flags, scans and times; sources are added in the order in which
// they are met, so those of the first ring keep their numbers. The file is a ring,
// too: when it is full, the oldest frames make room for the newest.
//
// What may go wrong: the recorder is overtaken, or the sidecar is gone for a
// while. What was missed is counted, and a gap in the numbers of a source's frames
// keeps readers from taking the two halves of a scan for a whole one. A full disk
// ends the recording with what it holds.
package record
