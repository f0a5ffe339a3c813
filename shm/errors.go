// SPDX-License-Identifier: Apache-2.0

package shm

import "errors"

var (
	// ErrNotARing means that the memory does not begin as a ring does.
	ErrNotARing = errors.New("not a ringside ring")
	// ErrVersion means that the ring was made by a later, incompatible version.
	ErrVersion = errors.New("ring has an unknown major version")
	// ErrGeometry means that the header contradicts itself or the file's size.
	ErrGeometry = errors.New("ring geometry is inconsistent")
	// ErrSeals means that the memory could still be changed by somebody else.
	ErrSeals = errors.New("ring memory is not sealed")
	// ErrCorrupt means that a frame contradicts the ring. No publisher of ours
	// writes such a frame; reading must stop.
	ErrCorrupt = errors.New("ring is corrupt")

	// ErrClosed means that the ring takes no more frames.
	ErrClosed = errors.New("ring is closed")
	// ErrBarred means that a user's consumer was evicted from this lossless ring
	// a while ago.
	ErrBarred = errors.New("barred")
	// ErrTooLarge means that what is to be published can never fit.
	ErrTooLarge = errors.New("too large for the ring")
	// ErrCatalogFull means that the ring has no room for another source: it
	// has to be superseded by a new one.
	ErrCatalogFull = errors.New("ring catalog is full")
)
