package bmctest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

const (
	testKickstart = `text
cdrom
rootpw --lock
clearpart --all
autopart
%packages
@core
%end
%pre --erroronfail
test "$(cat /sys/class/dmi/id/product_serial)" = "SN-1" || exit 1
%end
poweroff
`
	testArgs = "inst.stage2=hd:LABEL=TEST inst.ks=hd:LABEL=TEST:/ks.cfg inst.cmdline"
	testISO  = "https://media.example/i/token/db-01.iso"
)

// isoOptions says what differs from a patched RHEL.
type isoOptions struct {
	files map[string]string // replaces or adds files of the tree
	esp   string            // grub.cfg in the EFI image
	drop  []string
}

// patchedISO is an image as this project serves it: stock but for menus and answer file.
func patchedISO(t testing.TB, o isoOptions) []byte {
	t.Helper()
	l, err := isotest.RHELLayout(isotest.Options{VolumeID: "TEST", Payload: 200 << 10})
	if err != nil {
		t.Fatal(err)
	}
	menu := "set default=0\nset timeout=0\nsearch --no-floppy --set=root -l 'TEST'\nmenuentry 'auto' --class os {\n" +
		"\tlinuxefi /images/pxeboot/vmlinuz " + testArgs + "\n\tinitrdefi /images/pxeboot/initrd.img\n}\n"
	files := map[string]string{
		"/ks.cfg":                testKickstart,
		"/.boot-x":               "mark",
		"/isolinux/isolinux.cfg": "default auto\nprompt 0\ntimeout 1\nlabel auto\n kernel vmlinuz\n append initrd=initrd.img " + testArgs + "\n",
		"/EFI/BOOT/grub.cfg":     menu,
	}
	maps.Copy(files, o.files)
	stub := o.esp
	if stub == "" {
		stub = "search --no-floppy --set=root --file /.boot-x\nconfigfile /EFI/BOOT/grub.cfg\n\n\n"
	}
	if stub != "stock" {
		esp, err := isotest.FAT{Bits: 12, Files: []isotest.File{
			{Path: "/EFI/BOOT/BOOTX64.EFI", Data: isotest.Generated(1, 40<<10)},
			{Path: "/EFI/BOOT/grub.cfg", Data: []byte(stub)},
		}}.Build()
		if err != nil {
			t.Fatal(err)
		}
		files["/images/efiboot.img"] = string(esp)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := isotest.File{Path: name, Data: []byte(files[name])}
		if i := slices.IndexFunc(l.Files, func(g isotest.File) bool { return g.Path == name }); i >= 0 {
			l.Files[i] = f
		} else {
			l.Files = append(l.Files, f)
		}
	}
	l.Files = slices.DeleteFunc(l.Files, func(f isotest.File) bool { return slices.Contains(o.drop, f.Path) })
	img, err := isotest.Build(l)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// media serves one image at every URL and records how it is read.
type media struct {
	mu     sync.Mutex
	image  []byte
	log    []string // "HEAD", "GET first-last"
	times  []time.Time
	refuse int // status instead of the image, if not 0
}

// ServeHTTP implements http.Handler.
func (s *media) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.log = append(s.log, strings.TrimSpace(r.Method+" "+strings.TrimPrefix(r.Header.Get("Range"), "bytes=")))
	s.times = append(s.times, time.Now())
	image, refuse := s.image, s.refuse
	s.mu.Unlock()
	if refuse != 0 {
		w.WriteHeader(refuse)
		return
	}
	http.ServeContent(w, r, "", time.Unix(1, 0), bytes.NewReader(image))
}

// set replaces the image; refuse, if not 0, is answered instead of it.
func (s *media) set(image []byte, refuse int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.image, s.refuse = image, refuse
}

func (s *media) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// bench is a BMC with a machine and a media server.
type bench struct {
	t     testing.TB
	bmc   *BMC
	media *media
}

// newBench closes the BMC when the test ends.
func newBench(t testing.TB, b *BMC, image []byte) *bench {
	t.Helper()
	s := &media{image: image}
	if b.Machine == nil {
		b.Machine = &Machine{}
	}
	b.Machine.Fetch = handlerTransport{s}
	if b.Serial == "" {
		b.Serial = "SN-1"
	}
	t.Cleanup(b.Close)
	return &bench{t, b, s}
}

// do sends a request and returns status, headers and decoded body.
func (k *bench) do(method, path string, body any, header ...string) (int, http.Header, object) {
	k.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			k.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, "https://bmc.example"+path, in)
	if err != nil {
		k.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := k.bmc.Transport().RoundTrip(req)
	if err != nil {
		return 0, nil, object{"error": err.Error()}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, resp.Header, object{"error": err.Error()}
	}
	out := object{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			return resp.StatusCode, resp.Header, object{"error": err.Error()}
		}
	}
	return resp.StatusCode, resp.Header, out
}

// get must succeed.
func (k *bench) get(path string) object {
	k.t.Helper()
	status, _, out := k.do(http.MethodGet, path, nil)
	if status != http.StatusOK {
		k.t.Fatalf("GET %s: %d %v", path, status, out)
	}
	return out
}

// must sends a write that has to be accepted, with the ETag of the resource.
func (k *bench) must(method, path string, body any) {
	k.t.Helper()
	var header []string
	if method == http.MethodPatch {
		_, h, _ := k.do(http.MethodGet, path, nil)
		header = []string{"If-Match", h.Get("ETag")}
	}
	if status, _, out := k.do(method, path, body, header...); status/100 != 2 {
		k.t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
}

// at walks a decoded body by keys.
func at(o any, keys ...string) any {
	for _, k := range keys {
		m, ok := o.(object)
		if !ok {
			return nil
		}
		o = m[k]
	}
	return o
}

// until waits for something to become true, in the bubble's time.
func until(t testing.TB, limit time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !f(); time.Sleep(min(limit/60, 10*time.Second)) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen within %v", what, limit)
		}
	}
}

// screen is the machine's console for messages.
func (k *bench) screen() string {
	return fmt.Sprintf("%v; console:\n\t%s", k.bmc.Machine.Stage(), strings.Join(k.bmc.Machine.Console(), "\n\t"))
}

// stockISO is an image as the distribution makes it.
func stockISO(t testing.TB) []byte {
	t.Helper()
	img, err := isotest.RHEL(isotest.Options{VolumeID: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// text is a body as JSON.
func text(o object) string {
	raw, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
