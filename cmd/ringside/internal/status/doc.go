// SPDX-License-Identifier: Apache-2.0

// Package status is what a sidecar says of itself: the JSON document, the rules
// by which it is healthy, and the table that a person reads.
//
// Who writes: the sidecar, from its own counters, once for each question. Who
// reads: `ringside status` and whoever parses its JSON.
//
// What may go wrong: health must not be a consumer's to spoil. What a consumer
// writes into its control page (its lag, its losses) is shown, and no rule
// looks at it. The document comes from another process, so what it prints on a
// terminal is cleaned of control characters first.
package status
