package answer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// checkKeys makes sure that text is one JSON object in which no key is there
// twice, and in which objects have no other keys than those that are listed for
// their place: "" is the whole, "a.b" an object in it, "a[]" each of a list.
// Its errors name line and key.
func checkKeys(text string, keys map[string][]string) error {
	w := &keyWalker{text: text, dec: json.NewDecoder(strings.NewReader(text)), keys: keys}
	if err := w.value(""); err != nil {
		return w.at(err)
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return errors.New("line 1: it is no JSON object")
	}
	if _, err := w.dec.Token(); !errors.Is(err, io.EOF) {
		return w.at(errors.New("there is something after the end of the object"))
	}
	return nil
}

type keyWalker struct {
	text string
	dec  *json.Decoder
	keys map[string][]string
}

// at says in which line the walk has stopped.
func (w *keyWalker) at(err error) error {
	offset := w.dec.InputOffset()
	if e := (*json.SyntaxError)(nil); errors.As(err, &e) {
		offset = e.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("line %d: %w", 1+strings.Count(w.text[:min(int(offset), len(w.text))], "\n"), err)
}

func (w *keyWalker) value(place string) error {
	t, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		return w.object(place)
	case json.Delim('['):
		for w.dec.More() {
			if err := w.value(place + "[]"); err != nil {
				return err
			}
		}
		_, err = w.dec.Token()
	}
	return err
}

func (w *keyWalker) object(place string) error {
	seen := map[string]bool{}
	known, listed := w.keys[place]
	for w.dec.More() {
		t, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		inner := strings.TrimPrefix(place+"."+key, ".")
		if seen[key] {
			return fmt.Errorf("%s is there twice", inner)
		}
		seen[key] = true
		if listed && !slices.Contains(known, key) {
			return fmt.Errorf("%s is no key of %s; there are %s", key, cmp.Or(place, "the whole"), strings.Join(known, ", "))
		}
		if err := w.value(inner); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

func sortedMapKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
