// SPDX-License-Identifier: Apache-2.0

package shm

// loadLoad orders all loads before it before all loads and stores after it.
//
//go:noescape
func loadLoad()

// storeStore orders all stores before it before all stores after it.
//
//go:noescape
func storeStore()
