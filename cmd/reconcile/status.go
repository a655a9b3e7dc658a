package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/report"
	"github.com/spf13/cobra"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what each machine bears now",
		Long: `status asks the BMC of each chosen host what it bears, and shows the marker
beside what is declared. It changes nothing.

The states are: match (as declared), differs, absent (no marker), foreign (a tag
that is not ours), unreadable, installing, failed, unknown (it could not be read).

` + exitCodes,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(c.options.output, "text", "json"); err != nil {
				return err
			}
			return c.status(cmd.Context())
		},
	}
}

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the lines that -o json prints",
		Long: `schema prints the JSON Schema of what is for programs: the lines of -o json (plan,
event, report, status), of a record's run.jsonl, and of what webhooks get. Every
reason, result, step and failure is enumerated there, with what it means. Fields
and values are added within a version, never renamed or removed.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.stdout.Write(report.Schema())
			return err
		},
	}
}

func (c *cli) status(ctx context.Context) error {
	plan, world, err := c.observe(ctx)
	if err != nil {
		return err
	}
	all := report.StatusOf(plan, world)
	if c.options.output == "json" {
		return report.StatusJSON(c.stdout, all)
	}
	return report.StatusText(c.stdout, all, time.Now())
}

// observe plans without ever applying: what commands need that only look.
func (c *cli) observe(ctx context.Context) (*reconcile.Plan, *reconcile.World, error) {
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	s, err := c.world(fleet)
	if err != nil {
		return nil, nil, err
	}
	return c.plan(ctx, c.wire(tree, fleet, s))
}

func (c *cli) adoptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "adopt HOST...",
		Short: "Write the marker of what is declared, after a person checked",
		Long: `adopt writes into a machine's BMC the marker of what is declared for it, as if
reconcile had installed it. Check first that the declared image and role are what
really runs there: from then on the host counts as in sync.

The machine must be the declared one. It must bear no marker, or that of an
attempt which failed or was abandoned. Nothing else is changed in it, and it is
not restarted; NetBox's journal gets an entry.

` + exitCodes,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, hosts []string) error {
			if len(c.options.limit) > 0 {
				return errors.New("adopt takes the names of hosts, and no --limit")
			}
			if err := checkOutput(c.options.output, "text"); err != nil {
				return err
			}
			if c.options.netboxSnapshot != "" {
				return errors.New("adopt asks NetBox itself; it does not go with --netbox-snapshot")
			}
			return c.adopt(cmd.Context(), hosts)
		},
	}
}

func (c *cli) adopt(ctx context.Context, hosts []string) error {
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	if err := c.refuseDirty(tree); err != nil {
		return err
	}
	for _, name := range hosts {
		if fleet.Hosts[name] == nil {
			return fmt.Errorf("%q is no host of the fleet", name)
		}
	}
	s, err := c.world(fleet)
	if err != nil {
		return err
	}
	r := c.wire(tree, fleet, s)
	adopted, err := r.Adopt(ctx, hosts)
	for _, a := range adopted {
		fmt.Fprintf(c.stdout, "%s: adopted, marker %s\n", a.Host, a.Marker)
	}
	return err
}
