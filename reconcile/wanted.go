package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/schema"
)

// An installation is what identifies an installation; its fields are the kinds
// of drift.
type installation struct {
	OS         string
	Role       string
	Generation int
	Config     string
}

// SpecDigest identifies an installation: the image's content, the role, the
// generation. The image's name is not in it, so that renaming reinstalls
// nothing.
func SpecDigest(sha256, role string, generation int) string {
	return marker.SpecDigest(sha256, role, strconv.Itoa(generation))
}

// maxGeneration bounds the search of recognise.
const maxGeneration = 256

// recognise finds which image, role and generation of the fleet a marker's
// digest stands for. A digest cannot be turned round, but the fleet that made
// it can be tried: what the host would be with another of the fleet's images,
// roles or an earlier generation. When nothing fits, the label alone speaks.
func recognise(f *schema.Fleet, h *schema.Host, m marker.Marker) (installation, bool) {
	generations := min(max(h.Generation+16, 32), maxGeneration)
	for _, os := range own(f.Images, h.OS) {
		for _, role := range own(f.Roles, h.Role) {
			for g := range generations + 1 {
				if SpecDigest(f.Images[os].SHA256, role, g) == m.Spec {
					return installation{OS: os, Role: role, Generation: g, Config: m.Config}, true
				}
			}
		}
	}
	return installation{OS: m.Label, Role: h.Role, Generation: h.Generation, Config: m.Config}, false
}

// own returns the keys of m in order, the host's own first.
func own[V any](m map[string]V, first string) []string {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(m)), func(k string) bool { return k == first })
	if _, ok := m[first]; ok {
		keys = slices.Insert(keys, 0, first)
	}
	return keys
}

// differences lists by go-cmp what differs between two installations.
func differences(from, to installation) []Drift {
	var r driftReporter
	cmp.Equal(from, to, cmp.Reporter(&r))
	return r.drift
}

// driftReporter turns go-cmp's unequal leaves into drifts.
type driftReporter struct {
	path  cmp.Path
	drift []Drift
}

func (r *driftReporter) PushStep(s cmp.PathStep) { r.path = append(r.path, s) }
func (r *driftReporter) PopStep()                { r.path = r.path[:len(r.path)-1] }

func (r *driftReporter) Report(rs cmp.Result) {
	if rs.Equal() {
		return
	}
	field, ok := r.path.Index(1).(cmp.StructField)
	if !ok {
		return
	}
	from, to := r.path.Last().Values()
	r.drift = append(r.drift, Drift{
		Kind: strings.ToLower(field.Name()),
		From: fmt.Sprint(from.Interface()),
		To:   fmt.Sprint(to.Interface()),
	})
}
