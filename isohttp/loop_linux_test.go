package isohttp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// oddRequest is a request as a client may write it, of which a loop answers some.
type oddRequest struct{ method, header string }

var oddRequests = []oddRequest{
	{"GET", "Host: x\r\nRange: bytes=5-2052\r\n"},
	{"GET", "host: [::1]:80\r\nrange: bytes=-1\r\nUser-Agent: a\r\n"},
	{"HEAD", "Host: x\r\nRange: bytes=0-1\r\n"},
	{"GET", "Host: x\r\nRange: bytes=100-\r\nConnection: keep-alive\r\n"},
	{"GET", "Host: x\r\n"},

	{"GET", "Host: x\r\nRange: bytes=0-1,5-9\r\n"},
	{"GET", "Host: x\r\nRange: bytes=9-1\r\n"},
	{"GET", "Host: x\r\nRange: bytes=99999999999-\r\n"},
	{"GET", "Host: x\r\nRange: pages=1-2\r\n"},
	{"GET", "Host: x\r\nIf-None-Match: *\r\n"},
	{"GET", "Host: x\r\nIf-Match: \"other\"\r\n"},
	{"GET", "Host: x\r\nRange: bytes=7-8\r\nIf-Range: \"other\"\r\n"},
	{"HEAD", "Host: x\r\nContent-Length: 0\r\n"},
	{"DELETE", "Host: x\r\n"},
}

