// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"

	"github.com/cilium/ebpf"
)

// packed is what the privileged binary contains, a quarter of scan_bpfel.o. The
// generated loadScan has the whole of it, and is not linked because nobody calls it.
//
//go:embed scan_bpfel.o.gz
var packed []byte

// loadPacked is loadScan, out of the smaller object.
func loadPacked() (*ebpf.CollectionSpec, error) {
	object, err := unpack()
	if err != nil {
		return nil, fmt.Errorf("unpack the scan programs: %w", err)
	}
	return ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
}

func unpack() ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var object bytes.Buffer
	_, err = object.ReadFrom(z)
	return object.Bytes(), err
}
