package isohttp

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSelfTestWithinLimits: the self-tests of both listeners need one connection
// after the other, and leave none open.
func TestSelfTestWithinLimits(t *testing.T) {
	both := Listen{HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0", TLS: operators(t)} // which need no time to be made
	for range 5 {
		var log strings.Builder
		s := &Server{MaxConns: 1, Logger: logTo(&log, 0)}
		p, _ := publish(t, s, 1000, Medium{})
		run, err := s.Start(t.Context(), both)
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, &http.Transport{})
		if got := ask(t, c, "HEAD", "http://"+run.HTTP.String()+p.Path(), nil); got.status != 200 {
			t.Errorf("status is %d", got.status)
		}
		c.CloseIdleConnections()
		run.close()
		run.Wait()
		p.Withdraw()
		if strings.Contains(log.String(), "too many") {
			t.Fatalf("log: %s", log.String())
		}
	}
}

// TestSelfTestFails: someone else at the server's address, or in between, is found
// out at start.
func TestSelfTestFails(t *testing.T) {
	s := &Server{}
	for _, q := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"nothing there", http.NotFound, "HEAD: answer is 404 Not Found"},
		{"no ranges", func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); s.ServeHTTP(w, r) }, "GET: answer is 200 OK with 40960 bytes, want 206 with 2048"},
		{"no length", func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(&lengthless{w}, r) }, "HEAD: answer is 200 OK with -1 bytes"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "HEAD: unexpected EOF"},
	} {
		t.Run(q.name, func(t *testing.T) {
			h := httptest.NewServer(q.handler)
			defer h.Close()
			err := s.selfTest(t.Context(), "http", netip.MustParseAddrPort(h.Listener.Addr().String()), nil)
			if err == nil || !strings.Contains(err.Error(), q.want) || !strings.HasPrefix(err.Error(), "self-test of http://127.0.0.1:") {
				t.Errorf("got %v, want %q", err, q.want)
			}
		})
	}
}

type lengthless struct{ http.ResponseWriter }

func (w *lengthless) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(status)
}

// operators is a certificate as an operator brings it.
func operators(t *testing.T) TLS {
	t.Helper()
	cert, err := generate([]string{"media.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return TLS{CertFile: certFile, KeyFile: keyFile}
}