// TestLoopOrNetHTTP sends requests of all kinds over one connection, in pieces and
// before the answers are read. Whoever answers, a client sees what net/http alone
// would have sent.
func TestLoopOrNetHTTP(t *testing.T) {
	s := &Server{}
	p, _ := publish(t, s, 300_000, Medium{})
	loops := start(t, s, Listen{}).HTTP.String()
	if start(t, &Server{Rate: 1 << 40}, Listen{}).loops != nil {
		t.Error("a server that has to send slowly has loops")
	}
	base, c := ways[2].client(t, s)
	var want []reply
	for _, q := range oddRequests {
		h, err := http.ReadRequest(bufio.NewReader(strings.NewReader(q.method + " / HTTP/1.1\r\n" + q.header + "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		h.Header.Del("Connection")
		want = append(want, ask(t, c, q.method, base+p.Path(), h.Header))
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		var in bytes.Buffer
		var order []int
		for n := 1 + r.IntN(12); len(order) < n; {
			i := r.IntN(len(oddRequests))
			if r.IntN(3) > 0 {
				i = r.IntN(5) // or the first odd one would end what loops answer
			}
			order = append(order, i)
			fmt.Fprintf(&in, "%s %s HTTP/1.1\r\n%s\r\n", oddRequests[i].method, p.Path(), oddRequests[i].header)
		}
		conn, err := net.Dial("tcp", loops)
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			for all := in.Bytes(); len(all) > 0; {
				n := min(len(all), 1+r.IntN(400))
				conn.Write(all[:n])
				all = all[n:]
				time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			}
		})
		b := bufio.NewReader(conn)
		for _, i := range order {
			sameAnswer(t, b, oddRequests[i], want[i])
		}
		wait.Wait()
		conn.Close()
	}
}

// sameAnswer reads an answer and compares it with that of net/http.
func sameAnswer(t *testing.T, b *bufio.Reader, q oddRequest, want reply) {
	t.Helper()
	res, err := http.ReadResponse(b, &http.Request{Method: q.method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if date, err := http.ParseTime(res.Header.Get("Date")); err != nil || time.Since(date).Abs() > time.Minute {
		t.Errorf("%q: Date is %q", q, res.Header.Get("Date"))
	}
	for k := range want.header {
		if k != "Date" && res.Header.Get(k) != want.header.Get(k) {
			t.Errorf("%q: %s is %q, net/http has %q", q, k, res.Header.Get(k), want.header.Get(k))
		}
	}
	if len(res.Header) != len(want.header) || res.StatusCode != want.status || !bytes.Equal(body, want.body) {
		t.Errorf("%q: %s, %v, %d bytes; net/http has %d, %v, %d bytes", q, res.Status, res.Header, len(body), want.status, want.header, len(want.body))
	}
}

// TestLongAnswers has readers that take their time and then ask again over the
// same connection, beside others that ask for little.
func TestLongAnswers(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 8*maxShort, Medium{})
	addr := start(t, s, Listen{}).HTTP
	var wait sync.WaitGroup
	for i := range 6 {
		wait.Go(func() {
			c := dialReader(t, addr.String())
			for range 3 {
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET %[1]s HTTP/1.1\r\nHost: x\r\nRange: bytes=3-9\r\n\r\n", p.Path())
				if i%2 == 0 {
					time.Sleep(20 * time.Millisecond) // until its socket is full
				}
				for _, want := range [][]byte{v.bytes, v.bytes[3:10]} {
					res, err := http.ReadResponse(c.Reader, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
				}
			}
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", p.Path())
			if all, err := io.ReadAll(c.Reader); err != nil || !bytes.HasSuffix(all, v.bytes) || !bytes.Contains(all[:1000], []byte("\r\nConnection: close\r\n")) {
				t.Errorf("last answer: %d bytes, %v", len(all), err)
			}
		})
	}
	wait.Wait()
	idle(p)
	if q := p.Progress(); q.Bytes != 6*(4*v.Size()+3*7) || q.Distinct != v.Size() {
		t.Errorf("progress: %+v", q)
	}
}

type connReader struct {
	net.Conn
	*bufio.Reader
}

func (c connReader) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func dialReader(t *testing.T, addr string) connReader {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return connReader{c, bufio.NewReader(c)}
}

// TestColdImage reads an image that is on the disk and not in memory, and one of a
// file system that cannot do what loops ask of it.
func TestColdImage(t *testing.T) {
	const size = 64 << 20
	path := filepath.Join(t.TempDir(), "base.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off := int64(0); off < size; off += 1 << 20 {
		if _, err := fmt.Fprintf(io.NewOffsetWriter(f, off), "%08x", off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"cold", "no sendfile", "cannot tell"} {
		t.Run(kind, func(t *testing.T) {
			s := &Server{}
			p, err := s.Publish(Medium{Host: "h", Token: Token(nil), View: hashed{sparse{size: size, pieces: []Piece{{Len: size, Base: true}}}, "x"}, Base: Base{Path: path, Size: size}})
			if err != nil {
				t.Fatal(err)
			}
			file := p.content.Load().file
			file.noSendfile.Store(kind == "no sendfile")
			file.noPeek.Store(kind == "cannot tell")
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := unix.Fadvise(int(f.Fd()), 0, size, unix.FADV_DONTNEED); err != nil {
				t.Fatal(err)
			}
			base, c := ways[0].client(t, s)
			for i, n := range []int64{8, 4096, 8, 65536, 3 << 20, 8, 16384, 2048, 20 << 20} {
				off := int64(i) * 5 << 20
				got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1)))
				if int64(len(got.body)) != n || string(got.body[:8]) != fmt.Sprintf("%08x", off) {
					t.Errorf("[%d, +%d): %d bytes, first %q", off, n, len(got.body), got.body[:8])
				}
			}
			p.Withdraw()
		})
	}
}

// TestOnUnknown publishes media when they are first asked for, and answers who
// asked.
func TestOnUnknown(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := &Server{}
			p, v := publish(t, s, 50_000, Medium{})
			path := p.Path()
			p.Withdraw()
			var mu sync.Mutex
			published := false
			s.OnUnknown = func(_ context.Context, asked string) {
				mu.Lock()
				defer mu.Unlock()
				if asked == path && !published {
					published = true
					publish(t, s, 50_000, Medium{})
				}
			}
			base, c := w.client(t, s)
			var wait sync.WaitGroup
			for range 5 {
				wait.Go(func() {
					if got := ask(t, c, "GET", base+path, nil); got.status != 200 || !bytes.Equal(got.body, v.bytes) {
						t.Errorf("status %d, %d bytes", got.status, len(got.body))
					}
					if got := ask(t, c, "GET", base+path+"x", nil); got.status != 404 {
						t.Errorf("status %d of a path that nobody knows", got.status)
					}
				})
			}
			wait.Wait()
		})
	}
}

