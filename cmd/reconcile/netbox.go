package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/schema"
	"github.com/spf13/cobra"
)

func (c *cli) netboxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "netbox", Short: "Prepare NetBox, or keep what it says in a file"}
	setup := &cobra.Command{
		Use:   "setup",
		Short: "Say what NetBox lacks for reconcile; with --apply, create it",
		Long: `setup compares NetBox with what reconcile can use there: the tag of the fleet's
scope, and custom fields. It prints them, and the permissions that reconcile's
token needs. With --apply it creates what is lacking; what exists in another form
is left alone. Without --apply nothing is changed.

` + exitCodes,
		Args: cobra.NoArgs,
	}
	apply := setup.Flags().Bool("apply", false, "create what is lacking")
	setup.RunE = func(cmd *cobra.Command, _ []string) error { return c.netboxSetup(cmd.Context(), *apply) }
	snapshot := &cobra.Command{
		Use:   "snapshot FILE",
		Short: "Write what NetBox says of the fleet to a file, for --netbox-snapshot",
		Long: `snapshot reads all devices of the fleet's scope from NetBox, and how the fleet's
hosts are connected, and writes it to FILE; "-" is standard output. With
--netbox-snapshot FILE, dry runs, validate, status and render read that file in
place of NetBox. The file holds the devices' config contexts under the fleet's
key; it holds no token.

` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.netboxSnapshot(cmd.Context(), args[0]) },
	}
	cmd.AddCommand(setup, snapshot)
	return cmd
}

// netboxClient returns the NetBox that flags and environment name.
func (c *cli) netboxClient(fleet *schema.Fleet) (*netbox.Client, error) {
	if c.options.netboxSnapshot != "" {
		return nil, errors.New("this command asks NetBox itself; it does not go with --netbox-snapshot")
	}
	s, err := c.world(fleet)
	if err != nil {
		return nil, err
	}
	return c.clientOf(fleet, s), nil
}

func (c *cli) clientOf(fleet *schema.Fleet, s *surroundings) *netbox.Client {
	return &netbox.Client{URL: s.netboxURL, Token: s.netboxToken, CAFile: c.options.netboxCA,
		ContextKey: fleet.Policy.NetBox.ContextKey, Logger: c.logger()}
}

// inventory is what a run asks: NetBox, or a snapshot of it.
func (c *cli) inventory(fleet *schema.Fleet, s *surroundings) reconcile.Inventory {
	if s.snapshot != nil {
		return &netbox.Offline{Snapshot: s.snapshot}
	}
	return c.clientOf(fleet, s)
}

// snapshot reads the file of --netbox-snapshot; nil without one.
func (c *cli) snapshot() (*netbox.Snapshot, error) {
	path := c.options.netboxSnapshot
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot: %w", err)
	}
	defer f.Close()
	s, err := netbox.ReadSnapshot(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (c *cli) netboxSnapshot(ctx context.Context, path string) error {
	_, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	client, err := c.netboxClient(fleet)
	if err != nil {
		return err
	}
	s, err := client.Scan(ctx, netbox.Scope(fleet.Policy.NetBox.Scope), fleet.HostNames())
	if err != nil {
		return err
	}
	var ids []int
	for i := range s.Devices {
		if fleet.Hosts[strings.ToLower(s.Devices[i].Name)] != nil {
			ids = append(ids, s.Devices[i].ID)
		}
	}
	if err := client.Networks(ctx, s, ids); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		return err
	}
	if path == "-" {
		_, err := c.stdout.Write(b.Bytes())
		return err
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	fmt.Fprintf(c.stderr, "%s: %d devices of NetBox %s, %d of them hosts of the fleet\n", path, len(s.Devices), s.Version, len(ids))
	return nil
}

func (c *cli) netboxSetup(ctx context.Context, apply bool) error {
	if err := checkOutput(c.options.output, "text"); err != nil {
		return err
	}
	_, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	client, err := c.netboxClient(fleet)
	if err != nil {
		return err
	}
	tag := fleet.Policy.NetBox.Scope.Tag
	all, err := client.Setup(ctx, tag, apply)
	if err != nil {
		return err
	}
	if err := printSetup(c.stdout, all, tag); err != nil {
		return err
	}
	lacking, wrong := 0, 0
	for _, p := range all {
		switch p.State {
		case netbox.Lacking:
			lacking++
		case netbox.Differs:
			wrong++
		}
	}
	switch {
	case apply && lacking+wrong > 0:
		return fmt.Errorf("NetBox still lacks %d of these, and has %d in another form", lacking, wrong)
	case lacking > 0:
		fmt.Fprintf(c.stdout, "\n%d are lacking: reconcile netbox setup --apply creates them.\n", lacking)
	}
	return nil
}

func printSetup(w io.Writer, all []netbox.Provision, tag string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range all {
		kind, purpose := p.Kind, p.Purpose
		if p.Type != "" {
			kind = fmt.Sprintf("%s (%s, on %s)", p.Kind, p.Type, strings.Join(p.On, ", "))
		}
		if p.Detail != "" {
			purpose += ": " + p.Detail
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.State, p.Name, kind, purpose)
	}
	fmt.Fprint(t, "\nPermissions that the token's user needs, and no more:\n\n")
	for _, p := range netbox.Permissions(tag) {
		constraints := p.Constraints
		if constraints != "" {
			constraints = "constraints " + constraints + "; "
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s%s\n", p.Name, strings.Join(p.Actions, ", "), strings.Join(p.Objects, ", "), constraints, p.Purpose)
	}
	return t.Flush()
}
