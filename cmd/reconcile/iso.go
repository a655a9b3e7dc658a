package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/report"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// isoFlags are what the command iso takes beside the common flags.
type isoFlags struct {
	file  string
	force bool
	serve bool
}

func (c *cli) isoCommand() *cobra.Command {
	var flags isoFlags
	cmd := &cobra.Command{
		Use:   "iso HOST -o FILE | iso HOST --serve",
		Short: "Write a host's patched image as a file, or serve it",
		Long: `iso makes the image that a host would be installed from, answer file and secrets
included, and writes it as a file that only its owner can read, or serves it over
http and https until it is interrupted, as a run does. Whoever boots it loses what
is on the disks. No BMC is told anything, and NetBox is only read.

  reconcile iso db-01 -o db-01.iso
  reconcile iso db-01 --serve
  reconcile iso inspect db-01.iso

What comes from the stock image is not copied where the file system can share it.

` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (flags.file != "") == flags.serve {
				return errors.New("iso wants either -o FILE, to write the image there, or --serve")
			}
			return c.iso(cmd.Context(), args[0], flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.file, "output", "o", "", "write the image to this file")
	f.BoolVar(&flags.force, "force", false, "replace the file when it exists")
	f.BoolVar(&flags.serve, "serve", false, "serve the image until interrupted")
	c.options.addListen(f)
	c.options.addImages(f)
	cmd.AddCommand(c.inspectCommand())
	return cmd
}

func (c *cli) iso(ctx context.Context, host string, flags isoFlags) error {
	if flags.file != "" {
		if err := writable(flags.file, flags.force); err != nil {
			return err
		}
	}
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	r, err := c.withImages(tree, fleet)
	if err != nil {
		return err
	}
	iso, err := watched(c, r, func() (*reconcile.ISO, error) { return r.ISO(ctx, host) })
	if err != nil {
		return err
	}
	defer iso.Close()
	if flags.serve {
		return c.serveISO(ctx, iso)
	}
	if err := isohttp.Export(ctx, flags.file, iso.View, iso.Base); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s: %s for %s\n", flags.file, report.Bytes(iso.View.Size()), host)
	fmt.Fprintf(c.stderr, "reconcile: %s holds the secrets of %s and erases the disks of what boots it; only its owner can read it\n", flags.file, host)
	return nil
}

// watched shows the events of what takes long: fetching an image.
func watched[T any](c *cli, r *reconcile.Reconciler, do func() (T, error)) (T, error) {
	out := c.newOutput()
	defer out.close()
	r.OnEvent = out.event
	return do()
}

// writable says, before an image is fetched in vain, whether a file can be
// written. It refuses to replace what nobody asked to replace. Only plain files
// ever are: the image takes the file's place in its directory.
func writable(file string, force bool) error {
	if file == "-" {
		return errors.New("an image is written as a file, not to standard output; name one")
	}
	if err := unix.Access(filepath.Dir(file), unix.W_OK); err != nil {
		return fmt.Errorf("%s cannot be written: directory %s: %w", file, filepath.Dir(file), err)
	}
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file; name one", file)
	case !force:
		return fmt.Errorf("%s exists; name another file, or replace it with --force", file)
	}
	return nil
}

// serveISO serves an image until ctx ends, which is how it is meant to end.
func (c *cli) serveISO(ctx context.Context, iso *reconcile.ISO) error {
	watch := &isoWatch{w: c.stderr}
	listen, err := c.listenOn()
	if err != nil {
		return err
	}
	server, err := c.mediaServer()
	if err != nil {
		return err
	}
	server.OnEvent = watch.event
	running, err := server.Start(ctx, listen)
	if err != nil {
		return err
	}
	defer c.stopServing(ctx, running)
	pub, err := server.Publish(isohttp.Medium{
		Host: iso.Host, Token: randomToken(iso.Host), View: iso.View, Base: iso.Base, Regions: iso.Regions, Rest: isohttp.Payload,
	})
	if err != nil {
		return err
	}
	local, err := c.servingAddress(ctx, iso, running)
	if err != nil {
		return err
	}
	if err := c.sayURLs(running, pub, local); err != nil {
		return err
	}
	watch.say(fmt.Sprintf("reconcile: serving %s for %s; it holds secrets, and so does its URL. Ctrl-C ends it.\n", report.Bytes(iso.View.Size()), iso.Host))
	stopped := make(chan error, 1)
	go func() { stopped <- running.Wait() }()
	select {
	case err = <-stopped:
	case <-ctx.Done():
	}
	pub.Withdraw()
	watch.end(readText(pub.Progress()))
	return err
}

