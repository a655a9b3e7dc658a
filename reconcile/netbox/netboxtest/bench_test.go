package netboxtest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// BenchmarkTenThousand seeds 10,000 devices with 4 KiB of context each and
// reads all of them by pages of 1,000.
func BenchmarkTenThousand(b *testing.B) {
	devices := make([]netboxtest.Device, 10_000)
	for i := range devices {
		devices[i] = netboxtest.Device{
			Name: fmt.Sprintf("host-%05d", i), Serial: fmt.Sprintf("S%05d", i), Site: fmt.Sprintf("site-%d", i%7),
			Context: map[string]any{"id": i, "blob": strings.Repeat("x", 4<<10)},
		}
	}
	for b.Loop() {
		nb := &netboxtest.Server{Devices: devices}
		for offset := 0; offset < len(devices); offset += 1000 {
			req, err := http.NewRequestWithContext(b.Context(), "GET", fmt.Sprintf("https://x/api/dcim/devices/?tag=reconcile&limit=1000&offset=%d", offset), nil)
			if err != nil {
				b.Fatal(err)
			}
			resp, err := nb.Transport().RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
	}
}
