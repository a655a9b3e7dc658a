package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// bareBMC are the flags that name a BMC outside any fleet.
type bareBMC struct {
	address, credentials, tls, system, profile string
}

func (b *bareBMC) addFlags(f *pflag.FlagSet) {
	f.StringVar(&b.address, "address", "", "a BMC outside any fleet: address, host:port or https URL")
	f.StringVar(&b.credentials, "credentials", "", "with --address: the name of its login")
	f.StringVar(&b.tls, "tls", "", "with --address: \"verify\" (the default), the SHA-256 of its certificate (see trust), or \"insecure\"")
	f.StringVar(&b.system, "system", "", "with --address: the id of the system, where a BMC serves several")
	f.StringVar(&b.profile, "profile", "", "with --address: the vendor profile to use, in place of the one that fits")
}

func (c *cli) probeCommand() *cobra.Command {
	var bare bareBMC
	var media bool
	cmd := &cobra.Command{
		Use:   "probe HOST | probe --address ADDRESS",
		Short: "Show what a BMC is and can do, and what will not work and why",
		Long: `probe looks closely at one BMC, of a host of the fleet or at an address, and shows
what it is, which rules apply to it, what an install would use of it, and what will
not work and what to do about that. It sends GET requests only.

  reconcile probe db-01
  reconcile probe --address 10.0.0.7 --credentials default --tls 5e4d…

With --media it also inserts a tiny image that this machine serves, tells whether
the BMC fetched it, and ejects it. Power and boot settings are not touched. A BMC
that has a medium inserted, or whose machine is being installed, is left alone.

It exits with 3 when an install could not work.

` + exitCodes,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(c.options.output, "text", "json"); err != nil {
				return err
			}
			client, err := c.oneBMC(cmd.Context(), args, bare)
			if err != nil {
				return err
			}
			return c.probe(cmd.Context(), client, media)
		},
	}
	f := cmd.Flags()
	bare.addFlags(f)
	f.BoolVar(&media, "media", false, "also prove that the BMC can fetch media from this machine")
	c.options.addListen(f)
	return cmd
}

// probe shows what a BMC is, and on request whether it can fetch from here.
func (c *cli) probe(ctx context.Context, client *redfish.Client, media bool) (err error) {
	defer func() { err = errors.Join(err, client.Close(context.WithoutCancel(ctx))) }()
	found, err := client.Probe(ctx)
	if err != nil {
		return hintTrust(err)
	}
	if media {
		fetch := c.probeFetch(ctx, client, found)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %s", ctx.Err(), fetch.Text) // which tells if the medium is still in
		}
		found.Abilities = append(found.Abilities, fetch)
	}
	if c.options.output == "json" {
		err = json.NewEncoder(c.stdout).Encode(struct {
			Type   string          `json:"type"`
			Probe  *redfish.Report `json:"probe"`
			Usable bool            `json:"usable"`
		}{"probe", found, found.Usable()})
	} else {
		err = probeText(c.stdout, found)
	}
	if err == nil && !found.Usable() {
		err = &codeError{code: exitHosts}
	}
	return err
}

// hintTrust names the way to trust a BMC that is not trusted yet.
func hintTrust(err error) error {
	if errors.Is(err, redfish.ErrTLS) {
		return fmt.Errorf("%w; reconcile trust shows the certificate, to pin it", err)
	}
	return err
}

