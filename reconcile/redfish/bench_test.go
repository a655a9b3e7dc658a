package redfish_test

import (
	"testing"

	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// BenchmarkObserve is what a dry run costs us for a host: a look with known
// Locations, decoding included, the simulated BMC's own work too.
func BenchmarkObserve(b *testing.B) {
	for _, v := range []bmctest.Vendor{bmctest.IDRAC9, bmctest.ILO6, bmctest.SupermicroX13} {
		b.Run(vendorName(v), func(b *testing.B) {
			r := newRig(v)
			s, err := r.client.Observe(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if s, err = r.client.Observe(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.Requests), "requests")
		})
	}
}
