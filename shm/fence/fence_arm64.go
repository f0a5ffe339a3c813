// SPDX-License-Identifier: Apache-2.0

package fence

// LoadLoad orders all loads before it before all loads and stores after it.
//
//go:noescape
func LoadLoad()

// StoreStore orders all stores before it before all stores after it.
//
//go:noescape
func StoreStore()
