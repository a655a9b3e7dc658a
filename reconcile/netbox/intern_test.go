package netbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// FuzzObject compares taking an object apart by hand with encoding/json.
func FuzzObject(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1}`, ` { "a" : [1, {"b":"}]"}] , "c":"\"\\", "d" :null } `, `{"":{"":[]}}`, `[]`, `null`, `{"é":"\u00e9,:"}`,
		`{"long":"0123456789abcdef0123456789abcdef","same":"0123456789abcdef0123456789abcdef"}`, `{"a":1e400,"b":1e3,"c":-0,"d":9007199254740993}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return // a RawMessage is valid
		}
		got, gotErr := newInterner().object(bytes.TrimSpace(data))
		want, wantErr := decodeObject(bytes.TrimSpace(data))
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("got %v, want %v", gotErr, wantErr)
		}
		if gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, want %#v", got, want)
		}
	})
}

// FuzzPage feeds pages of any bytes to the decoder of listings.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"count":1,"next":null,"previous":null,"results":[{"id":1,"name":"x","status":{"value":"active"},"custom_fields":{"a":{"value":"b","label":"B"}},"config_context":{"r":{}}}]}`))
	f.Add([]byte(`{"count":1,"results":[{"id":1,"oob_ip":{"address":"::ffff:1.2.3.4/128"},"primary_ip4":{"address":"10.0.0.1/99"},"tags":[{"slug":"a"}]}]}`))
	f.Add([]byte(`{"results":[],"count":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Client{base: "https://netbox.example.net"}
		in := newInterner()
		_, err := decodePage(bytes.NewReader(data), func(row []byte) error {
			s, err := c.device(row, in)
			if err != nil {
				return err
			}
			d := s.device
			text, err := json.Marshal(&d)
			if err != nil {
				t.Fatal(err)
			}
			var back Device
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatal(err)
			}
			if back.OOB != d.OOB || back.Primary4 != d.Primary4 || back.Name != strings.ToValidUTF8(d.Name, "\ufffd") {
				t.Fatalf("got %+v back from %s", back, text)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("an error of an unknown kind: %v", err)
		}
	})
}

func TestInternerShares(t *testing.T) {
	in := newInterner()
	a, err := in.object([]byte(`{"x":{"servers":["10.0.0.1","10.0.0.2"]},"host":1}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := in.object([]byte(`{"x":{"servers":["10.0.0.1","10.0.0.2"]},"host":2}`))
	if err != nil {
		t.Fatal(err)
	}
	if reflect.ValueOf(a["x"]).Pointer() != reflect.ValueOf(b["x"]).Pointer() {
		t.Error("equal values are decoded twice")
	}
}
