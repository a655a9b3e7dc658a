//go:build system

package redfish_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc/testdvd"
)

const (
	domainID = "6f1d4c1e-4c2f-4d0e-9b57-2a2f3b1c0d42"

	// nobody is who the machine belongs to when the test runs as root: libvirt
	// then keeps everything below the folder of the test.
	nobody = 65534
)

// TestSushyLibvirt installs a virtual machine from our medium through two
// programs by other people: OpenStack's emulator is its BMC, and libvirt owns
// the machine. Only the marker has no place there, which is refused clearly.
func TestSushyLibvirt(t *testing.T) {
	v := newVirt(t)
	dvd := testdvd.DVD{Unattended: &testdvd.Unattended{
		Answer: []byte("text\nignoredisk --only-use=vda\npoweroff\n%packages\n%end\n"), KernelArgs: "console=ttyS0",
	}}
	iso := filepath.Join(v.dir, "dvd.iso")
	if err := dvd.Write(t.Context(), iso); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, iso) }))
	defer server.Close()

	ctx := t.Context()
	c := &redfish.Client{Address: v.address, Login: login, Timing: redfish.Timing{Request: 3 * time.Minute}}
	defer c.Close(ctx)
	sys, err := c.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if sys.Profile != "sushy-tools" || sys.UUID != domainID || sys.Power != redfish.Off || len(sys.Slots) == 0 {
		t.Fatalf("observed %+v", sys)
	}
	if err := c.SetMarker(ctx, claim); !matches(err, marker(redfish.MarkerReadOnly)) {
		t.Errorf("marker: error %v, want a clear refusal", err)
	}
	v.do(c, "eject", c.Eject)
	v.do(c, "insert", func(ctx context.Context) error { return c.Insert(ctx, server.URL+"/dvd.iso") })
	v.do(c, "boot once", c.BootOnce)
	v.do(c, "on", func(ctx context.Context) error { return c.SetPower(ctx, redfish.On) })
	v.await("off by its installer", func() bool {
		p, err := c.Power(ctx)
		return err == nil && p == redfish.Off
	})
	disk, err := testdvd.ReadDisk(v.disk)
	if err != nil {
		t.Fatalf("%v; console:\n%s", err, v.console())
	}
	if !strings.Contains(string(disk.Answer), "only-use=vda") {
		t.Errorf("the disk was installed by another answer file:\n%s", disk.Answer)
	}
	v.do(c, "eject again", c.Eject)
	v.do(c, "clear", c.ClearBoot)
	v.do(c, "on again", func(ctx context.Context) error { return c.SetPower(ctx, redfish.On) })
	v.await("booted from its disk", func() bool { return strings.Contains(v.console(), "installed: ") })
	v.do(c, "off", func(ctx context.Context) error { return c.SetPower(ctx, redfish.Off) })
}

// virt is a libvirt of its own with one machine, and an emulator over it.
type virt struct {
	t                  *testing.T
	dir, disk, address string
	env                []string
}

