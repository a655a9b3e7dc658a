// Mediabench serves one base image as the media of as many hosts as are asked
// for, to measure the media server beside others:
//
//	mediabench -listen 127.0.0.1:9000 -hosts 6000 dvd.iso
//
// Every path /i/AAAAAAAAAAAAAAAAAAAAAA/<host>.iso is the medium of a host. Those
// of the hosts 00001 to 06000 are published at start, as a run publishes a
// host's before it tells the BMC of it. All others are rendered, patched and
// published by the first request for them, so that the time to their first byte
// has all of that in it. The template is the example fleet's, the base any image
// that is laid out as RHEL's are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"

	"github.com/metalcue/metalcue/hosts"
	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/reconcile/answer"
)

const token = "AAAAAAAAAAAAAAAAAAAAAA"

func main() {
	addr := flag.String("listen", "127.0.0.1:9000", "where to serve http")
	ready := flag.Int("hosts", 0, "publish the media of so many hosts at start")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, *ready, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, ready int, args []string) error {
	if len(args) != 1 {
		return errors.New("want one base image")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := newBench(f)
	if err != nil {
		return err
	}
	b.server.OnUnknown = b.unknown
	for i := range ready {
		if err := b.publishOnce(fmt.Sprintf("%05d", i+1)); err != nil {
			return err
		}
	}
	running, err := b.server.Start(ctx, isohttp.Listen{HTTP: addr})
	if err != nil {
		return err
	}
	log.Printf("serving http://%s/i/%s/<host>.iso", running.HTTP, token)
	return running.Wait()
}

// bench publishes the media of hosts when they are first asked for.
type bench struct {
	server isohttp.Server
	base   isohttp.Base
	image  *iso9660.Image
	answer *answer.Prepared
	known  sync.Map // hosts to what publishes them once, a func() error
}

func newBench(f *os.File) (*bench, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// Nothing reads the digest; it only goes into entity tags.
	b := &bench{base: isohttp.Base{Path: f.Name(), SHA256: strings.Repeat("0", 64), Size: info.Size()}}
	if b.image, err = iso9660.Open(f, info.Size()); err != nil {
		return nil, err
	}
	iso := answer.ISO{Tree: without{b.image.FS(), "ks.cfg"}, VolumeID: b.image.VolumeID()}
	if efi, _, err := b.image.EFI(); err == nil {
		iso.EFI = efi
	}
	text, err := fs.ReadFile(hosts.FS, "templates/base.ks.tmpl")
	b.answer = answer.Prepare(answer.Request{
		Family: "rhel", Arch: "x86_64", Version: "9.5", ISO: iso, Mark: "metalcue-0123456789abcdef",
		Template: string(text), TemplateName: "base.ks.tmpl",
	})
	return b, err
}

// unknown publishes the medium of a host that is first asked for.
func (b *bench) unknown(_ context.Context, path string) {
	name, ours := strings.CutPrefix(path, "/i/"+token+"/")
	if host, ok := strings.CutSuffix(name, ".iso"); ok && ours {
		if err := b.publishOnce(host); err != nil {
			log.Print(err)
		}
	}
}

func (b *bench) publishOnce(host string) error {
	publish, known := b.known.Load(host)
	if !known {
		publish, _ = b.known.LoadOrStore(host, sync.OnceValue(func() error { return b.publish(host) }))
	}
	return publish.(func() error)()
}

// publish makes a host's medium as a run does.
func (b *bench) publish(host string) error {
	rendered, err := b.render(host)
	if err != nil {
		return err
	}
	view, err := b.patch(rendered)
	if err != nil {
		return err
	}
	regions, err := regionsOf(view, rendered)
	if err != nil {
		return err
	}
	_, err = b.server.Publish(b.medium(host, view, regions))
	return err
}

func (b *bench) patch(rendered *answer.Rendered) (*iso9660.View, error) {
	edit := b.image.Edit()
	for _, c := range rendered.Changes {
		switch {
		case c.In == answer.EFI:
			edit.WriteEFI(c.Path, c.Data)
		case c.Op == answer.Append:
			edit.Append(c.Path, c.Data)
		default:
			edit.Write(c.Path, c.Data)
		}
	}
	for _, path := range rendered.Files[answer.PhaseAnswer] {
		edit.Apart(path)
	}
	return edit.View()
}

func regionsOf(view *iso9660.View, rendered *answer.Rendered) ([]isohttp.Region, error) {
	regions := make([]isohttp.Region, 0, 64)
	for phase, paths := range rendered.Files {
		for _, path := range paths {
			extents, err := view.Lookup(path)
			if err != nil {
				return nil, err
			}
			for _, e := range extents {
				regions = append(regions, isohttp.Region{Phase: isohttp.Phase(phase), Path: path, Off: e.Off, Len: e.Len})
			}
		}
	}
	for _, e := range view.Structure() {
		regions = append(regions, isohttp.Region{Phase: isohttp.Structure, Off: e.Off, Len: e.Len})
	}
	return regions, nil
}

func (b *bench) medium(host string, view *iso9660.View, regions []isohttp.Region) isohttp.Medium {
	return isohttp.Medium{Host: host, Token: token, View: view, Base: b.base, Regions: regions}
}

func (b *bench) render(host string) (*answer.Rendered, error) {
	return b.answer.Render(b.data(host), func(name string) (string, error) { return "", fmt.Errorf("no secret %s", name) })
}

// data is what is known of a host with two ports, bonded.
func (b *bench) data(host string) answer.Data {
	nic := func(name, mac string) answer.Interface {
		return answer.Interface{Name: name, Type: "25gbase-x-sfp28", MAC: mac, Enabled: true, LAG: "bond0"}
	}
	address := netip.MustParsePrefix("10.20.0.21/24")
	return answer.Data{
		Host: answer.Host{Name: host, Site: "bench", Generation: 1}, Role: answer.Role{Name: "base"},
		Image: answer.Image{Name: "bench-9.5", Family: "rhel", Arch: "x86_64", Version: "9.5", Label: b.image.VolumeID()},
		Vars: map[string]any{
			"packages": []any{"chrony", "tmux", "vim-enhanced"}, "timezone": "Europe/Berlin",
			"sshKeys": []any{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample bench@example.com"},
		},
		Device: answer.Device{
			Name: host, Serial: "BENCH01", Site: "bench", Status: "planned", PrimaryIP4: address,
			Gateway4: netip.MustParseAddr("10.20.0.1"), DNS: []string{"10.20.0.2"}, NTP: []string{"10.20.0.3"},
		},
		Interfaces: []answer.Interface{
			nic("ens1f0", "02:00:00:00:00:01"), nic("ens1f1", "02:00:00:00:00:02"),
			{Name: "bond0", Type: "lag", Enabled: true, Addresses: []netip.Prefix{address}, Primary: true},
		},
	}
}

// without is a tree without one file: the images that servers are measured on
// hold an answer file for those that can only replace one, and a family refuses
// images that are not stock ones.
type without struct {
	fs.FS
	name string
}

func (w without) Open(name string) (fs.File, error) {
	if name == w.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return w.FS.Open(name)
}
