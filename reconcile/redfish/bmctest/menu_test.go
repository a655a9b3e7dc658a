package bmctest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGrubScripts(t *testing.T) {
	const linux, initrd = "linux /images/pxeboot/vmlinuz ", "\ninitrd /images/pxeboot/initrd.img\n"
	item := func(args string) string { return linux + args + initrd }
	tests := []struct {
		name, script string
		args, err    string
	}{
		{"first entry", "set timeout=0\nmenuentry a {\n" + item("one") + "}\nmenuentry b {\n" + item("two") + "}\n", "one", ""},
		{"by number", "set default=1\nset timeout=0\nmenuentry a {\n" + item("one") + "}\nmenuentry b {\n" + item("two") + "}\n", "two", ""},
		{"by title", "set default='b c'\nset timeout=0\nmenuentry a {\n" + item("one") + "}\nmenuentry 'b c' {\n" + item("two") + "}\n", "two", ""},
		{"by identifier", "set default=x\nset timeout=0\nmenuentry a {\n" + item("one") + "}\nmenuentry --class os b --id x {\n" + item("two") + "}\n", "two", ""},
		{"in a submenu", "set default='more>1'\nset timeout=0\nsubmenu more {\nmenuentry a {\n" + item("one") + "}\nmenuentry b {\n" + item("two") + "}\n}\n", "two", ""},
		{"a submenu itself", "set default=0\nset timeout=0\nsubmenu more {\nmenuentry a {\n" + item("one") + "}\n}\n", "", "in the submenu"},
		{"no such entry", "set default=7\nset timeout=0\nmenuentry a {\n" + item("one") + "}\n", "", `no entry "7"`},
		{"no timeout", "menuentry a {\n" + item("one") + "}\n", "", "no timeout"},
		{"no menu", item("bare"), "bare", ""},
		{"no kernel", "set timeout=0\nmenuentry a {\ntrue\n}\n", "", "load the kernel first"},
		{"variables and quotes", "set timeout=0\nset x='a b'\nmenuentry a {\n" + item(`"q=$x" r=${x}s 't=$x' u\ v`) + "}\n", "q=a b r=a bs t=$x u v", ""},
		{"function", "function f {\nset arg=called\n}\nf\nset timeout=0\nmenuentry a {\n" + item("$arg") + "}\n", "called", ""},
		{"else", "if [ -f /nowhere ]; then set arg=if; elif [ -z \"$arg\" ]; then set arg=elif; else set arg=else; fi\nset timeout=0\nmenuentry a {\n" + item("$arg") + "}\n", "elif", ""},
		{"conditions", "if [ -f /ks.cfg ]; then set a=1; fi\nif [ ! -e /nowhere ]; then set b=2; fi\nif test -d /images; then set c=3; fi\nif [ x != y ]; then set d=4; fi\nif false; then set e=5; fi\nset timeout=0\nmenuentry a {\n" + item("$a$b$c$d$e") + "}\n", "1234", ""},
		{"search by label", "search --no-floppy --set=dev -l TEST\nset timeout=0\nmenuentry a {\n" + item("$dev") + "}\n", "cd0", ""},
		{"search in vain", "if search --file /nowhere; then set x=yes; else set x=no; fi\nset timeout=0\nmenuentry a {\n" + item("$x") + "}\n", "no", ""},
		{"source", "source /extra.cfg\nset timeout=0\nmenuentry a {\n" + item("$sourced") + "}\n", "yes", ""},
		{"menu that leads to another", "set timeout=0\nmenuentry a {\nconfigfile /other.cfg\n}\n", "other", ""},
		{"menu that leads to itself", "set timeout=0\nmenuentry a {\nconfigfile /self.cfg\n}\n", "", "without an end"},
		{"exit", "exit\n", "", "boots the local disk"},
		{"chainloader", "set timeout=0\nmenuentry a {\nset root=(hd0)\nchainloader +1\n}\n", "", "boots the local disk"},
		{"brace missing", "menuentry a {\n", "", "no }"},
		{"fi missing", "if true; then\ntrue\n", "", "if without fi"},
		{"done missing", "for x in a; do\ntrue\n", "", "no done"},
		{"while", "while true; do true; done\n", "", "not understood"},
		{"comment and continuation", "# nothing\nset timeout=0 # really\nmenuentry a { # open\nlinux /images/pxeboot/vmlinuz \\\n  joined\n" + initrd + "}\n", "joined", ""},
	}
	image := patchedISO(t, isoOptions{esp: "stock", files: map[string]string{
		"/extra.cfg": "set sourced=yes\n", "/other.cfg": "set timeout=1\nmenuentry o {\n" + item("other") + "}\n",
		"/self.cfg": "set timeout=0\nmenuentry a {\nconfigfile /self.cfg\n}\n",
	}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, cd := benchMedium(t, image)
				defer m.Close()
				g := &grubState{m: m, cd: cd, vars: map[string]string{"root": "cd0"}, funcs: map[string][]statement{}}
				err := g.config(tt.script)
				var e *entry
				if err == nil {
					e, err = g.menu()
				}
				switch {
				case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
					t.Errorf("%v, want %s", err, tt.err)
				case tt.err == "" && err != nil:
					t.Error(err)
				case tt.err == "" && (e.args != tt.args || e.kernel != "/images/pxeboot/vmlinuz" || len(e.initrds) != 1):
					t.Errorf("booted %+v, want %q", e, tt.args)
				}
			})
		})
	}
}

