package bmctest

import (
	"encoding/binary"
	"testing"
)

func TestFollowChains(t *testing.T) {
	fat16 := func(next ...uint16) []byte {
		table := make([]byte, 2*5002)
		for i, v := range next {
			binary.LittleEndian.PutUint16(table[2*i:], v)
		}
		return table
	}
	tests := []struct {
		name  string
		table []byte
		count int64
		loops bool
	}{
		{"empty", fat16(), 5000, false},
		{"two chains, one end", fat16(0, 0, 3, 4, 0xFFFF, 4), 5000, false},
		{"one cluster that is its own next", fat16(0, 0, 2), 5000, true},
		{"a ring behind a chain", fat16(0, 0, 3, 4, 5, 4), 5000, true},
		{"outside of the table", fat16(0, 0, 60000), 5000, false},
		{"12 bits, a ring", []byte{0, 0, 0, 0x03, 0x20, 0x00}, 100, true},
		{"12 bits, a chain", []byte{0, 0, 0, 0x03, 0xF0, 0xFF}, 100, false},
		{"32 bits, a ring", append(make([]byte, 8), 3, 0, 0, 0, 2, 0, 0, 0xF0), 70000, true},
	}
	for _, tt := range tests {
		if err := followChains(tt.table, tt.count); (err != nil) != tt.loops {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
