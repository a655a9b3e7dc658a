package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/metalcue/metalcue/hosts"
	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/lab"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/source"
	"github.com/metalcue/metalcue/schema"
	"github.com/spf13/cobra"
)

func (c *cli) labCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lab",
		Short: "Try it all against a pretend data centre: no hardware, no network, no root",
		Long: `lab builds a pretend data centre on loopback out of the example fleet: a NetBox,
and for each host a BMC of some make with a machine behind it that really fetches
and boots what is served to it. Against that it does what a run does: it shows the
plan, installs the hosts that drifted, and shows the plan again.

` + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(c.options.output, outputs...); err != nil {
				return err
			}
			c.drains.Store(true)
			c.options.mediaAddress, c.options.mediaAnyClient = "127.0.0.1", true // its machines are all here
			return c.lab(cmd.Context())
		},
	}
}

func (c *cli) lab(ctx context.Context) error {
	fleet, err := schema.Load(hosts.FS, ".")
	if err != nil {
		return err
	}
	lab.Hasten(fleet)
	dir, err := os.MkdirTemp("", "reconcile-lab-")
	if err != nil {
		return fmt.Errorf("making room for the lab's images: %w", err)
	}
	defer os.RemoveAll(dir)
	l, err := lab.Start(fleet, dir)
	if err != nil {
		return err
	}
	defer l.Close()
	r := c.wire(&source.Tree{Commit: strings.Repeat("0", 40)}, fleet, labSurroundings(l))
	r.Images = &fleetImages{store: &isohttp.Store{Dir: dir}}
	story, err := c.settle(ctx, r, l)
	if err != nil {
		return err
	}
	c.say("A pretend data centre of %d hosts, made of the example fleet. Since the last run:\n", len(fleet.Hosts))
	for _, line := range story {
		c.say("  - %s\n", line)
	}
	c.say("\n$ reconcile --dry-run\n")
	return c.labRun(ctx, r)
}

// settle gives the machines a past that fits the fleet.
func (c *cli) settle(ctx context.Context, r *reconcile.Reconciler, l *lab.Lab) ([]string, error) {
	world, err := r.Observe(ctx, reconcile.Selector{})
	if err != nil {
		return nil, err
	}
	return l.Settle(r.Fleet, reconcile.Diff(r.Fleet, world, reconcile.Options{}))
}

// labRun plans, applies, and plans again.
func (c *cli) labRun(ctx context.Context, r *reconcile.Reconciler) error {
	out := c.newOutput()
	r.OnEvent = out.event
	plan, world, err := c.plan(ctx, r)
	out.close()
	if err != nil {
		return err
	}
	if err := out.plan(plan); err != nil {
		return err
	}
	stop, err := c.serveMedia(ctx, r, isohttp.Listen{HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0"}, randomKey())
	if err != nil {
		return err
	}
	defer stop()
	c.say("\n$ reconcile\n")
	out = c.newOutput()
	r.OnEvent = out.event
	if err := c.apply(ctx, r, plan, world, out); err != nil {
		return err
	}
	c.say("\n$ reconcile --dry-run\n")
	plan, _, err = c.plan(ctx, r)
	out.close()
	if err != nil {
		return err
	}
	if err := out.plan(plan); err != nil {
		return err
	}
	if len(plan.Installs()) > 0 {
		return errors.New("the lab's hosts were installed and still differ; this is a defect")
	}
	return nil
}

// say tells the lab's story, where a person reads.
func (c *cli) say(format string, args ...any) {
	if c.options.output != "json" {
		fmt.Fprintf(c.stdout, format, args...)
	}
}

// labSurroundings are the lab in place of the world.
func labSurroundings(l *lab.Lab) *surroundings {
	s := &surroundings{
		netboxURL:   l.NetBoxURL,
		netboxToken: lab.Token,
		login: func(context.Context, string) (credential.Login, error) {
			return credential.Login{Username: lab.Username, Password: lab.Password}, nil
		},
		secret: func(_ context.Context, name string) (credential.Secret, error) {
			return credential.Secret("lab-secret-" + name), nil
		},
		bmc: func(t reconcile.Target) (string, redfish.TLS, error) {
			url, pin, err := l.BMC(t.Address)
			return url, redfish.TLS{Mode: redfish.ModePin, SHA256: pin}, err
		},
		dialHost: l.DialContext,
		timing: reconcile.Timing{
			Poll: 100 * time.Millisecond, Confirm: 50 * time.Millisecond, Boot: 10 * time.Second, Settle: 200 * time.Millisecond,
			Progress: 100 * time.Millisecond,
		},
		bmcTiming: redfish.Timing{Poll: 50 * time.Millisecond},
	}
	s.verifier.Every = 100 * time.Millisecond
	return s
}