func TestIsolinuxMenus(t *testing.T) {
	const a, b = "label a\nkernel vmlinuz\nappend initrd=initrd.img one\n", "label b\nkernel /isolinux/vmlinuz\ninitrd initrd.img\nappend two\n"
	tests := []struct {
		name, menu string
		kernel     string
		args, err  string
		wait       time.Duration
	}{
		{"default", "default b\n" + a + b, "/isolinux/vmlinuz", "two", "", 0},
		{"first", a + b, "/isolinux/vmlinuz", "initrd=initrd.img one", "", 0},
		{"prompt", "default a\nprompt 1\ntimeout 50\n" + a, "/isolinux/vmlinuz", "initrd=initrd.img one", "", 5 * time.Second},
		{"prompt without timeout", "default a\nprompt 1\n" + a, "", "", "no timeout", 0},
		{"menu with its own default", "default vesamenu.c32\ntimeout 600\n" + a + b + "menu default\n", "/isolinux/vmlinuz", "two", "", time.Minute},
		{"menu without one", "ui menu.c32\ntimeout 10\n" + a + b, "/isolinux/vmlinuz", "initrd=initrd.img one", "", time.Second},
		{"on timeout", "ui menu.c32\ntimeout 10\nontimeout b\n" + a + b, "/isolinux/vmlinuz", "two", "", time.Second},
		{"included", "include more.cfg\ndefault inner\n", "/isolinux/vmlinuz", "initrd=initrd.img inner", "", 0},
		{"included in vain", "include nothing.cfg\n", "", "", "does not exist", 0},
		{"local disk", "default l\nlabel l\nlocalboot -1\n", "", "", "boots the local disk", 0},
		{"chain", "default l\nlabel l\ncom32 chain.c32\nappend hd0\n", "", "", "boots the local disk", 0},
		{"no kernel", "default l\nlabel l\nappend x\n", "", "", "has no kernel", 0},
		{"help text", "label a\ntext help\nlabel b\nkernel nothing\nendtext\nkernel vmlinuz\nappend initrd=initrd.img x\n", "/isolinux/vmlinuz", "initrd=initrd.img x", "", 0},
	}
	image := patchedISO(t, isoOptions{files: map[string]string{"/isolinux/more.cfg": "label inner\nkernel vmlinuz\nappend initrd=initrd.img inner\n"}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, cd := benchMedium(t, image)
				defer m.Close()
				began := time.Now()
				e, err := m.isolinux(cd, "/isolinux", tt.menu)
				switch {
				case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
					t.Errorf("%v, want %s", err, tt.err)
				case tt.err == "" && err != nil:
					t.Error(err)
				case tt.err == "" && (e.kernel != tt.kernel || e.args != tt.args || len(e.initrds) != 1 || e.initrds[0] != "/isolinux/initrd.img"):
					t.Errorf("booted %+v", e)
				}
				if took := time.Since(began); took != tt.wait {
					t.Errorf("waited %v, want %v", took, tt.wait)
				}
			})
		})
	}
}

func TestPlacesOnTheMedium(t *testing.T) {
	in := &installer{cd: &medium{volumeID: "A B"}}
	tests := []struct{ where, want, err string }{
		{"cdrom", "/", ""},
		{"cdrom:/ks.cfg", "/ks.cfg", ""},
		{"cdrom:/dev/sr0:/a/ks.cfg", "/a/ks.cfg", ""},
		{`hd:LABEL=A\x20B:/ks.cfg`, "/ks.cfg", ""},
		{"hd:LABEL=A B:/ks.cfg", "/ks.cfg", ""},
		{"hd:LABEL=A", "", `no medium is labelled "A"`},
		{"hd:sr0:/ks.cfg", "/ks.cfg", ""},
		{"hd:sdb1:/ks.cfg", "", "no device"},
		{"http://host/ks.cfg", "", "not on the medium"},
	}
	for _, tt := range tests {
		got, err := in.onMedium(tt.where)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q %v, want %q %s", tt.where, got, err, tt.want, tt.err)
		}
	}
}

// TestMediaOverNetwork installs through real sockets, as the lab does.
func TestMediaOverNetwork(t *testing.T) {
	s := &media{image: patchedISO(t, isoOptions{})}
	srv := httptest.NewTLSServer(s)
	t.Cleanup(srv.Close)
	k := &bench{t: t, bmc: &BMC{Serial: "SN-1", Machine: &Machine{}}}
	t.Cleanup(k.bmc.Close)
	k.must(http.MethodPost, genericDrive+"/Actions/VirtualMedia.InsertMedia", object{"Image": srv.URL + "/i/token/db-01.iso"})
	k.must(http.MethodPatch, genericSystem, object{"Boot": object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}})
	k.must(http.MethodPost, genericReset, object{"ResetType": "On"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for k.bmc.Power() == On && sleep(ctx, 10*time.Millisecond) {
	}
	if _, ok := k.bmc.Machine.Installed(); !ok {
		t.Errorf("not installed: %s", k.screen())
	}
}

// TestMediaServersThatBMCsRefuse serves an image in ways that drives do not read.
func TestMediaServersThatBMCsRefuse(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"no Content-Length": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Accept-Ranges", "bytes") },
		"no Accept-Ranges":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "4096") },
		"302":               func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	}
	for want, handler := range tests {
		if _, err := probe(t.Context(), handlerTransport{handler}, testISO); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	whole := handlerTransport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", "65536")
		_, _ = w.Write(make([]byte, 65536))
	})}
	m := &Machine{Fetch: whole}
	m.Insert(testISO)
	if _, err := m.openMedium(t.Context(), testISO); err == nil || !strings.Contains(err.Error(), "GET: 200") {
		t.Errorf("a server that ignores ranges: %v", err)
	}
}
