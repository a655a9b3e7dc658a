package isohttp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEndWithReaders: when the context of Start ends, an answer ends at once, even
// one that never waits for its reader.
func TestEndWithReaders(t *testing.T) {
	const size = 1 << 40
	path := filepath.Join(t.TempDir(), "base.iso")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	s := &Server{}
	p, err := s.Publish(Medium{Host: "h", Token: Token(nil), View: hashed{sparse{size: size, pieces: []Piece{{Len: size, Base: true}}}, "x"}, Base: Base{Path: path, Size: size}})
	if err != nil {
		t.Fatal(err)
	}
	p.content.Load().file.noSendfile.Store(true) // which is slower than a reader can be
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run, err := s.Start(ctx, Listen{HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", run.HTTP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := make(chan error)
	go func() {
		buf := make([]byte, 4<<20)
		for {
			switch n, _, err := unix.Recvfrom(int(f.Fd()), buf, unix.MSG_TRUNC); { // without looking at it
			case err == unix.EAGAIN, err == unix.EINTR:
			case err != nil, n == 0:
				read <- err
				return
			}
		}
	}()
	for p.Progress().Bytes < 64<<20 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	done := make(chan error)
	go func() { done <- run.Wait() }()
	began := time.Now()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("still sends after %s, %d bytes", time.Since(began), p.Progress().Bytes)
		p.Withdraw()
		<-done
	}
	<-read
}

// TestShutdownRefuses: while Shutdown waits for a reader, nobody connects and then
// waits in vain, and another server may have the address.
func TestShutdownRefuses(t *testing.T) {
	var log lockedBuilder
	s := &Server{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	p, _ := publish(t, s, 16<<20, Medium{})
	run := start(t, s, Listen{})
	stuck := dialReader(t, run.HTTP.String())
	fmt.Fprintf(stuck, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())
	if _, err := http.ReadResponse(stuck.Reader, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- run.Shutdown(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	for try := 0; ; try++ {
		c, err := net.Dial("tcp", run.HTTP.String())
		if err != nil {
			break
		}
		c.Close()
		if try == 200 {
			t.Fatal("still listens")
		}
		time.Sleep(5 * time.Millisecond)
	}
	l, err := net.Listen("tcp", run.HTTP.String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if log.String() != "" {
		t.Errorf("log: %s", log.String())
	}
}

// TestHalfAfterLong: half a header after a long answer is given no more time than
// any other.
func TestHalfAfterLong(t *testing.T) {
	s := &Server{HeaderTimeout: 100 * time.Millisecond}
	p, v := publish(t, s, 8*maxShort, Medium{})
	c := dialReader(t, start(t, s, Listen{}).HTTP.String())
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET /", p.Path())
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := io.Copy(io.Discard, c.Reader); err != nil || n < v.Size() {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestPlaceIsFree: who has seen the end of its connection has its place back,
// however long the answer was.
func TestPlaceIsFree(t *testing.T) {
	s := &Server{MaxConnsPerClient: 1}
	p, v := publish(t, s, 4*maxShort, Medium{})
	addr := start(t, s, Listen{}).HTTP.String()
	for i := range 50 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", p.Path())
		if all, err := io.ReadAll(bufio.NewReader(c)); err != nil || int64(len(all)) < v.Size() {
			t.Fatalf("answer %d: %d bytes, %v", i, len(all), err)
		}
		c.Close()
	}
}

// TestShutdownHalfHeader: Shutdown waits for answers, not for the rest of requests.
func TestShutdownHalfHeader(t *testing.T) {
	s := &Server{}
	p, _ := publish(t, s, 1000, Medium{})
	run := start(t, s, Listen{})
	c := dialReader(t, run.HTTP.String())
	fmt.Fprintf(c, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\nGET /", p.Path())
	if _, err := http.ReadResponse(c.Reader, &http.Request{Method: "HEAD"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := run.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// TestUnknownOnce: OnUnknown is asked once about a request, whoever answers it, and
// about the next one again.
func TestUnknownOnce(t *testing.T) {
	var asked atomic.Int32
	s := &Server{OnUnknown: func(context.Context, string) { asked.Add(1) }}
	c := dialReader(t, start(t, s, Listen{}).HTTP.String())
	for want := int32(1); want <= 3; want++ {
		io.WriteString(c, "GET /i/x HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(c.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 404 || asked.Load() != want {
			t.Errorf("%s, %v, asked %d times for %d requests", res.Status, err, asked.Load(), want)
		}
	}
}
