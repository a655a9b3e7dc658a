package redfish

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// The ways to trust a BMC's certificate.
const (
	ModeVerify   = "verify"   // a chain to CAs, or to the system's roots; the default
	ModePin      = "pin"      // exactly the leaf certificate with this SHA-256
	ModeInsecure = "insecure" // anything; never chosen by the program itself
)

// TLS says whom to take for the BMC. Most BMCs ship a self-signed certificate,
// often without names; pinning it (see [Trust]) is the way to verify these.
type TLS struct {
	Mode   string         // ModeVerify (also ""), ModePin or ModeInsecure
	SHA256 string         // of the leaf certificate in DER, hex, colons allowed; for ModePin
	CAs    *x509.CertPool // for ModeVerify; nil means the system's roots
}

var errPin = errors.New("certificate is not the pinned one")

func (t TLS) config() (*tls.Config, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.CAs}
	switch t.Mode {
	case "", ModeVerify:
	case ModePin:
		want, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(t.SHA256), ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, fmt.Errorf("tls pin %q: want a SHA-256 fingerprint of 64 hex digits", t.SHA256)
		}
		tc.InsecureSkipVerify = true // VerifyConnection below decides instead
		tc.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errPin
			}
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if string(got[:]) != string(want) {
				return fmt.Errorf("%w: it has SHA-256 %x", errPin, got)
			}
			return nil
		}
	case ModeInsecure:
		tc.InsecureSkipVerify = true
	default:
		return nil, fmt.Errorf("tls mode %q: want %q, %q or %q", t.Mode, ModeVerify, ModePin, ModeInsecure)
	}
	return tc, nil
}

// tlsFailure reports whether err means that the peer is not who we trust, or
// does not speak TLS properly. Such an error is never retried.
func tlsFailure(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        tls.AlertError
	)
	return errors.Is(err, errPin) || errors.As(err, &verification) || errors.As(err, &unknown) ||
		errors.As(err, &hostname) || errors.As(err, &invalid) || errors.As(err, &record) || errors.As(err, &alert)
}

// Certificate is what a BMC shows of itself before anyone trusts it.
type Certificate struct {
	SHA256              string // of the leaf in DER, lower-case hex: what TLS.SHA256 takes
	Subject, Issuer     string
	Names               []string // DNS names and addresses it was made for
	NotBefore, NotAfter time.Time
}

// Trust connects to address (as in [Client].Address), reads its certificate
// without judging it, sends nothing, and returns what there is to pin. A person
// should compare the fingerprint with what the BMC shows elsewhere.
func Trust(ctx context.Context, address string) (*Certificate, error) {
	base, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if base.Scheme != "https" {
		return nil, fmt.Errorf("address %q: plain http has no certificate", address)
	}
	_, host, _ := strings.Cut(origin(base), "://")
	d := &tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 10 * time.Second},
		Config:    &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}, // only looked at
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of %s: %w: %w", host, ErrUnreachable, err)
	}
	defer conn.Close()
	tc, ok := conn.(*tls.Conn)
	if !ok || len(tc.ConnectionState().PeerCertificates) == 0 {
		return nil, fmt.Errorf("reading the certificate of %s: none shown", host)
	}
	leaf := tc.ConnectionState().PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	c := &Certificate{
		SHA256: hex.EncodeToString(sum[:]), Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
		Names: leaf.DNSNames, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
	}
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	return c, nil
}
