// SPDX-License-Identifier: Apache-2.0

package fence

// LoadLoad orders all loads before it before all loads after it, as amd64 does.
func LoadLoad() {}

// StoreStore orders all stores before it before all stores after it, as amd64 does.
func StoreStore() {}
