package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *cli) redfishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "redfish",
		Short: "Look at a BMC's Redfish service itself",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.recordCommand())
	return cmd
}

func (c *cli) recordCommand() *cobra.Command {
	var bare bareBMC
	cmd := &cobra.Command{
		Use:   "record HOST DIR | record --address ADDRESS DIR",
		Short: "Record what a BMC answers, scrubbed, to attach to a report",
		Long: `record reads the resources of a BMC that reconcile knows of, with GET requests
only, and writes each as DIR/redfish/v1/…/index.json. Serial numbers, UUIDs,
MAC and IP addresses, host names, asset tags, accounts and URLs of media are
replaced. What a vendor hides elsewhere may remain: look before you share.

DIR is made, or must be empty.

` + exitCodes,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(c.options.output, "text"); err != nil {
				return err
			}
			hosts, dir := args[:len(args)-1], args[len(args)-1]
			if len(hosts) == 0 && bare.address == "" {
				return errors.New("record wants a HOST, or --address, and the DIR to write to")
			}
			return c.record(cmd.Context(), hosts, bare, dir)
		},
	}
	bare.addFlags(cmd.Flags())
	return cmd
}

func (c *cli) record(ctx context.Context, hosts []string, bare bareBMC, dir string) (err error) {
	if err := emptyDir(dir); err != nil {
		return err
	}
	client, err := c.oneBMC(ctx, hosts, bare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	root, err := os.OpenRoot(dir) // the names come from the BMC
	if err != nil {
		return err
	}
	defer root.Close()
	n := 0
	err = client.Record(ctx, func(name string, body []byte) error {
		n++
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		return root.WriteFile(name, body, 0o600)
	})
	if err != nil {
		return hintTrust(err)
	}
	fmt.Fprintf(c.stdout, "%s: %d resources, scrubbed; look through them before you share them\n", filepath.Clean(dir), n)
	return nil
}

// emptyDir makes a directory, or makes sure that it is empty.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o700)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty; name a new directory", dir)
	}
	return nil
}
