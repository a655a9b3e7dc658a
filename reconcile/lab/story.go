package lab

import (
	"fmt"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/schema"
)

// Settle gives every machine a past. plan is what would be planned for
// machines that bear nothing: most get the marker that it wants, as if an
// earlier run had installed them, and the rest is what a fleet's daily life
// brings: hosts whose declaration was raised since, one that still has another
// image, and new ones that NetBox calls staged. It returns what to tell of it.
func (l *Lab) Settle(fleet *schema.Fleet, plan *reconcile.Plan) (story []string, err error) {
	left := struct{ fresh, image int }{fresh: 2, image: 1}
	for _, c := range plan.Changes {
		h := fleet.Hosts[c.Host]
		m := marker.Marker{State: marker.Installed, Attempt: 1, Spec: c.To.Spec, Config: c.To.Config, Label: c.To.Label}
		switch {
		case h.Generation > 1:
			m.Spec = reconcile.SpecDigest(fleet.Images[h.OS].SHA256, h.Role, h.Generation-1)
			story = append(story, fmt.Sprintf("%s was installed as generation %d; its declaration was raised to %d", c.Host, h.Generation-1, h.Generation))
		case left.image > 0 && !h.Protect && otherImage(fleet, h.OS) != "":
			left.image--
			other := otherImage(fleet, h.OS)
			m.Spec, m.Label = reconcile.SpecDigest(fleet.Images[other].SHA256, h.Role, h.Generation), other
			story = append(story, fmt.Sprintf("%s still has %s, and is declared to have %s", c.Host, other, h.OS))
		case left.fresh > 0 && h.Role == lastRole(fleet):
			left.fresh--
			if err := l.SetStatus(c.Host, "staged"); err != nil {
				return nil, err
			}
			story = append(story, fmt.Sprintf("%s is new: NetBox says staged, nothing is installed", c.Host))
			continue
		}
		l.SetMarker(c.Host, m)
	}
	return story, nil
}

func otherImage(fleet *schema.Fleet, os string) string {
	for name := range fleet.Images {
		if name != os {
			return name
		}
	}
	return ""
}

// lastRole is the role whose hosts are new in the story: the last by name.
func lastRole(fleet *schema.Fleet) (last string) {
	for name := range fleet.Roles {
		last = max(last, name)
	}
	return last
}
