// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"testing"
)

func TestPackedObjectIsTheGeneratedOne(t *testing.T) {
	object, err := unpack()
	if err != nil || !bytes.Equal(object, _ScanBytes) {
		t.Errorf("scan_bpfel.o.gz holds %d bytes, scan_bpfel.o %d (%v): run make generate", len(object), len(_ScanBytes), err)
	}
}
