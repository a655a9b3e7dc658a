package hosts_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/hosts"
	"github.com/metalcue/metalcue/schema"
)

// TestExample loads the embedded fleet and counts what its readers are told
// that it has.
func TestExample(t *testing.T) {
	fleet, err := schema.Load(hosts.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	sites := map[string]int{}
	used := map[string]bool{}
	for _, h := range fleet.Hosts {
		sites[h.Site]++
		used[h.OS], used[h.Role] = true, true
	}
	if diff := cmp.Diff(map[string]int{"tokyo": 7, "frankfurt": 5}, sites); diff != "" {
		t.Errorf("hosts of each site (-want +got):\n%s", diff)
	}
	want := []string{"alma-10", "db", "rocky-9.6", "web", "worker"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("images and roles in use (-want +got):\n%s", diff)
	}
	if len(fleet.Images) != 2 || len(fleet.Roles) != 3 {
		t.Errorf("%d images and %d roles, want 2 and 3", len(fleet.Images), len(fleet.Roles))
	}
}
