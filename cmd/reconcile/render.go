package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/spf13/cobra"
)

func (c *cli) renderCommand() *cobra.Command {
	var write string
	cmd := &cobra.Command{
		Use:   "render HOST",
		Short: "Show a host's answer file, and the menu changes as a diff",
		Long: `render shows the answer file that a host would be installed with, and how the
boot menus of its image change. Secrets are replaced by their names. The image is
fetched into the cache when it is not there yet; no machine is touched.

` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.render(cmd.Context(), args[0], write) },
	}
	c.options.addImages(cmd.Flags())
	cmd.Flags().StringVar(&write, "write", "", "also write the files below this directory, for a review")
	return cmd
}

func (c *cli) render(ctx context.Context, host, write string) error {
	if err := checkOutput(c.options.output, "text"); err != nil {
		return err
	}
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	r, err := c.withImages(tree, fleet)
	if err != nil {
		return err
	}
	rendered, err := watched(c, r, func() ([]reconcile.RenderedFile, error) { return r.Render(ctx, host) })
	if err != nil {
		return err
	}
	for _, f := range rendered {
		fmt.Fprint(c.stdout, f.Diff)
		if write == "" {
			continue
		}
		path := filepath.Join(write, host, filepath.FromSlash(strings.TrimPrefix(f.Name, "/")))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing what was rendered: %w", err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return fmt.Errorf("writing what was rendered: %w", err)
		}
	}
	return nil
}
