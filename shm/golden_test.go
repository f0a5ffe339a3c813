// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The golden images are what clients in all languages are held against: each
// reads every NAME.ring and must print NAME.json. They are made here, byte by
// byte the same every time. What is expected of them comes from a reader that
// shares no code with the package, and from what is written beside each image.
const (
	goldenDir       = "../clients/testdata"
	goldenUpdateEnv = "RINGSIDE_UPDATE_GOLDEN"
	goldenMost      = 64 << 10
)

// golden is one image.
type golden struct {
	name  string
	about string
	make  func(f *forge) []byte
	end   end
}

// end is the last line of a reading.
type end struct {
	Kind       string `json:"kind"`
	Frames     uint64 `json:"frames"`
	Rows       uint64 `json:"rows"`
	LostFrames uint64 `json:"lost_frames"`
	LostRows   uint64 `json:"lost_rows"`
	Laps       uint64 `json:"laps"`
	Error      string `json:"error"`
}

func goldens() []golden {
	return slices.Concat(frameGoldens(), streamGoldens(), eventGoldens(), lapGoldens(), hostileGoldens(), catalogGoldens(), headerGoldens())
}

func TestGolden(t *testing.T) {
	update := os.Getenv(goldenUpdateEnv) == "1"
	expected := map[string]bool{}
	for _, g := range goldens() {
		expected[g.name+".ring"], expected[g.name+".json"] = true, true
		t.Run(g.name, func(t *testing.T) {
			image := g.make(newForge(t))
			lines := plainRead(image)
			g.end.Kind = "end"
			if want := jsonLine(t, g.end); lines[len(lines)-1] != want {
				t.Fatalf("%s\nthe plain reader ends  %s\nthe image is to end as %s", strings.Join(lines, "\n"), lines[len(lines)-1], want)
			}
			if got := cursorRead(t, image); !slices.Equal(got, lines) {
				t.Errorf("cursor:\n%s\nplain reader:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
			}
			text := strings.Join(lines, "\n") + "\n"
			hold(t, update, g.name+".ring", image)
			hold(t, update, g.name+".json", []byte(text))
		})
	}
	entries, err := os.ReadDir(goldenDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); (ext == ".ring" || ext == ".json") && !expected[e.Name()] {
			t.Errorf("%s/%s is made by nobody; remove it", goldenDir, e.Name())
		}
	}
	holdIndex(t, update)
}

// hold compares a committed file with what it has to be, or writes it.
func hold(t *testing.T, update bool, name string, want []byte) {
	t.Helper()
	path := filepath.Join(goldenDir, name)
	if len(want) > goldenMost {
		t.Errorf("%s has %d bytes, at most %d", name, len(want), goldenMost)
	}
	got, err := os.ReadFile(path)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if !update {
		t.Errorf("%s is not what is made here (%v); set %s=1 to write it", path, err, goldenUpdateEnv)
		return
	}
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Error(err)
	}
}

// holdIndex keeps the list of images in the directory's page.
func holdIndex(t *testing.T, update bool) {
	t.Helper()
	const begin, last = "<!-- images: begin -->\n", "<!-- images: end -->\n"
	page, err := os.ReadFile(filepath.Join(goldenDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), begin)
	_, after, closed := strings.Cut(rest, last)
	if !found || !closed {
		t.Fatalf("%s/README.md has no list of images", goldenDir)
	}
	list := "\n| image | what | ends |\n|---|---|---|\n"
	for _, g := range goldens() {
		ends := g.end.Error
		if ends == "" {
			ends = "–"
		}
		list += fmt.Sprintf("| `%s` | %s | %s |\n", g.name, g.about, ends)
	}
	hold(t, update, "README.md", []byte(before+begin+list+"\n"+last+after))
}

