package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/metalcue/metalcue/reconcile/record"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const rootHelp = `reconcile makes physical servers match what git declares.

CUE files in a repository declare the operating system image and the role of
every server. A run reads them at one commit, checks them against NetBox, asks
each server's BMC over Redfish what is installed, and prints a plan. Servers
that differ are reinstalled from a stock ISO that is patched while it is served.

  reconcile lab                 try it: a pretend data centre, no hardware
  reconcile --dry-run           what would be done, and why; changes nothing
  reconcile                     do it
  reconcile --limit 'role=db,rack=r1'

An install erases a server's disks. Nothing is installed without an answer, a
matching serial number and a marker that differs; see --dry-run first.

` + exitCodes

// A cli is one execution of the program.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	options        options
	kept           *record.Run   // the record of the run; nil for none
	drain          chan struct{} // closed by the first interrupt
	drains         atomic.Bool   // the running command finishes what runs on the first interrupt
}

// run executes the program and returns its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr, drain: make(chan struct{})}
	ctx, stop := c.interruptible(context.Background())
	defer stop()
	root := c.rootCommand()
	root.SetArgs(args)
	return finish(root.ExecuteContext(ctx), stderr)
}

// sameInterrupt is how long after the first interrupt a further one counts as
// the same: a signal to a process group often comes twice.
const sameInterrupt = 500 * time.Millisecond

// interruptible returns a context that the second interrupt ends; the first
// one closes drain. A command that does not drain is ended by the first.
func (c *cli) interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE) // who stops reading our output does not stop an install
	go func() {
		var first time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			switch {
			case first.IsZero():
				first = time.Now()
				close(c.drain)
				if !c.drains.Load() {
					cancel()
				}
			case time.Since(first) > sameInterrupt:
				cancel()
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:               "reconcile",
		Short:             "Make physical servers match what git declares",
		Long:              rootHelp,
		Args:              cobra.NoArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	c.options.addCommon(root.PersistentFlags())
	c.addRun(root)
	root.AddCommand(c.validateCommand(), c.statusCommand(), c.schemaCommand(), c.renderCommand(), c.adoptCommand(), c.labCommand(), c.isoCommand(),
		c.probeCommand(), c.trustCommand(), c.redfishCommand(), c.netboxCommand())
	return root
}

// terminal reports whether w is one, and how wide it is.
func terminal(w io.Writer) (width int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil
}

// logger writes to stderr: warnings, or everything with --debug.
func (c *cli) logger() *slog.Logger {
	level := slog.LevelWarn
	if c.options.debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: level}))
}

// outputs are what -o takes.
var outputs = []string{"text", "json", "markdown"}

func checkOutput(o string, allowed ...string) error {
	for _, a := range allowed {
		if o == a {
			return nil
		}
	}
	return fmt.Errorf("-o %q: this command prints %s", o, strings.Join(allowed, ", "))
}