// servingAddress is where the host's BMC reaches this machine; with no BMC
// known, the address that was listened on.
func (c *cli) servingAddress(ctx context.Context, iso *reconcile.ISO, running *isohttp.Running) (netip.Addr, error) {
	if c.options.mediaAddress != "" || iso.BMC != "" {
		return c.mediaAddress(ctx, iso.BMC)
	}
	for _, at := range []netip.AddrPort{running.HTTP, running.HTTPS} {
		if at.IsValid() && !at.Addr().IsUnspecified() {
			return at.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no BMC address, so that its way to this machine is not known; say --media-address", iso.Host)
}

// sayURLs prints where a medium is found.
func (c *cli) sayURLs(running *isohttp.Running, pub *isohttp.Publication, local netip.Addr) error {
	schemes := []string{"http", "https"}
	for i, at := range []netip.AddrPort{running.HTTP, running.HTTPS} {
		if !at.IsValid() {
			continue
		}
		url, err := running.URL(pub, schemes[i], local)
		if err != nil {
			return fmt.Errorf("%w; see --listen, --listen-https and --media-address", err)
		}
		fmt.Fprintln(c.stdout, url)
	}
	if running.HTTPS.IsValid() {
		fmt.Fprintf(c.stdout, "certificate SHA-256 %s\n", running.Fingerprint)
	}
	return nil
}

// stopServing ends a media server; nobody who still reads is worth waiting for.
func (c *cli) stopServing(ctx context.Context, running *isohttp.Running) {
	ended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel()
	running.Shutdown(ended)
}

// randomToken makes a URL that nobody can guess.
func randomToken(host string) string {
	key := make([]byte, 32)
	rand.Read(key)
	return isohttp.Token(key, host)
}

// isoWatch tells what is read of a served image. Requests tell it, each in a
// goroutine of its own, and some still do when everything has been said.
type isoWatch struct {
	mu    sync.Mutex
	w     io.Writer
	last  time.Time // of what was said about an event
	ended bool
}

// quietly is how long nothing is said about a phase that goes on.
const quietly = 5 * time.Second

func (w *isoWatch) event(e isohttp.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := ""
	switch e.Kind {
	case isohttp.EventClient:
		text = fmt.Sprintf("%s: first request", e.Client)
	case isohttp.EventPhase:
		text = fmt.Sprintf("%s: reads %s", e.Client, e.Phase)
	case isohttp.EventReload:
		text = fmt.Sprintf("%s: boots from it again", e.Client)
	case isohttp.EventRestart:
		text = fmt.Sprintf("%s: the installer runs again", e.Client)
	case isohttp.EventProgress:
		if e.At.Sub(w.last) >= quietly {
			text = fmt.Sprintf("%s of %s read", report.Bytes(e.Read), report.Bytes(e.Total))
		}
	}
	if text != "" && !w.ended {
		w.last = e.At
		fmt.Fprintf(w.w, "%s %s\n", e.At.Format(time.TimeOnly), text)
	}
}

func (w *isoWatch) say(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	io.WriteString(w.w, text)
}

// end says the last words.
func (w *isoWatch) end(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	io.WriteString(w.w, text)
}

// readText sums up what was read, by phase.
func readText(p isohttp.Progress) string {
	if p.Requests == 0 {
		return "nobody read it\n"
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "PHASE\tREAD\tOF\tFIRST\n")
	for _, phase := range p.Phases {
		first := "-"
		if !phase.First.IsZero() {
			first = phase.First.Format(time.TimeOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", phase.Phase, report.Bytes(phase.Distinct), report.Bytes(phase.Total), first)
	}
	t.Flush()
	return b.String()
}
