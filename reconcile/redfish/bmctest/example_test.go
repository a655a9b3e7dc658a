package bmctest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// A BMC answers in this process; what it was asked can be read afterwards.
func Example() {
	bmc := &bmctest.BMC{Vendor: bmctest.ILO6, Serial: "SN-1"}
	defer bmc.Close()
	bmc.Arm(bmctest.Fault{Method: "GET", Path: "/Systems/1", Status: 503})

	client := &http.Client{Transport: bmc.Transport()}
	for range 2 {
		resp, err := client.Get("https://bmc.example/redfish/v1/Systems/1")
		if err != nil {
			fmt.Println(err)
			return
		}
		var system struct{ SerialNumber, PowerState string }
		err = json.NewDecoder(resp.Body).Decode(&system)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, system, err)
	}
	for _, r := range bmc.Requests() {
		fmt.Println(r.Method, strings.TrimPrefix(r.Path, "/redfish/v1"), r.Status)
	}
	// Output:
	// 503 { } <nil>
	// 200 {SN-1 Off} <nil>
	// GET /Systems/1 503
	// GET /Systems/1 200
}
