package schema

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// BenchmarkLoad loads 10,000 hosts in ten sites, each host with labels and
// values of its own. On two cores it is to take a few seconds.
func BenchmarkLoad(b *testing.B) {
	for _, sites := range []int{1, 10} {
		b.Run(fmt.Sprintf("sites=%d", sites), func(b *testing.B) {
			fsys := manyHosts(sites, 10_000/sites)
			b.ReportAllocs()
			for b.Loop() {
				fleet, err := Load(fsys, "hosts")
				if err != nil {
					b.Fatal(err)
				}
				if len(fleet.Hosts) != 10_000 {
					b.Fatalf("%d hosts", len(fleet.Hosts))
				}
			}
		})
	}
}

// manyHosts returns a repository with that many hosts in each site.
func manyHosts(sites, hosts int) fstest.MapFS {
	fsys := fstest.MapFS{
		"hosts/a.tmpl": {},
		"hosts/fleet.cue": {Data: []byte(`package fleet

import "github.com/metalcue/metalcue/schema"

schema.#Fleet

roles: [_]: answer: template: "a.tmpl"
roles: {web: {}, db: {}}
images: "rocky-9.6": {
	family: "rhel"
	url:    "https://mirror.example.com/rocky.iso"
	sha256: "5b1e7c94d2a80f3667c1e5b9f04d83a2c76e91b05fd4a83827e6c0b19d5f34a8"
}
`)},
	}
	for s := range sites {
		var f strings.Builder
		f.WriteString("package fleet\n\nhosts: {\n")
		for h := range hosts {
			fmt.Fprintf(&f, "\t\"s%d-h%d\": {os: \"rocky-9.6\", role: %q, labels: cluster: \"c%d\", vars: {rack: %d, tags: [\"a\", \"b\"]}}\n",
				s, h, []string{"web", "db"}[h%2], h/5, h/40)
		}
		f.WriteString("}\n")
		fsys[fmt.Sprintf("hosts/s%d/hosts.cue", s)] = &fstest.MapFile{Data: []byte(f.String())}
	}
	return fsys
}
