package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// TestRecognise: what is said of an image that no family knows is about the
// image.
func TestRecognise(t *testing.T) {
	var i inspection
	i.recognise(answer.ISO{VolumeID: "TEST", Tree: fstest.MapFS{
		".treeinfo": {Data: []byte("[general]\nfamily = Rocky Linux\nversion = 9.5\narch = x86_64\n")},
	}})
	if len(i.Installers) > 0 {
		t.Errorf("half an image is taken for %v", i.Installers)
	}
	of := func(text string) func(string) bool {
		return func(why string) bool { return strings.Contains(why, text) }
	}
	if !slices.ContainsFunc(i.Unknown, of("rhel: ")) || slices.ContainsFunc(i.Unknown, of("is known for")) {
		t.Errorf("reasons are %q", i.Unknown)
	}
}
