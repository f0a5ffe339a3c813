// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestPackedObjectIsTheGeneratedOne(t *testing.T) {
	object, err := unpack()
	if err != nil || !bytes.Equal(object, _ScanBytes) {
		t.Errorf("scan_bpfel.o.gz holds %d bytes, scan_bpfel.o %d (%v): run make generate", len(object), len(_ScanBytes), err)
	}
}

// What is shared between loads is nobody's to change, and not kept for ever.
func TestDecodedIsSharedForAWhile(t *testing.T) {
	was := forgetAfter
	t.Cleanup(func() { forgetAfter = was })
	forgetAfter = time.Hour
	mine, kernel, err := decode()
	if err != nil {
		t.Fatal(err)
	}
	clear(mine.Programs)
	clear(mine.Maps)
	for _, v := range mine.Variables {
		if err := v.Set(make([]byte, v.Size())); err != nil {
			t.Fatal(err)
		}
	}
	yours, same, err := decode()
	want, wantErr := loadScan()
	if err != nil || wantErr != nil || len(yours.Programs) != len(want.Programs) || len(yours.Maps) != len(want.Maps) {
		t.Fatal(yours, err, wantErr)
	}
	for name, v := range want.Variables {
		a, b := make([]byte, v.Size()), make([]byte, v.Size())
		if err := errors.Join(v.Get(a), yours.Variables[name].Get(b)); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s is %x, not %x: %v", name, b, a, err)
		}
	}
	if kernel != same {
		t.Error("the kernel's BTF is decoded for each")
	}
	forgetAfter = time.Millisecond
	for range 2 { // kept on and forgotten, decoded anew and forgotten
		if _, _, err := decode(); err != nil {
			t.Fatal(err)
		}
		awaitForgetting(t)
	}
	if _, other, err := decode(); err != nil || other == kernel {
		t.Errorf("what was forgotten is there: %v", err)
	}
}

func awaitForgetting(t *testing.T) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		decoded.Lock()
		gone := decoded.object == nil && decoded.kernel == nil
		decoded.Unlock()
		if gone {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("kept for ever")
		}
	}
}
