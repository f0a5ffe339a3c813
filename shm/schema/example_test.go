// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"fmt"

	"github.com/ringside-bpf/ringside/shm/schema"
)

func ExampleType_Append() {
	wire := []byte(`{"version":1,"value":{"kind":"struct","name":"struct flow","size":16,"fields":[
		{"name":"bytes","offset":0,"type":{"kind":"uint","name":"__u64","size":8}},
		{"name":"comm","offset":8,"type":{"kind":"array","size":8,"count":8,"elem":{"kind":"char","size":1}}}]}}`)
	s, err := schema.Decode(wire)
	if err != nil {
		fmt.Println(err)
		return
	}
	row := []byte("\x39\x30\x00\x00\x00\x00\x00\x00curl\x00\x00\x00\x00")
	fmt.Printf("%s\n", s.Value.Append(nil, row))
	// Output: {"bytes":12345,"comm":"curl"}
}
