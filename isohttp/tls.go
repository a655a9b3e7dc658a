package isohttp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// TLS says how https is served.
type TLS struct {
	// CertFile and KeyFile are the operator's certificate chain and key, PEM.
	// Both empty: a self-signed RSA-2048 certificate is generated at each
	// start, for Names, this machine's name and its addresses.
	CertFile, KeyFile string
	Names             []string

	// Old also accepts TLS 1.0 and 1.1, RSA key exchange and CBC cipher
	// suites, for BMCs that know nothing newer.
	Old bool
}

func (t TLS) certificate(now time.Time) (tls.Certificate, error) {
	if t.CertFile == "" && t.KeyFile == "" {
		cert, err := generate(t.Names, now)
		if err != nil {
			return cert, fmt.Errorf("generating certificate: %w", err)
		}
		return cert, nil
	}
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return cert, fmt.Errorf("reading certificate %q and key %q: %w", t.CertFile, t.KeyFile, err)
	}
	return cert, nil
}

func (t TLS) config(cert tls.Certificate) *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}
	if t.Old {
		c.MinVersion = tls.VersionTLS10
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			c.CipherSuites = append(c.CipherSuites, s.ID)
		}
	}
	return c
}

// certificateLife is longer than any install and than most BMC's clocks are
// wrong; it begins a day and a half early for the same reason.
const certificateLife = 2 * 365 * 24 * time.Hour

// generate makes a certificate that BMCs of any age can use: RSA, as old ones
// know no elliptic curves.
func generate(names []string, now time.Time) (tls.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "reconcile media server"},
		NotBefore:    now.Add(-36 * time.Hour),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	addOwnNames(t)
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// addOwnNames adds what this machine is called, as far as it knows.
func addOwnNames(t *x509.Certificate) {
	if h, err := os.Hostname(); err == nil && h != "" {
		t.DNSNames = append(t.DNSNames, h)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			t.IPAddresses = append(t.IPAddresses, n.IP)
		}
	}
}

// fingerprint is the SHA-256 of the leaf, as BMCs and browsers show it.
func fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}
