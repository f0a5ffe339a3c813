// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"fmt"
)

// Decode reads what Encode wrote, from a writer that is not trusted. Fields it
// does not know are ignored: a newer writer may say more, not something else.
func Decode(b []byte) (*Schema, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrInvalid, len(b), MaxBytes)
	}
	// encoding/json bounds its own recursion, and what it builds is no larger
	// than a small multiple of the text.
	var s Schema
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return &s, nil
}