func jsonLine(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// forge makes an image: a publisher on the heap, whose memory is then bent.
type forge struct {
	t testing.TB
	p *Publisher
}

// Where the parts of a forged image lie: one page each, then 4 KiB of data.
const (
	forgedCatalog = 8192
	forgedHeap    = 12288
	forgedData    = 16384
)

func newForge(t testing.TB) *forge {
	t.Helper()
	g, err := plan(minDataBytes, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	g.Name, g.Epoch, g.CreatedNS = "golden", 0x1122334455667789, 1_700_000_000_000_000_000
	if g.CatalogOffset != forgedCatalog || g.HeapOffset != forgedHeap || g.DataOffset != forgedData {
		t.Fatalf("%+v", g)
	}
	return &forge{t, newPublisher(make(memory, g.TotalBytes), g)}
}

func (f *forge) source(info SourceInfo) *Producer {
	f.t.Helper()
	r, err := f.p.AddSource(info)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// flows is a hash of 4-byte keys and 8-byte values.
func (f *forge) flows() *Producer {
	return f.source(SourceInfo{Name: "flows", MapID: 7, MapType: 1, KeySize: 4, ValueSize: 8, MapValueSize: 8, MaxEntries: 1024})
}

// put publishes one frame.
func (f *forge) put(r *Producer, c Content, payload []byte) {
	f.t.Helper()
	b, err := r.Claim(f.t.Context(), len(payload), len(payload))
	if err != nil {
		f.t.Fatal(err)
	}
	copy(b, payload)
	c.Bytes = len(payload)
	c.TimeNS = 5_000_000_000 + f.p.Totals().Frames*1_000_000
	r.Commit(c)
}

const whole = FlagFirst | FlagLast | FlagKeyframe

// rows publishes a frame of n rows, as two tight columns: keys from first, and
// values that are told from them.
func (f *forge) rows(r *Producer, first uint32, n int, flags Flags, scan uint64) {
	f.t.Helper()
	values := (n*4 + 7) &^ 7
	b := make([]byte, values+n*8)
	for i := range n {
		binary.LittleEndian.PutUint32(b[i*4:], first+uint32(i))
		binary.LittleEndian.PutUint64(b[values+i*8:], uint64(first+uint32(i))*0x0101010101)
	}
	f.put(r, Content{Kind: KindRows, Flags: flags, Rows: uint32(n), KeyStride: 4,
		ValuesOffset: uint32(values), ValueStride: 8, Scan: scan}, b)
}

// deletes publishes a frame of n keys.
func (f *forge) deletes(r *Producer, first uint32, n int, flags Flags, scan uint64) {
	b := make([]byte, n*4)
	for i := range n {
		binary.LittleEndian.PutUint32(b[i*4:], first+uint32(i))
	}
	f.put(r, Content{Kind: KindDeletes, Flags: flags, Rows: uint32(n), KeyStride: 4, Scan: scan}, b)
}

// image is a copy of the ring as it is now, without the time of day in it.
func (f *forge) image() []byte {
	f.t.Helper()
	if err := f.p.Check(); err != nil {
		f.t.Fatal(err)
	}
	return f.fixed()
}

// fixed is image for a ring that would not pass Check.
func (f *forge) fixed() []byte {
	m := f.p.mem
	m.word(headerSize + offHeartbeat).Store(5_000_200_000)
	m.word(headerSize + offRealtime).Store(1_699_999_995_000_000_000)
	for n := range len(f.p.sources) {
		m.word(forgedCatalog + uint64(n)*sourceBytes + offSrcCreated).Store(1_700_000_000_000_000_001 + uint64(n))
	}
	return bytes.Clone(m)
}

// ended is the image of a ring that takes no more frames.
func (f *forge) ended(final State) []byte {
	f.t.Helper()
	if err := f.p.Finish(f.t.Context(), final); err != nil {
		f.t.Fatal(err)
	}
	return f.image()
}

// Bending an image. Places are of the protocol, so that they are written out.
func put16(b []byte, at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }
func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
func put64(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }

// resealed is an image whose header has the checksum that belongs to it.
func resealed(image []byte) []byte {
	put64(image, 176, headerChecksum(image))
	return image
}
