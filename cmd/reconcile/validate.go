package main

import (
	"context"
	"fmt"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/spf13/cobra"
)

func (c *cli) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the fleet's CUE, and NetBox against it; no BMC is asked",
		Long: `validate evaluates the fleet and names every violation of its schema. When a
NetBox is named (NETBOX_URL), it also checks that each declared host has a sound
device there. No BMC is asked, and nothing is changed.

` + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.validate(cmd.Context()) },
	}
}

func (c *cli) validate(ctx context.Context) error {
	if err := checkOutput(c.options.output, "text"); err != nil {
		return err
	}
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s: %d images, %d roles, %d hosts: valid\n", tree.Dir, len(fleet.Images), len(fleet.Roles), len(fleet.Hosts))
	if c.options.netboxURL == "" && c.options.netboxSnapshot == "" {
		fmt.Fprintln(c.stdout, "NetBox: not checked, NETBOX_URL is not set")
		return nil
	}
	sel, err := reconcile.ParseSelector(c.options.limit)
	if err != nil {
		return err
	}
	s, err := c.world(fleet)
	if err != nil {
		return err
	}
	world, err := c.wire(tree, fleet, s).Inventorise(ctx, sel)
	if err != nil {
		return err
	}
	failed := 0
	for _, f := range world.Findings() {
		fmt.Fprintln(c.stdout, f)
		if f.Severity != netbox.Warning {
			annotate(c.stderr, f.Pos, f.String())
			failed++
		}
	}
	if failed > 0 {
		return &codeError{code: exitHosts}
	}
	fmt.Fprintf(c.stdout, "NetBox: %d devices agree with the fleet\n", len(world.Hosts))
	return nil
}
