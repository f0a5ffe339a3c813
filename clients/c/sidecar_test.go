// SPDX-License-Identifier: Apache-2.0

package c

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
)

// playSidecar serves at path and publishes flows as fast as it can, until stdin
// ends; then it says how many.
func playSidecar(path string) error {
	s, err := clienttest.Serve(path, 256<<10)
	if err != nil {
		return err
	}
	f, err := clienttest.NewFeed(s.Ring, 0)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the pipe, whatever the reason
	}()
	fmt.Println("serving")
	if err := f.SendUntil(done, 60); err != nil {
		return err
	}
	fmt.Println("published", f.Rows)
	// The state before the end: whoever hears the hang-up finds it.
	return errors.Join(s.Ring.Finish(context.Background(), shm.StateEnded), s.Stop())
}
