// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"fmt"
	"log"

	"github.com/ringside-bpf/ringside/reader"
)

// buffer is the smallest useful Destination: it looks at each frame and reuses
// its memory.
type buffer struct{ mem []byte }

func (b *buffer) Largest() int { return len(b.mem) }
func (b *buffer) Abort()       {}

func (b *buffer) Claim(ctx context.Context, _, most int) ([]byte, error) {
	return b.mem[:most], ctx.Err()
}

func (b *buffer) Commit(f reader.Frame) {
	for i := range f.Rows {
		key := b.mem[f.Keys.Offset+i*f.Keys.Stride:][:f.Keys.Stride]
		value := b.mem[f.Values.Offset+i*f.Values.Stride:][:f.Values.Stride]
		fmt.Printf("%x %x\n", key, value)
	}
}

func ExampleOpen() {
	source, err := reader.Open("/sys/fs/bpf/flows", reader.Options{})
	if err != nil {
		log.Fatal(err) // names the pin, what is wrong with it, and the remedy
	}
	defer source.Close()
	stats, err := source.Scan(context.Background(), &buffer{make([]byte, 1<<20)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d rows by %s in %v\n", stats.Rows, source.Info().Engine, stats.Duration)
}

func ExampleList() {
	for entry := range reader.List("/sys/fs/bpf", reader.Options{}) {
		if entry.Info != nil && entry.Err == nil {
			fmt.Println(entry.Path, entry.Info.TypeName, entry.Info.Engine)
		}
	}
}
