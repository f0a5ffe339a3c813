// SPDX-License-Identifier: Apache-2.0

package shm

// Where the control words lie in a file.
const (
	atHW, atHead, atTail, atLast = 4096, 4096 + 128, 4096 + 256, 4096 + 384
	atCatalogLen                 = 4096 + 896
)

// lapGoldens are rings that have gone on since position 0, where their reading
// begins nonetheless.
func lapGoldens() []golden {
	return []golden{
		{"lapped", "ten times round the ring: resume at tail", func(f *forge) []byte {
			fill(f, f.flows(), 40960)
			return f.ended(StateEnded)
		}, end{Frames: 24, Rows: 96, LostFrames: 296, LostRows: 1184, Laps: 1}},
		{"lapped-uneven", "frames of many lengths, a pad at each wrap", func(f *forge) []byte {
			a, b := f.flows(), f.source(SourceInfo{Name: "conns", KeySize: 4, ValueSize: 8})
			for i := range 60 {
				f.rows(a, uint32(i), 1+i*7%37, FlagFirst, uint64(i))
				f.rows(b, uint32(i), i%3, FlagLast, uint64(i))
			}
			return f.ended(StateEnded)
		}, end{Frames: 17, Rows: 165, LostFrames: 103, LostRows: 1023, Laps: 1}},
		{"lapped-in-flight", "position 0 is claimed, but still as it was: not to be believed", inFlight,
			end{Frames: 20, Rows: 80, LostFrames: 8, LostRows: 32, Laps: 1}},
		{"lapped-half-written", "position 0 is claimed, and half overwritten", func(f *forge) []byte {
			b := inFlight(f)
			copy(b[forgedData+48:], pattern(80))
			return b
		}, end{Frames: 20, Rows: 80, LostFrames: 8, LostRows: 32, Laps: 1}},
		{"lapped-into-pad", "tail is a pad, whose counts are those of the frame behind it", func(f *forge) []byte {
			a, b := f.flows(), f.flows()
			fill(f, a, 1024)
			f.claim(a, 64)
			f.claim(b, 12)
			a.Abort()
			b.Commit(Content{Kind: KindRows, Flags: whole, Rows: 1, Bytes: 12, KeyStride: 4, ValuesOffset: 4, ValueStride: 8, Scan: 1, TimeNS: 1})
			fill(f, a, 4224)
			return f.image()
		}, end{Frames: 24, Rows: 93, LostFrames: 8, LostRows: 32, Laps: 1}},
		{"lapped-into-scan", "the lap tore a keyframe: its FIRST is lost", func(f *forge) []byte {
			r := f.source(SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8, Flags: SourceChanges})
			for scan := range uint64(4) {
				f.rows(r, 0, 4, FlagFirst|FlagKeyframe, scan)
				for range 9 {
					f.rows(r, 0, 4, FlagKeyframe, scan)
				}
				f.rows(r, 0, 4, FlagLast|FlagKeyframe, scan)
			}
			return f.ended(StateEnded)
		}, end{Frames: 24, Rows: 96, LostFrames: 20, LostRows: 80, Laps: 1}},
		{"lapped-nothing-lost", "only a pad was overwritten: a lap, and no loss", func(f *forge) []byte {
			a, b := f.flows(), f.flows()
			f.claim(a, 448)
			f.claim(b, 12)
			a.Abort()
			b.Commit(Content{Kind: KindRows, Flags: whole, Rows: 1, Bytes: 12, KeyStride: 4, ValuesOffset: 4, ValueStride: 8, Scan: 1, TimeNS: 1})
			fill(f, a, 4096)
			image := f.image()
			put64(image, atHW, 4096+256)
			put64(image, atTail, 512)
			return image
		}, end{Frames: 28, Rows: 109, Laps: 1}},
		lapped("tail-behind", "tail is where the reader stands: resume at last", atTail, 0, toLast),
		lapped("tail-overtaken", "tail is overtaken, too: resume at last", atTail, 64, toLast),
		lapped("tail-beyond-head", "tail is beyond head: resume at last", atTail, 1<<20, toLast),
		lapped("tail-unaligned", "tail is rounded down to 64", atTail, 1024+40, end{Frames: 26, Rows: 104, LostFrames: 8, LostRows: 32, Laps: 1}),
		lapped("to-head", "last is head: nothing to read, and the loss not yet known", atTail, 0, end{}, atLast, 4352),
		lapped("for-ever", "hw is out of reach: no frame can be caught", atHW, 1<<63, end{Error: "lapped"}),
		lapped("last-beyond-hw", "last beyond hw: no frame can be caught", atTail, 0, end{Error: "lapped"}, atLast, 4352+64),
		lapped("head-behind", "last, and so the reader, beyond head", atTail, 0, end{Error: "corrupt"}, atLast, 4352+64, atHW, 4352+64),
		lapped("into-nothing", "tail is in the middle of a frame", atTail, 1024+64, end{Error: "corrupt"}),
	}
}

var toLast = end{Frames: 1, Rows: 4, LostFrames: 33, LostRows: 132, Laps: 1}

// lapped is a ring that wrapped by two frames, with other words in its control
// page.
func lapped(name, about string, at int, value uint64, e end, more ...uint64) golden {
	return golden{"lapped-" + name, about, func(f *forge) []byte {
		fill(f, f.flows(), 4352)
		image := f.image()
		put64(image, at, value)
		for i := 0; i < len(more); i += 2 {
			put64(image, int(more[i]), more[i+1])
		}
		return image
	}, e}
}

// inFlight is a ring where a claim has just raised hw over position 0.
func inFlight(f *forge) []byte {
	a, b := f.flows(), f.flows()
	fill(f, a, 3584)
	kept := f.image()
	f.claim(a, 448)
	f.claim(b, 64)
	image := f.image()
	copy(image[forgedData:], kept[forgedData:]) // as it was before the claims were filled
	return image
}
