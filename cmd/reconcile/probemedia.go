package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// A BMC may take so long from an accepted insert to its first request. Most
// ask before they accept.
const (
	fetchWait = 30 * time.Second
	fetchPoll = 200 * time.Millisecond
)

// probeFetch inserts a tiny image and tells whether the BMC fetched it from
// here. The drive is empty before and after.
func (c *cli) probeFetch(ctx context.Context, client *redfish.Client, found *redfish.Report) redfish.Ability {
	text, err := c.tryFetch(ctx, client, found)
	if err != nil {
		return redfish.Ability{Name: "fetch", Text: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	return redfish.Ability{Name: "fetch", OK: true, Text: text}
}

func (c *cli) tryFetch(ctx context.Context, client *redfish.Client, found *redfish.Report) (text string, err error) {
	if err := mayInsert(found); err != nil {
		return "", err
	}
	var r reconcile.Reconciler // for its media alone
	listen, err := c.listenOn()
	if err != nil {
		return "", err
	}
	stop, err := c.serveMedia(ctx, &r, listen, randomKey())
	if err != nil {
		return "", err
	}
	defer stop()
	image, err := tinyImage()
	if err != nil {
		return "", err
	}
	pub, err := r.Media.Publish(isohttp.Medium{Host: "probe", Token: randomToken("probe"), View: image})
	if err != nil {
		return "", err
	}
	defer pub.Withdraw()
	url, err := r.MediaURL(ctx, pub, client.Address, found.System.MediaSchemes)
	if err != nil {
		return "", err
	}
	// What was inserted, wholly or half, goes again whatever happens.
	defer func() { err = errors.Join(err, ejectOwn(context.WithoutCancel(ctx), client, url)) }()
	if err := client.Insert(ctx, url); err != nil {
		return "", fetchError(err, pub.Progress())
	}
	p, err := firstRead(ctx, pub)
	if err != nil {
		return "", err
	}
	return fetched(p, url), nil
}

// ejectOwn ejects the medium at url, unless somebody has inserted another one
// meanwhile: ejecting empties every drive.
func ejectOwn(ctx context.Context, client *redfish.Client, url string) error {
	now, err := client.Observe(ctx)
	if err != nil {
		return fmt.Errorf("ejecting the medium again: %w", err)
	}
	for _, s := range now.Slots {
		if s.Inserted && s.Image != url {
			return fmt.Errorf("another medium was inserted in slot %s meanwhile, so that nothing was ejected; see what it is, and eject the one named probe.iso", s.ID)
		}
	}
	return client.Eject(ctx)
}

// firstRead waits for somebody to ask for the medium.
func firstRead(ctx context.Context, pub *isohttp.Publication) (isohttp.Progress, error) {
	waiting, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	tick := time.NewTicker(fetchPoll)
	defer tick.Stop()
	for {
		if p := pub.Progress(); p.Requests > 0 {
			return p, nil
		}
		select {
		case <-tick.C:
		case <-waiting.Done():
			if ctx.Err() != nil {
				return isohttp.Progress{}, ctx.Err()
			}
			return isohttp.Progress{}, errors.New("not proven: the BMC shows the medium as inserted and asked this machine for nothing; " +
				"it may do so only when the machine boots from it")
		}
	}
}

// mayInsert refuses to disturb a machine that somebody uses media of.
func mayInsert(r *redfish.Report) error {
	if r.Tier == redfish.TierRefused {
		return errors.New("not tried: this kind of BMC is not supported")
	}
	for _, s := range r.System.Slots {
		if s.Inserted {
			return fmt.Errorf("not tried: a medium is inserted in slot %s; eject it first", s.ID)
		}
	}
	if m, err := marker.Parse(r.System.Marker.Value); err == nil && m.IsClaim() {
		return fmt.Errorf("not tried: its marker says that run %s is installing it", m.Run)
	}
	return nil
}

// fetchError says, beside why an insert failed, whether the BMC came here.
func fetchError(err error, p isohttp.Progress) error {
	if p.Requests == 0 {
		return fmt.Errorf("%w; nobody asked this machine for the medium: look for a firewall or a missing route between them, and at --media-address", err)
	}
	return fmt.Errorf("%w; the BMC did ask this machine for the medium", err)
}

func fetched(p isohttp.Progress, url string) string {
	scheme, _, _ := strings.Cut(url, ":")
	from := "nobody"
	if len(p.Clients) > 0 {
		from = p.Clients[0].Addr.String()
	}
	what := fmt.Sprintf("read %d bytes of the image", p.Bytes)
	if p.Bytes == 0 {
		what = "asked for the image's length"
	}
	return fmt.Sprintf("over %s: %s %s; ejected again", scheme, from, what)
}

// tinyImage is an image with one file that nothing boots.
func tinyImage() (*memoryView, error) {
	b, err := isotest.Build(isotest.Layout{VolumeID: "RECONCILE-PROBE", RockRidge: true, Joliet: true,
		Files: []isotest.File{{Path: "/README", Data: []byte("reconcile probe --media inserted this image, and will eject it.\n")}}})
	if err != nil {
		return nil, fmt.Errorf("making a tiny image: %w", err)
	}
	return &memoryView{b}, nil
}

// memoryView is an image that is all in memory.
type memoryView struct{ b []byte }

func (v *memoryView) Size() int64 { return int64(len(v.b)) }

func (v *memoryView) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(v.b)) {
		return 0, io.EOF
	}
	n := copy(p, v.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (v *memoryView) Pieces() []isohttp.Piece {
	return []isohttp.Piece{{Len: int64(len(v.b)), Data: v.b}}
}

func (v *memoryView) Digest(string) string {
	sum := sha256.Sum256(v.b)
	return hex.EncodeToString(sum[:])
}
