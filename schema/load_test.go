package schema

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// repository returns folders of this repository, with files laid over them.
func repository(t *testing.T, over map[string]string) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	root := os.DirFS("..")
	for _, dir := range []string{"hosts", "schema", "cue.mod"} {
		err := fs.WalkDir(root, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := fs.ReadFile(root, name)
			all[name] = &fstest.MapFile{Data: data}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range over {
		all[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return all
}

func TestLoadExample(t *testing.T) {
	fleet, err := Load(repository(t, map[string]string{
		"hosts/templates/base.ks.tmpl": "", "hosts/templates/db.ks.tmpl": "",
	}), "hosts")
	if err != nil {
		t.Fatal(err)
	}
	wantHosts := []string{
		"fra-db-01", "fra-db-02", "fra-web-01", "fra-web-02", "fra-worker-01",
		"tyo-db-01", "tyo-db-02", "tyo-web-01", "tyo-web-02", "tyo-web-03", "tyo-worker-01", "tyo-worker-02",
	}
	if diff := cmp.Diff(wantHosts, fleet.HostNames()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"alma-10", "rocky-9.6"}, slices.Sorted(maps.Keys(fleet.Images))); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	wantHost := &Host{
		Name: "fra-db-01", OS: "rocky-9.6", Role: "db", Generation: 1, Protect: true, Site: "frankfurt",
		Vars: map[string]any{}, Labels: map[string]string{"cluster": "fra-orders"},
		BMC: BMC{Credentials: "frankfurt-bmc", TLS: TLS{Mode: "insecure"}, Marker: "asset-tag"},
	}
	got := *fleet.Hosts["fra-db-01"]
	if got.Pos.File != "hosts/frankfurt/hosts.cue" || got.Fields["os"].Line != got.Pos.Line {
		t.Errorf("position %v, of os %v", got.Pos, got.Fields["os"])
	}
	got.Pos, got.Fields = Position{}, nil
	if diff := cmp.Diff(wantHost, &got); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	wantVerify := []Check{
		{SSH: true, Timeout: 15 * time.Minute},
		{HTTP: &HTTPCheck{URL: "http://{host}/", Status: 200}, Timeout: 20 * time.Minute},
	}
	if diff := cmp.Diff(wantVerify, fleet.Roles["web"].Verify); diff != "" {
		t.Errorf("checks of web (-want +got):\n%s", diff)
	}
}

// A recipe arrives whole.
func TestGeneric(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/generic.txtar")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := Load(fstest.MapFS{"hosts/a.tmpl": {}, "hosts/fleet.cue": &fstest.MapFile{Data: archive.Files[0].Data}}, "hosts")
	if err != nil {
		t.Fatal(err)
	}
	want := &Generic{
		Volume: `Devuan 5\..*`, Says: map[string]string{"/.disk/info": "Daedalus amd64"}, PowersOff: "debian-installer/exit/poweroff boolean true",
		Files: map[string]string{"/site.txt": "more\n"},
		Menus: []GenericMenu{
			{Path: "/isolinux/isolinux.cfg", Kind: "isolinux", Source: "/isolinux/txt.cfg", Entry: "install"},
			{Path: "/boot/grub/grub.cfg", Kind: "grub", Entry: "Install"},
			{Path: "/efi/devuan/grub.cfg", Kind: "stub", LeadsTo: "/boot/grub/grub.cfg"},
		},
		Drop: []string{"quiet"}, Args: []string{"auto=true", "priority=critical"}, Payload: []string{"/dists/daedalus/Release"},
		Evidence: []string{"kernel", "answer"},
	}
	want.Answer.Path, want.Answer.Format, want.Answer.Initrd = "/answer.cpio", "text", "preseed.cfg"
	if diff := cmp.Diff(want, fleet.Images["devuan"].Generic); diff != "" {
		t.Errorf("the recipe (-want +got):\n%s", diff)
	}
}