func newVirt(t *testing.T) *virt {
	t.Helper()
	dir, err := os.MkdirTemp("", "sushy") // short, for sockets; t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &virt{t: t, dir: dir, disk: filepath.Join(dir, "disk.raw")}
	for _, d := range []string{"", "run", "home", "pool", "py"} {
		v.give(os.MkdirAll(filepath.Join(dir, d), 0o755), d)
	}
	v.env = append(os.Environ(), "HOME="+dir+"/home", "XDG_RUNTIME_DIR="+dir+"/run", "XDG_CONFIG_HOME="+dir+"/home/config",
		"XDG_CACHE_HOME="+dir+"/home/cache", "XDG_DATA_HOME="+dir+"/home/data", "PYTHONPATH="+v.bindings(), "PATH="+os.Getenv("PATH")+":/usr/sbin")
	f, err := os.Create(v.disk)
	if err == nil {
		err = f.Truncate(20 << 30) // sparse
		f.Close()
	}
	v.give(err, "disk.raw")
	v.write("domain.xml", fmt.Sprintf(domainXML, domainID, v.disk, dir+"/console"))
	v.write("pool.xml", fmt.Sprintf("<pool type='dir'><name>default</name><target><path>%s/pool</path></target></pool>", dir))
	v.start(v.command(context.Background(), "libvirtd"))
	v.await("libvirtd", func() bool { return exec.Command("test", "-S", dir+"/run/libvirt/libvirt-sock").Run() == nil })
	for _, args := range [][]string{{"pool-define", "pool.xml"}, {"pool-start", "default"}, {"define", "domain.xml"}} {
		v.virsh(args...)
	}
	t.Cleanup(func() {
		_ = v.command(context.Background(), "virsh", "-c", "qemu:///session", "destroy", domainID).Run()
	}) // it may be off
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	v.write("sushy.conf", fmt.Sprintf("SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = %s\n"+
		"SUSHY_EMULATOR_LIBVIRT_URI = 'qemu+unix:///session?socket=%s'\nSUSHY_EMULATOR_STATE_DIR = %q\n",
		port, dir+"/run/libvirt/libvirt-sock", dir))
	emulator := exec.Command("sushy-emulator", "--config", dir+"/sushy.conf") // where it is installed may be closed to nobody
	emulator.Env = v.env
	v.start(emulator)
	v.address = "http://127.0.0.1:" + port
	v.await("sushy-emulator", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return v
}

// domainXML has a disk, which boots unless the emulator says otherwise, and a
// serial port for the console.
const domainXML = `<domain type='qemu'>
  <name>sushy-test</name><uuid>%s</uuid><memory unit='MiB'>768</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>
    <serial type='file'><source path='%s' append='on'/><target port='0'/></serial>
    <video><model type='vga'/></video>
  </devices>
</domain>
`

// bindings makes a folder with libvirt's Python bindings alone: Debian has
// them, and what else lies beside them there is not for the emulator.
func (v *virt) bindings() string {
	found, err := filepath.Glob("/usr/lib/python3/dist-packages/libvirt*")
	if err != nil || len(found) == 0 {
		v.t.Fatalf("no libvirt for Python (Debian: python3-libvirt), %v", err)
	}
	for _, name := range found {
		if err := os.Symlink(name, filepath.Join(v.dir, "py", filepath.Base(name))); err != nil {
			v.t.Fatal(err)
		}
	}
	return filepath.Join(v.dir, "py")
}

// give hands what was made to who runs the programs.
func (v *virt) give(err error, name string) {
	v.t.Helper()
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(filepath.Join(v.dir, name), nobody, nobody)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *virt) write(name, text string) {
	v.t.Helper()
	v.give(os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o644), name)
}

func (v *virt) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := name
	if found, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		path = found
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = v.dir, v.env
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// start runs a program until the end of the test.
func (v *virt) start(cmd *exec.Cmd) {
	v.t.Helper()
	name := filepath.Base(cmd.Path)
	log, err := os.Create(filepath.Join(v.dir, name+".log"))
	if err != nil {
		v.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		v.t.Fatalf("%s: %v", name, err)
	}
	v.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		log.Close()
		if v.t.Failed() {
			said, _ := os.ReadFile(log.Name())
			v.t.Logf("%s said:\n%s", name, said)
		}
	})
}

func (v *virt) virsh(args ...string) {
	v.t.Helper()
	out, err := v.command(v.t.Context(), "virsh", append([]string{"-c", "qemu:///session"}, args...)...).CombinedOutput()
	if err != nil {
		v.t.Fatalf("virsh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// do takes one step; what it does is proved by the client's own reading and, in the end, by the disk.
func (v *virt) do(c *redfish.Client, name string, act func(context.Context) error) {
	v.t.Helper()
	began := time.Now()
	if err := act(v.t.Context()); err != nil {
		v.t.Fatalf("%s: %v", name, err)
	}
	v.t.Logf("%s: %v", name, time.Since(began).Round(time.Millisecond))
}

func (v *virt) await(what string, yes func() bool) {
	v.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !yes(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("waited 5 min for: %s; console:\n%s", what, v.console())
		}
	}
}

func (v *virt) console() string {
	b, err := os.ReadFile(filepath.Join(v.dir, "console"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}
