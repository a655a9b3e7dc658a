package reconcile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/schema"
)

// A plan from a snapshot of NetBox says so, with its age, and is never applied.
func TestSnapshotPlan(t *testing.T) {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	p := Diff(&schema.Fleet{}, &World{At: at.Add(26 * time.Hour), Snapshot: at}, Options{})
	want := "NetBox was not asked: this is what it said at 2026-11-20T09:00:00Z, 26h0m0s before, and the plan cannot be applied"
	if len(p.Notes) != 1 || p.Notes[0] != want || !p.Snapshot.Equal(at) {
		t.Errorf("got %q, %v", p.Notes, p.Snapshot)
	}
	if _, err := (&Reconciler{}).Apply(t.Context(), p, &World{}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "from a snapshot of NetBox") {
		t.Errorf("got %v", err)
	}
}
