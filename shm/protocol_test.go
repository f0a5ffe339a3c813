// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ringside-bpf/ringside/shm/internal/protodoc"
)

// protocolDoc is the normative text. These tests keep it true: its tables are
// held against the constants, its example against a ring that is made here.
const protocolDoc = "../docs/protocol.md"

func TestProtocolTables(t *testing.T) {
	at := protodoc.At
	for table, want := range map[string]map[string]protodoc.Place{
		"header": {
			"magic": at(offMagic, 8), "abi_major": at(offMajor, 2), "abi_minor": at(offMinor, 2),
			"header_bytes": at(offHeaderBytes, 4), "total_bytes": at(offTotalBytes, 8),
			"epoch": at(offEpoch, 8), "created_ns": at(offCreated, 8),
			"control_off": at(offControl, 8), "control_bytes": at(offControlBytes, 8),
			"catalog_off": at(offCatalog, 8), "catalog_records": at(offCatalogCap, 4), "record_bytes": at(offCatalogStep, 4),
			"heap_off": at(offHeap, 8), "heap_bytes": at(offHeapBytes, 8),
			"data_off": at(offData, 8), "data_bytes": at(offDataBytes, 8),
			"largest_frame": at(offLargest, 4), "delivery": at(offDelivery, 4),
			"name": at(offName, nameBytes), "checksum": at(offChecksum, 8),
		},
		"control": {
			"hw": at(offHW, 8), "head": at(offHead, 8), "tail": at(offTail, 8), "last": at(offLast, 8),
			"heartbeat_ns": at(offHeartbeat, 8), "state": at(offState, 8), "realtime_offset_ns": at(offRealtime, 8),
			"catalog_len": at(offCatalogLen, 8), "heap_len": at(offHeapLen, 8),
		},
		"catalog": {
			"number": at(offSrcNumber, 4), "map_id": at(offSrcMapID, 4), "map_type": at(offSrcMapType, 4),
			"key_size": at(offSrcKeySize, 4), "value_size": at(offSrcValueSize, 4), "map_value_size": at(offSrcMapValueSize, 4),
			"cpus": at(offSrcCPUs, 4), "flags": at(offSrcFlags, 4), "max_entries": at(offSrcMaxEntries, 4),
			"schema_len": at(offSrcSchemaLen, 4), "schema_off": at(offSrcSchemaOff, 8), "created_ns": at(offSrcCreated, 8),
			"name": at(offSrcName, SourceNameBytes), "state": at(offSrcState, 8),
			"keyframe_pos": at(offSrcKeyframe, 8), "superseded_by": at(offSrcSupersededBy, 8),
		},
		"frame": {
			"length": at(0, 4), "kind": at(4, 1), "flags": at(5, 1), "source": at(6, 2),
			"rows": at(8, 4), "src_seq": at(12, 4), "keys_off": at(16, 4), "key_stride": at(20, 4),
			"values_off": at(24, 4), "value_stride": at(28, 4),
			"seq": at(32, 8), "rows_before": at(40, 8), "scan": at(48, 8), "time_ns": at(56, 8),
		},
		"consumer": {
			"cursor": at(offConsCursor, 8), "sleep": at(offConsSleep, 8),
			"next_seq": at(offConsNextSeq, 8), "next_rows": at(offConsNextRows, 8),
			"lost_frames": at(offConsLostFrames, 8), "lost_rows": at(offConsLostRows, 8), "laps": at(offConsLaps, 8),
			"ask": at(offConsAsk, 8), "evicted": at(offConsEvicted, 8),
		},
	} {
		protodoc.Hold(t, table, protodoc.Layout(t, protocolDoc, table), want)
	}
}

func TestProtocolConstants(t *testing.T) {
	number := protodoc.Number
	for table, want := range map[string]map[string]protodoc.Place{
		"constants": {
			"ABI major": number(ABIMajor), "ABI minor": number(ABIMinor), "page": number(pageSize),
			"frame header": number(HeaderBytes), "frame alignment": number(frameAlign), "catalog record": number(sourceBytes),
			"smallest data": number(minDataBytes), "largest data": number(uint64(maxDataBytes)),
			"consumer's page": number(consumerBytes),
			"ring seals":      number(fmt.Sprintf("%#x", ringSeals)), "page seals": number(fmt.Sprintf("%#x", controlSeals)),
		},
		"states":  {"LIVE": number(uint64(StateLive)), "SUPERSEDED": number(uint64(StateSuperseded)), "ENDED": number(uint64(StateEnded))},
		"sources": {"ACTIVE": number(uint64(SourceActive)), "SUPERSEDED": number(uint64(SourceSuperseded)), "GONE": number(uint64(SourceGone))},
		"kinds":   {"PAD": number(KindPad), "ROWS": number(KindRows), "DELETES": number(KindDeletes), "EVENTS": number(KindEvents), "MARK": number(KindMark)},
		"flags":   {"FIRST": number(FlagFirst), "LAST": number(FlagLast), "KEYFRAME": number(FlagKeyframe)},
		"source flags": {
			"PER_CPU": number(uint32(SourcePerCPU)), "LOCKED_SCAN": number(uint32(SourceLockedScan)),
			"LOCKED_VALUE": number(uint32(SourceLockedValue)), "MAP_IDS": number(uint32(SourceMapIDs)),
			"EVENTS": number(uint32(SourceEvents)), "CHANGES": number(uint32(SourceChanges)),
		},
	} {
		protodoc.Hold(t, table, protodoc.Numbers(t, protocolDoc, table), want)
	}
}

// The frame header is a Go structure that is encoded by words, so its offsets
// are proved by encoding it.
func TestProtocolFrameHeader(t *testing.T) {
	h := Header{
		Length: 0x11_00_00_40, Kind: 0x22, Flags: 0x33, Source: 0x4444, Rows: 0x55555555, SourceSeq: 0x66666666,
		KeysOffset: 0x77777777, KeyStride: 0x88888888, ValuesOffset: 0x99999999, ValueStride: 0xAAAAAAAA,
		Seq: 0xBBBBBBBBBBBBBBBB, RowsBefore: 0xCCCCCCCCCCCCCCCC, Scan: 0xDDDDDDDDDDDDDDDD, TimeNS: 0xEEEEEEEEEEEEEEEE,
	}
	m, w := make(memory, pageSize), h.encode()
	m.store(0, &w)
	for _, f := range []struct {
		at, size int
		first    byte
	}{
		{4, 1, 0x22}, {5, 1, 0x33}, {6, 2, 0x44}, {8, 4, 0x55}, {12, 4, 0x66}, {16, 4, 0x77}, {20, 4, 0x88},
		{24, 4, 0x99}, {28, 4, 0xAA}, {32, 8, 0xBB}, {40, 8, 0xCC}, {48, 8, 0xDD}, {56, 8, 0xEE},
	} {
		if want := bytes.Repeat([]byte{f.first}, f.size); !bytes.Equal(m[f.at:f.at+f.size], want) {
			t.Errorf("offset %d: % x, expected % x", f.at, m[f.at:f.at+f.size], want)
		}
	}
}
