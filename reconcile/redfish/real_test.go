//go:build bmc

package redfish_test

import (
	"os"
	"testing"
)

// TestRealBMC looks at the BMC that the environment names, with GETs alone, and
// with BMC_MEDIUM set to the URL of an ISO that it can fetch, installs nothing
// but goes through all the steps: the machine is switched OFF and on, and its
// asset tag is put back at the end.
//
//	BMC_ADDRESS=10.0.0.1 BMC_USERNAME=… BMC_PASSWORD=… BMC_TLS=insecure \
//	go test -tags bmc -run TestRealBMC -v ./reconcile/redfish
//
// BMC_TLS is "verify", "pin" (with BMC_SHA256) or "insecure"; BMC_SYSTEM names
// one of several systems; BMC_SESSION=1 logs in with a session. TestWholeBMC
// runs the same against a simulated BMC.
func TestRealBMC(t *testing.T) {
	if os.Getenv("BMC_ADDRESS") == "" {
		t.Fatal("BMC_ADDRESS names no BMC")
	}
	wholeBMC(t, os.Getenv)
}