// probeText writes a report for a person.
func probeText(w io.Writer, r *redfish.Report) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	s := r.System
	fmt.Fprintf(t, "machine\t%s\n", strings.TrimSpace(s.Manufacturer+" "+s.Model))
	fmt.Fprintf(t, "serial\t%s\n", orNone(s.Serial))
	fmt.Fprintf(t, "BMC\t%s %s\n", r.Vendor, s.Firmware)
	how := "found out"
	if r.Forced {
		how = "chosen"
	}
	fmt.Fprintf(t, "profile\t%s (%s), support: %s\n", r.Profile, how, r.Tier)
	fmt.Fprintf(t, "power\t%s\n", orNone(string(s.Power)))
	for _, slot := range s.Slots {
		if slot.Inserted {
			fmt.Fprintf(t, "inserted\tin slot %s\n", slot.ID) // its URL may be a secret
		}
	}
	t.Flush()
	b.WriteString("\n")
	for _, a := range r.Abilities {
		sign := "✓"
		if !a.OK {
			sign = "✗"
		}
		fmt.Fprintf(t, "  %s %s\t%s\n", sign, a.Name, a.Text)
	}
	t.Flush()
	b.WriteString("\nRules in force; bmc.rules of the fleet can set them:\n")
	for _, rule := range r.Rules {
		value, err := json.Marshal(rule.Value)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", rule.Name, value, rule.From)
	}
	t.Flush()
	if len(r.Notes) > 0 {
		b.WriteString("\nKnown of such BMCs:\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  - %s\n    seen: %s; from: %s\n", note.What, note.Seen, note.Source)
	}
	fmt.Fprintf(&b, "\n%s, asked with %d requests.\n", verdict(r), s.Requests)
	_, err := w.Write(bytes.Map(printable, b.Bytes()))
	return err
}

func verdict(r *redfish.Report) string {
	if !r.Usable() {
		return "This machine cannot be installed as it is"
	}
	if i := slices.IndexFunc(r.Abilities, func(a redfish.Ability) bool { return !a.OK }); i >= 0 {
		return "Nothing stands against an install, but see " + r.Abilities[i].Name
	}
	return "Nothing stands against an install"
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneBMC returns a client for the BMC that a command line names, by the host
// or by its address.
func (c *cli) oneBMC(ctx context.Context, args []string, bare bareBMC) (*redfish.Client, error) {
	if (len(args) == 1) == (bare.address != "") {
		return nil, errors.New("name either a HOST of the fleet, or a BMC with --address")
	}
	if len(args) == 0 {
		return c.bareClient(ctx, bare)
	}
	if bare != (bareBMC{}) {
		return nil, errors.New("--credentials, --tls, --system and --profile go with --address; those of a host are declared in the fleet")
	}
	fleet, target, err := c.locate(ctx, args[0])
	if err != nil {
		return nil, err
	}
	address, tls, err := bmcOf(fleet, target)
	if err != nil {
		return nil, err
	}
	declared := target.Host.BMC
	login, err := c.credentials().Login(ctx, declared.Credentials)
	if err != nil {
		return nil, err
	}
	return &redfish.Client{Address: address, Login: login, TLS: tls, System: declared.System, Profile: declared.Profile,
		Session: declared.Session, Overrides: overrides(declared.Rules), Marker: redfish.MarkerPlace(declared.Marker), Kept: target.AssetTag, Logger: c.logger()}, nil
}

// locate finds the BMC of a host of the fleet; NetBox is asked only when the
// fleet has no address.
func (c *cli) locate(ctx context.Context, host string) (*schema.Fleet, reconcile.Target, error) {
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return nil, reconcile.Target{}, err
	}
	s := &surroundings{}
	if h := fleet.Hosts[host]; h != nil && (h.BMC.Address == "" || h.BMC.Marker == string(redfish.EFILabel)) {
		if s, err = c.world(fleet); err != nil {
			return nil, reconcile.Target{}, err
		}
	}
	target, err := c.wire(tree, fleet, s).Locate(ctx, host)
	return fleet, target, err
}

// bareClient is for a BMC that no fleet declares.
func (c *cli) bareClient(ctx context.Context, bare bareBMC) (*redfish.Client, error) {
	var login credential.Login
	if bare.credentials == "" {
		return nil, errors.New("--address wants --credentials, the name of a login: " +
			"RECONCILE_CREDENTIAL_<NAME>_USERNAME and _PASSWORD, a file below --credentials-dir, or the --credential-helper's")
	}
	login, err := c.credentials().Login(ctx, bare.credentials)
	if err != nil {
		return nil, err
	}
	tls := redfish.TLS{Mode: bare.tls}
	if bare.tls != redfish.ModeVerify && bare.tls != redfish.ModeInsecure && bare.tls != "" {
		tls = redfish.TLS{Mode: redfish.ModePin, SHA256: bare.tls}
	}
	return &redfish.Client{Address: bare.address, Login: login, TLS: tls, System: bare.system, Profile: bare.profile, Logger: c.logger()}, nil
}
