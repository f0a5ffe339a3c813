// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// The golden images of clients/testdata: this client reads them as every other
// does, in the words that its README fixes. View must give the same as Batches.
func TestGoldenImages(t *testing.T) {
	images, err := filepath.Glob("../testdata/*.ring")
	if err != nil || len(images) < 100 {
		t.Fatalf("%d images, %v", len(images), err)
	}
	for _, image := range images {
		t.Run(strings.TrimSuffix(filepath.Base(image), ".ring"), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(image, ".ring") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			ring, err := shm.OpenImage(image)
			for name, reading := range map[string]func(*Subscription, *transcript) error{"Batches": readBatches, "View": readView} {
				if got := transcribe(ring, err, reading); !bytes.Equal(got, want) {
					t.Errorf("%s reads\n%s\nexpected\n%s", name, got, want)
				}
			}
		})
	}
}

// transcribe reads an image from its first byte.
func transcribe(ring *shm.Ring, err error, read func(*Subscription, *transcript) error) []byte {
	var to transcript
	var st Stats
	if err == nil {
		sub := openImage("image", ring, Options{Start: StartBeginning})
		defer sub.Close()
		err = read(sub, &to)
		st = sub.Stats()
	}
	verdict := ""
	switch {
	case err == nil:
	case errors.Is(err, ErrCorrupt):
		verdict = "corrupt"
	case errors.Is(err, ErrLapped):
		verdict = "lapped"
	case errors.Is(err, shm.ErrNotARing), errors.Is(err, shm.ErrVersion), errors.Is(err, shm.ErrGeometry):
		verdict = "refused"
	default:
		verdict = err.Error()
	}
	fmt.Fprintf(&to, `{"kind":"end","frames":%d,"rows":%d,"lost_frames":%d,"lost_rows":%d,"laps":%d,"error":"%s"}`+"\n",
		st.Frames, st.Rows, st.LostFrames, st.LostRows, st.Laps, verdict)
	return to.Bytes()
}

func readBatches(sub *Subscription, to *transcript) error {
	for b, err := range sub.Batches(context.Background()) {
		if err != nil {
			return err
		}
		to.add(b)
	}
	return nil
}

func readView(sub *Subscription, to *transcript) error {
	for {
		var text transcript
		valid, err := sub.View(context.Background(), func(b *Batch) { text.add(b) })
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case valid:
			to.Write(text.Bytes())
		}
	}
}

// transcript is a reading in the words of clients/testdata.
type transcript struct{ bytes.Buffer }

func (to *transcript) add(b *Batch) {
	if b.Kind == KindLost {
		fmt.Fprintf(to, `{"kind":"lost","frames":%d,"rows":%d,"exact":%v}`+"\n", b.Lost.Frames, b.Lost.Rows, b.Lost.Exact)
		return
	}
	fmt.Fprintf(to, `{"kind":"%v","source":"%s","seq":%d,"scan":%d,"first":%v,"last":%v,"keyframe":%v,"rows":[`,
		b.Kind, b.Source.Name, b.Seq, b.Scan, b.First, b.Last, b.Keyframe)
	for i := range b.Rows {
		if i > 0 {
			to.WriteByte(',')
		}
		switch b.Kind {
		case KindEvents:
			fmt.Fprintf(to, `["%s"]`, hex.EncodeToString(b.Event(i)))
		case KindDeletes:
			fmt.Fprintf(to, `["%s"]`, hex.EncodeToString(b.Key(i)))
		default:
			fmt.Fprintf(to, `["%s","%s"]`, hex.EncodeToString(b.Key(i)), hex.EncodeToString(b.Value(i)))
		}
	}
	to.WriteString("]}\n")
}
