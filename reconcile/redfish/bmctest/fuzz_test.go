package bmctest

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// benchMedium opens an image for the menus that are fuzzed on it.
func benchMedium(t testing.TB, image []byte) (*Machine, *medium) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	m := &Machine{Fetch: handlerTransport{&media{image: image}}}
	m.Insert(testISO)
	cd, err := m.openMedium(ctx, testISO)
	if err != nil {
		t.Fatal(err)
	}
	return m, cd
}

// FuzzGrub runs scripts. Whatever they say, GRUB ends, and boots only what the
// script names.
func FuzzGrub(f *testing.F) {
	f.Add("set timeout=0\nmenuentry 'a' {\n linux /vmlinuz x=\"$root\"\n initrd /i\n}\n")
	f.Add("if [ -f /ks.cfg ]; then set default=1; elif true; then set default=2; else exit; fi")
	f.Add("for v in a b; do search --set=root --file /$v; done; chainloader +1")
	f.Add("function f { f }\nf\n")
	f.Add(strings.Repeat("a{", 1<<20))
	f.Add("configfile /EFI/BOOT/grub.cfg")
	f.Add("menuentry a --id=x { submenu b { } }")
	f.Add("set a='b\nset b=\"c\\")
	f.Add("source /EFI/BOOT/grub.cfg; ${ $} {")
	image := patchedISO(f, isoOptions{esp: "stock"})
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			m, cd := benchMedium(t, image)
			defer m.Close()
			g := &grubState{m: m, cd: cd, vars: map[string]string{"root": "cd0"}, funcs: map[string][]statement{}}
			if err := g.config(text); err != nil {
				return
			}
			if e, err := g.menu(); err == nil && e.kernel == "" {
				t.Error("an entry without a kernel was booted")
			}
		})
	})
}

// FuzzIsolinux runs menus of ISOLINUX.
func FuzzIsolinux(f *testing.F) {
	f.Add("default a\nlabel a\n kernel vmlinuz\n append initrd=i,j x\n")
	f.Add("ui menu.c32\ntimeout 10\nlabel a\nmenu default\nlocalboot -1")
	f.Add("include isolinux.cfg\n")
	f.Add("text help\nlabel x\nendtext\nprompt 1\ntimeout x")
	image := patchedISO(f, isoOptions{esp: "stock"})
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			m, cd := benchMedium(t, image)
			defer m.Close()
			if e, err := m.isolinux(cd, "/isolinux", text); err == nil && (e.kernel == "" || !strings.HasPrefix(e.kernel, "/")) {
				t.Errorf("booted %+v", e)
			}
		})
	})
}

// FuzzKickstart reads answer files.
func FuzzKickstart(f *testing.F) {
	f.Add(testKickstart)
	f.Add("%pre\n%end\n%packages\n%end\nautopart\nreboot")
	f.Add("%include /run/x\n%foo\n")
	f.Fuzz(func(t *testing.T, text string) {
		ks, err := parseKickstart(text)
		if err != nil {
			return
		}
		if ks.final == "poweroff" && !strings.Contains(text, "poweroff") && !strings.Contains(text, "shutdown") {
			t.Error("powers off though nobody says so")
		}
		ks.names([]string{"SN-1"})
	})
}

// FuzzMedium boots images with a damaged part. The machine may stand still,
// but neither it nor the readers that it uses bring the process down.
func FuzzMedium(f *testing.F) {
	image := patchedISO(f, isoOptions{})
	f.Add(uint32(16*isoSector+156), []byte{0xFF, 0xFF}, true)
	f.Add(uint32(17*isoSector+71), []byte{0}, false)
	f.Add(uint32(20*isoSector), []byte{3, 0, 0}, true)
	f.Add(uint32(18*isoSector+40), []byte("x"), false)
	f.Fuzz(func(t *testing.T, off uint32, damage []byte, bios bool) {
		if len(damage) > 64 {
			return
		}
		broken := bytes.Clone(image)
		copy(broken[int(off)%len(broken):], damage)
		synctest.Test(t, func(t *testing.T) {
			m := &Machine{Fetch: handlerTransport{&media{image: broken}}}
			if bios {
				m.Firmware = BIOS
			}
			defer m.Close()
			m.Insert(testISO)
			if err := m.PowerOn(func() Boot { return Boot{Device: "Cd", Medium: testISO} }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
			if s := m.Stage(); s == StagePOST || s == StageLoader && len(m.Console()) == 0 {
				t.Errorf("the machine is still in %s", s)
			}
		})
	})
}

// FuzzRequest sends requests of every kind to a BMC of every vendor.
func FuzzRequest(f *testing.F) {
	f.Add(0, "PATCH", "/Systems/1", `{"Boot":{"BootSourceOverrideTarget":7}}`)
	f.Add(3, "POST", "/Systems/System.Embedded.1/Actions/ComputerSystem.Reset", `{"ResetType":["On"]}`)
	f.Add(9, "PATCH", "/Systems/1/VirtualMedia/EXT1", `{"Image":{},"Inserted":"yes"}`)
	f.Add(13, "POST", "/Managers/BMC/Actions/Oem/AMIVirtualMedia.EnableRMedia", `null`)
	f.Add(5, "DELETE", "/SessionService/Sessions/1", ``)
	f.Add(1, "POST", "/SessionService/Sessions", `{"UserName":1}`)
	vendors := Vendors()
	f.Fuzz(func(t *testing.T, n int, method, path, body string) {
		q := vendors[int(uint(n)%uint(len(vendors)))].Quirks()
		q.PowerLag, q.NeedIfMatch, q.InsertLag, q.EnableRMediaLag = 0, false, 0, 0
		b := &BMC{Vendor: vendors[int(uint(n)%uint(len(vendors)))], Quirks: &q, Machine: &Machine{Fetch: handlerTransport{http.NotFoundHandler()}}}
		defer b.Close()
		req, err := http.NewRequest(method, "https://bmc/", strings.NewReader(body))
		if err != nil {
			return
		}
		req.URL.Path = rootURI + path
		resp, err := b.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d", resp.StatusCode)
		}
		resp.Body.Close()
	})
}
