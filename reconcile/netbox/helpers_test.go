package netbox_test

import (
	"net/netip"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// netboxSecret makes a secret of a string that is not constant.
func netboxSecret(s string) credential.Secret { return credential.Secret(s) }

// roleTree is a NetBox with a role and its child.
var roleTree = fstest.MapFS{"dcim.devices.json": {Data: []byte(`{"count":2,"results":[
	{"id":1,"name":"parent","role":{"id":1,"slug":"server","_depth":0},"tags":[]},
	{"id":2,"name":"child","role":{"id":2,"slug":"db-server","_depth":1},"tags":[]}]}`)}}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
