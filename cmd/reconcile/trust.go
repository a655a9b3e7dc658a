package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
	"github.com/spf13/cobra"
)

func (c *cli) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust HOST|ADDRESS",
		Short: "Show the fingerprint of a BMC's certificate, to pin it",
		Long: `trust connects to the BMC of a host of the fleet, or at an address, and shows its
certificate and the line of CUE that pins it. No login is sent, and nothing is
asked.

The fingerprint is that of whoever answers. Compare it with what the BMC shows on
its own console or web page, or take it over a network that you trust.

` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(c.options.output, "text", "json"); err != nil {
				return err
			}
			return c.trust(cmd.Context(), args[0])
		},
	}
}

// A trusted is what trust found.
type trusted struct {
	Type      string    `json:"type"` // "certificate"
	Host      string    `json:"host,omitempty"`
	Address   string    `json:"address"`
	SHA256    string    `json:"sha256"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	CUE       string    `json:"cue"`              // the line that pins it
	Pinned    string    `json:"pinned,omitempty"` // what is declared now, in lower case
}

func (c *cli) trust(ctx context.Context, name string) error {
	host, address, err := c.hostOrAddress(ctx, name)
	if err != nil {
		return err
	}
	cert, err := redfish.Trust(ctx, address)
	if err != nil {
		return err
	}
	t := trusted{Type: "certificate", Address: address, SHA256: cert.SHA256, Subject: cert.Subject, Issuer: cert.Issuer, Names: cert.Names,
		NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, CUE: fmt.Sprintf("bmc: tls: sha256: %q", cert.SHA256)}
	if host != nil {
		t.Host, t.CUE = host.Name, fmt.Sprintf("hosts: %q: %s", host.Name, t.CUE)
		t.Pinned = strings.ToLower(strings.ReplaceAll(host.BMC.TLS.SHA256, ":", ""))
	}
	if c.options.output == "json" {
		return json.NewEncoder(c.stdout).Encode(t)
	}
	return t.text(c.stdout, time.Now())
}

// hostOrAddress tells a host of the fleet from a BMC's address. What is
// plainly an address needs no fleet.
func (c *cli) hostOrAddress(ctx context.Context, name string) (*schema.Host, string, error) {
	if plainAddress(name) {
		return nil, name, nil
	}
	_, fleet, err := c.load(ctx)
	named := strings.ContainsAny(name, ".:") // it may be the BMC's name in DNS
	_, violated := errors.AsType[*schema.Error](err)
	switch {
	case err != nil && (!named || violated):
		return nil, "", err
	case err != nil, named && fleet.Hosts[name] == nil:
		return nil, name, nil
	}
	_, target, err := c.locate(ctx, name)
	if err != nil {
		return nil, "", err
	}
	return target.Host, target.Address, nil
}

// plainAddress reports whether s cannot be a host's name.
func plainAddress(s string) bool {
	_, notIP := netip.ParseAddr(strings.Trim(s, "[]"))
	_, notPort := netip.ParseAddrPort(s)
	return notIP == nil || notPort == nil || strings.Contains(s, "://")
}

// text writes the certificate for a person.
func (t *trusted) text(w io.Writer, now time.Time) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if t.Host != "" {
		fmt.Fprintf(tab, "host\t%s\n", t.Host)
	}
	fmt.Fprintf(tab, "BMC\t%s\n", t.Address)
	fmt.Fprintf(tab, "SHA-256\t%s\n", t.SHA256)
	fmt.Fprintf(tab, "subject\t%s\n", strings.Map(printable, orNone(t.Subject)))
	fmt.Fprintf(tab, "issuer\t%s\n", strings.Map(printable, orNone(t.Issuer)))
	fmt.Fprintf(tab, "names\t%s\n", strings.Map(printable, orNone(strings.Join(t.Names, ", "))))
	validity := ""
	switch {
	case now.After(t.NotAfter):
		validity = " (over; a pin does not mind)"
	case now.Before(t.NotBefore):
		validity = " (not yet; a pin does not mind)"
	}
	fmt.Fprintf(tab, "valid\t%s to %s%s\n", t.NotBefore.UTC().Format(time.DateOnly), t.NotAfter.UTC().Format(time.DateOnly), validity)
	if err := tab.Flush(); err != nil {
		return err
	}
	switch t.Pinned {
	case "":
		fmt.Fprintf(w, "\nOnce you have compared the fingerprint with the BMC's own, pin it:\n\n%s\n", t.CUE)
	case t.SHA256:
		fmt.Fprintf(w, "\nThe fleet pins this certificate.\n")
	default:
		fmt.Fprintf(w, "\nThe fleet pins another one, %s.\nFind out why it changed before you declare:\n\n%s\n", t.Pinned, t.CUE)
	}
	return nil
}