// TestManyRequestsAtOnce sends requests without waiting for answers, over several
// connections and loops. One client that never stops asking does not keep others
// from being answered.
func TestManyRequestsAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	s := &Server{}
	p, v := publish(t, s, 100_000, Medium{})
	run := start(t, s, Listen{})
	if n := len(run.loops.each); n != 3 {
		t.Fatalf("%d loops", n)
	}
	var conns []connReader
	for range 9 {
		conns = append(conns, dialReader(t, run.HTTP.String()))
	}
	const n = 500
	var wait sync.WaitGroup
	for _, c := range conns {
		wait.Go(func() { // the requests of one are longer than the socket's buffers
			q := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=7-4102\r\n\r\n", p.Path())
			if _, err := io.WriteString(c.Conn, strings.Repeat(q, n)); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			for range n {
				res, err := http.ReadResponse(c.Reader, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, v.bytes[7:4103]) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
		})
	}
	wait.Wait()
	for i, l := range run.loops.each {
		if got := l.open.Load(); got < 3 { // the self-test's may be one more
			t.Errorf("loop %d has %d connections of 9", i, got)
		}
	}
}

// TestDrain: Shutdown closes connections that wait for a request at once.
func TestDrain(t *testing.T) {
	s := &Server{}
	p, _ := publish(t, s, 1000, Medium{})
	run := start(t, s, Listen{})
	c := dialReader(t, run.HTTP.String())
	fmt.Fprintf(c, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())
	if _, err := http.ReadResponse(c.Reader, &http.Request{Method: "HEAD"}); err != nil {
		t.Fatal(err)
	}
	if err := run.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.ReadByte(); err != io.EOF {
		t.Errorf("idle connection: %v", err)
	}
}

// TestNoDescriptors: a server that cannot accept a connection does when it can
// again.
func TestNoDescriptors(t *testing.T) {
	var log lockedBuilder
	s := &Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	p, v := publish(t, s, 1000, Medium{})
	run := start(t, s, Listen{})
	first := dialReader(t, run.HTTP.String()) // what the runtime needs for a connection is there
	first.Close()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	free, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	limit := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(uint64(free) + 1)
	defer limit(old.Cur)
	c := dialReader(t, run.HTTP.String()) // takes the last one
	for try := 0; !strings.Contains(log.String(), "too many open files"); try++ {
		if try == 2000 {
			t.Fatalf("log: %s", log.String())
		}
		time.Sleep(time.Millisecond)
	}
	limit(old.Cur)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())
	res, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, v.bytes) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestNothingLeaks has hundreds of clients that stop at every point of an exchange:
// afterwards no connection is counted and no descriptor open.
func TestNothingLeaks(t *testing.T) {
	s := &Server{OnUnknown: func(context.Context, string) { time.Sleep(time.Millisecond) }}
	p, v := publish(t, s, 4*maxShort, Medium{})
	run := start(t, s, Listen{})
	before := descriptors(t)
	in := []string{
		fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=0-4095\r\n\r\n", p.Path()),
		fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path()),
		fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", p.Path()),
		fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2,5-9\r\n\r\n", p.Path()),
		fmt.Sprintf("GET %s HTTP/1.0\r\n\r\n", p.Path()),
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01 no http at all\n",
	}
	var wait sync.WaitGroup
	for i := range 24 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 77))
			for range 20 {
				c, err := net.Dial("tcp", run.HTTP.String())
				if err != nil {
					t.Error(err)
					return
				}
				for range 1 + r.IntN(3) {
					q := in[r.IntN(len(in))]
					io.WriteString(c, q[:r.IntN(len(q)+1)])
					c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
					io.CopyN(io.Discard, c, r.Int64N(2*v.Size()))
				}
				if r.IntN(2) == 0 {
					c.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
			}
		})
	}
	wait.Wait()
	left := func() int {
		n := 0
		for _, l := range run.loops.each {
			n += int(l.open.Load())
		}
		run.loops.conns.mu.Lock()
		defer run.loops.conns.mu.Unlock()
		return n + run.loops.conns.total + len(run.loops.conns.client)
	}
	for try := 0; left() > 0 || descriptors(t) > before; try++ {
		if try == 2000 {
			t.Fatalf("%d connections counted, %d descriptors, %d before", left(), descriptors(t), before)
		}
		time.Sleep(5 * time.Millisecond)
	}
	idle(p)
	if got := p.Progress().Active; got != 0 {
		t.Errorf("%d answers active", got)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}
