// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// packed is what the privileged binary contains, a quarter of scan_bpfel.o. The
// generated loadScan has the whole of it, and is not linked because nobody calls it.
//
//go:embed scan_bpfel.o.gz
var packed []byte

// decoded is what it takes to load a program: the object, and the kernel's BTF. To
// decode them takes longer than all the rest. So those who load one program after
// the other, for every map of a sidecar say, share them; and when nobody has loaded
// any for a second they are forgotten, for they are larger than all that a sidecar
// keeps beside its rings.
var decoded struct {
	sync.Mutex
	object *ebpf.CollectionSpec
	kernel *btf.Cache // decodes when it is asked
	forget *time.Timer
}

var forgetAfter = time.Second // but in tests

// decode is a copy of the object, and the kernel's BTF, which nobody changes.
func decode() (*ebpf.CollectionSpec, *btf.Cache, error) {
	decoded.Lock()
	defer decoded.Unlock()
	if decoded.object != nil {
		decoded.forget.Reset(forgetAfter)
		return decoded.object.Copy(), decoded.kernel, nil
	}
	object, err := unpack()
	if err != nil {
		return nil, nil, fmt.Errorf("unpack the scan programs: %w", err)
	}
	if decoded.object, err = ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object)); err != nil {
		return nil, nil, fmt.Errorf("decode the scan programs: %w", err)
	}
	decoded.kernel = btf.NewCache()
	decoded.forget = time.AfterFunc(forgetAfter, forget)
	return decoded.object.Copy(), decoded.kernel, nil
}

func forget() {
	decoded.Lock()
	decoded.forget.Stop() // decode may have been there first, and have set it again
	decoded.object, decoded.kernel = nil, nil
	decoded.Unlock()
	debug.FreeOSMemory() // a sidecar may allocate nothing for hours, and so collect nothing
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
