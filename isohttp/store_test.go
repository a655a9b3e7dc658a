package isohttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// origin is a web server with an image, and with faults.
type origin struct {
	data    []byte
	etag    string
	noRange bool
	noMatch bool     // takes no notice of If-Range
	etags   []string // of the n-th answers, instead of etag
	longer  int      // says that the image has so many bytes more
	cuts    []int    // after so many bytes of the n-th answer the connection breaks
	stalls  bool     // instead of breaking it says nothing more
	status  []int    // of the n-th answers, instead of the image

	mu       sync.Mutex
	requests []string // Range and If-Range
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	i := len(o.requests)
	o.requests = append(o.requests, strings.TrimSpace(r.Header.Get("Range")+" "+r.Header.Get("If-Range")))
	o.mu.Unlock()
	if i < len(o.status) && o.status[i] != 0 {
		http.Error(w, "no", o.status[i])
		return
	}
	if o.noRange {
		r.Header.Del("Range")
	}
	if o.noMatch {
		r.Header.Del("If-Range")
	}
	w.Header().Set("Etag", o.etag)
	if i < len(o.etags) {
		w.Header().Set("Etag", o.etags[i])
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if i < len(o.cuts) {
		w = &cutWriter{w, o.cuts[i], o.stalls, r.Context()}
	}
	if o.longer > 0 {
		w = &boaster{w, o.longer}
	}
	http.ServeContent(w, r, "x.iso", time.Time{}, bytes.NewReader(o.data))
}

// boaster says that there is more than there is.
type boaster struct {
	http.ResponseWriter
	more int
}

func (w *boaster) WriteHeader(status int) {
	if n, err := strconv.Atoi(w.Header().Get("Content-Length")); err == nil && status < 300 {
		w.Header().Set("Content-Length", strconv.Itoa(n+w.more))
	}
	w.ResponseWriter.WriteHeader(status)
}

type cutWriter struct {
	http.ResponseWriter
	left   int
	stalls bool
	ctx    context.Context
}

func (w *cutWriter) Write(p []byte) (int, error) {
	if w.left < len(p) {
		w.ResponseWriter.Write(p[:w.left])
		if w.stalls {
			<-w.ctx.Done()
		}
		panic(http.ErrAbortHandler)
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

func (o *origin) client() *http.Client {
	return &http.Client{Transport: transport{o, "192.0.2.1:1"}}
}

const imageURL = "https://user:secret@mirror.example/x.iso?signature=secret"

// files lists a directory without lock files.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestStoreDownloads(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(1, 1)), 3_000_000)
	d := digestOf(data)
	tests := []struct {
		name   string
		origin *origin
		want   []string // requests
	}{
		{"at once", &origin{etag: `"a"`}, []string{""}},
		{"in three goes", &origin{etag: `"a"`, cuts: []int{1_000_000, 500_000}}, []string{"", `bytes=1000000- "a"`, `bytes=1500000- "a"`}},
		{"without ranges", &origin{etag: `"a"`, noRange: true, cuts: []int{1_000_000}}, []string{"", `bytes=1000000- "a"`}},
		{"weak tag", &origin{etag: `W/"a"`, cuts: []int{1_000_000}}, []string{"", `bytes=1000000-`}},
		{"busy", &origin{status: []int{503, 429, 500}}, []string{"", "", "", ""}},
		{"busy in between", &origin{etag: `"a"`, cuts: []int{1_000_000}, status: []int{0, 503, 416}}, []string{"", `bytes=1000000- "a"`, `bytes=1000000- "a"`, ""}},
		{"image changed in between", &origin{etags: []string{`"a"`, `"b"`, `"b"`}, noMatch: true, cuts: []int{1_000_000}}, []string{"", `bytes=1000000- "a"`, ""}},
		{"stalled", &origin{etag: `"a"`, cuts: []int{2_000_000}, stalls: true}, []string{"", `bytes=2000000- "a"`}},
	}
	for _, q := range tests {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q.origin.data = data
				var last ImageProgress
				s := &Store{Dir: filepath.Join(t.TempDir(), "cache"), HTTP: q.origin.client(), OnProgress: func(p ImageProgress) { last = p }}
				for range 2 {
					b, err := s.Get(t.Context(), imageURL, strings.ToUpper(d))
					if err != nil {
						t.Fatal(err)
					}
					if b.Path != filepath.Join(s.Dir, d+".iso") || b.SHA256 != d || b.Size != int64(len(data)) {
						t.Errorf("got %v", b)
					}
					if got, err := os.ReadFile(b.Path); err != nil || !bytes.Equal(got, data) {
						t.Errorf("file differs: %d bytes, %v", len(got), err)
					}
				}
				if diff := cmp.Diff(q.want, q.origin.requests); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
				if got := files(t, s.Dir); len(got) != 2 {
					t.Errorf("files left: %v", got)
				}
				if want := (ImageProgress{"https://mirror.example/x.iso", d, "download", s64(data), s64(data)}); last != want {
					t.Errorf("last progress is %+v, want %+v", last, want)
				}
			})
		})
	}
}

func s64(b []byte) int64 { return int64(len(b)) }

func TestStoreTakesUpWhereAnotherLeft(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(1, 2)), 3_000_000)
	d := digestOf(data)
	tests := []struct {
		name   string
		damage func(t *testing.T, part string)
		etag   string // at the second time
		url    string
		want   []string
	}{
		{"same", nil, `"a"`, imageURL, []string{"", `bytes=1000000- "a"`}},
		{"image changed", nil, `"b"`, imageURL, []string{"", `bytes=1000000- "a"`}},
		{"other mirror", nil, `"a"`, "https://other.example/x.iso", []string{"", ""}},
		{"damaged", func(t *testing.T, part string) {
			if err := os.WriteFile(part, make([]byte, 1_000_000), 0o644); err != nil {
				t.Fatal(err)
			}
		}, `"a"`, imageURL, []string{"", `bytes=1000000- "a"`, ""}},
		{"longer than the image", func(t *testing.T, part string) {
			if err := os.WriteFile(part, make([]byte, 4_000_000), 0o644); err != nil {
				t.Fatal(err)
			}
		}, `"a"`, imageURL, []string{"", `bytes=4000000- "a"`, ""}},
	}
	for _, q := range tests {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{data: data, etag: `"a"`, cuts: []int{1_000_000}, stalls: true}
				s := &Store{Dir: t.TempDir(), HTTP: o.client(), Stall: time.Hour}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := s.Get(ctx, imageURL, d); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v", err)
				}
				if q.damage != nil {
					q.damage(t, filepath.Join(s.Dir, d+".part"))
				}
				o.etag = q.etag
				b, err := (&Store{Dir: s.Dir, HTTP: o.client()}).Get(t.Context(), q.url, d)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(b.Path); err != nil || !bytes.Equal(got, data) {
					t.Errorf("file differs: %d bytes, %v", len(got), err)
				}
				if diff := cmp.Diff(q.want, o.requests); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestStoreErrors(t *testing.T) {
	data := []byte("not the image")
	d, other := digestOf(data), digestOf(nil)
	redirect := func(to string) http.Handler { return http.RedirectHandler(to, http.StatusFound) }
	tests := []struct {
		name, url, sha string
		handler        http.Handler
		max            int64
		want           string
	}{
		{"digest", imageURL, other, &origin{data: data}, 0, "image https://mirror.example/x.iso: sha256 is " + d + ", want " + other},
		{"not found", imageURL, d, &origin{status: []int{404}}, 0, "image https://mirror.example/x.iso: GET: 404 Not Found"},
		{"busy for ever", imageURL, d, &origin{status: []int{503, 503, 503, 503, 503, 503}}, 0, "image https://mirror.example/x.iso: GET: 503 Service Unavailable"},
		{"large", imageURL, d, &origin{data: data}, 5, "image https://mirror.example/x.iso: 13 bytes are more than the 5 an image may have"},
		{"to http", imageURL, d, redirect("http://mirror.example/?secret"), 0, "image https://mirror.example/x.iso: GET: redirect from https to http refused"},
		{"no such host", imageURL, d, failing{&net.DNSError{Err: "no such host", Name: "mirror.example", IsNotFound: true}}, 0,
			"image https://mirror.example/x.iso: GET: lookup mirror.example: no such host"},
		{"certificate", imageURL, d, failing{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}}, 0,
			"image https://mirror.example/x.iso: GET: tls: failed to verify certificate: unknown authority"},
		{"to no URL", imageURL, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://cdn.example/%zz?secret")
			w.WriteHeader(http.StatusFound)
		}), 0, "image https://mirror.example/x.iso: GET: redirect to what is no URL"},
		{"loop", imageURL, d, redirect(imageURL), 0, "image https://mirror.example/x.iso: GET: too many redirects"},
		{"scheme", "ftp://user:secret@mirror.example/x.iso", d, nil, 0, "image ftp://mirror.example/x.iso: want a path, or a file, http or https URL"},
		{"no URL", "https://user:secret@mirror\x01.example/x.iso", d, nil, 0, "image https://…: not a URL"},
		{"no digest", imageURL, "12ab", nil, 0, `image https://mirror.example/x.iso: sha256 "12ab" is not 64 hexadecimal digits`},
		{"encoded", imageURL, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Encoding", "gzip") }), 0,
			`image https://mirror.example/x.iso: GET: answer has Content-Encoding "gzip"`},
	}
	for _, q := range tests {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				client := &http.Client{Transport: transport{q.handler, ""}}
				if f, ok := q.handler.(failing); ok {
					client.Transport = f
				}
				s := &Store{Dir: t.TempDir(), HTTP: client, MaxSize: q.max, Logger: logTo(&log, -4)}
				_, err := s.Get(t.Context(), q.url, q.sha)
				if err == nil || err.Error() != q.want {
					t.Errorf("got  %v\nwant %v", err, q.want)
				}
				if strings.Contains(log.String(), "secret") {
					t.Errorf("log has secrets: %s", log.String())
				}
				if got := files(t, s.Dir); len(got) != 0 {
					t.Errorf("files left: %v", got)
				}
			})
		})
	}
}

// TestStoreGivesUp: a server that never gets to the end of what it says it has
// is asked a few times, not for ever.
func TestStoreGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{data: []byte("image"), etag: `"a"`, longer: 1000}
		s := &Store{Dir: t.TempDir(), HTTP: o.client()}
		_, err := s.Get(t.Context(), imageURL, digestOf(o.data))
		if err == nil || len(o.requests) != maxTries {
			t.Errorf("%d requests, want %d; %v", len(o.requests), maxTries, err)
		}
	})
}

// TestStoreMixedImage: what was put together of two images is fetched anew.
func TestStoreMixedImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := randomBytes(rand.New(rand.NewPCG(1, 5)), 100_000)
		o := &origin{data: randomBytes(rand.New(rand.NewPCG(1, 6)), 100_000), cuts: []int{50_000}}
		s := &Store{Dir: t.TempDir(), HTTP: &http.Client{Transport: transport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { o.data = data }()
			o.ServeHTTP(w, r)
		}), ""}}}
		if _, err := s.Get(t.Context(), imageURL, digestOf(data)); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"", "bytes=50000-", ""}, o.requests); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// failing is a client's transport, and no more of a handler than that.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
func (f failing) ServeHTTP(http.ResponseWriter, *http.Request)    {}

func TestStoreFollowsRedirects(t *testing.T) {
	o := &origin{data: []byte("image")}
	mux := http.NewServeMux()
	mux.Handle("/x.iso", http.RedirectHandler("https://cdn.example/y", http.StatusFound))
	mux.HandleFunc("/y", func(w http.ResponseWriter, r *http.Request) {
		if got := fmt.Sprint(r.Header); strings.Contains(got, "secret") {
			t.Errorf("another server was told a secret: %s", got)
		}
		o.ServeHTTP(w, r)
	})
	s := &Store{Dir: t.TempDir(), HTTP: &http.Client{Transport: transport{mux, ""}}}
	if _, err := s.Get(t.Context(), imageURL, digestOf(o.data)); err != nil {
		t.Error(err)
	}
}

func TestStoreIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := randomBytes(rand.New(rand.NewPCG(1, 3)), 1_000_000)
		o := &origin{data: data, etag: `"a"`, cuts: []int{500_000}}
		dir := t.TempDir()
		var wait sync.WaitGroup
		for range 16 {
			wait.Go(func() {
				s := &Store{Dir: dir, HTTP: o.client()}
				if _, err := s.Get(t.Context(), imageURL, digestOf(data)); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if len(o.requests) != 2 {
			t.Errorf("requests: %q, want one that breaks and one that goes on", o.requests)
		}
	})
}

func TestStoreLockEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "x.lock")
		unlock, err := lock(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStoreVerifiesInPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.iso")
	data := []byte("image")
	write := func(b []byte, mtime time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, b, 0o644), os.Chtimes(path, mtime, mtime)); err != nil {
			t.Fatal(err)
		}
	}
	read := false
	s := &Store{Dir: filepath.Join(dir, "cache"), OnProgress: func(ImageProgress) { read = true }}
	get := func(location, sha, wantErr string, wantRead bool) {
		t.Helper()
		read = false
		b, err := s.Get(t.Context(), location, sha)
		switch {
		case err != nil && err.Error() != wantErr:
			t.Errorf("got  %v\nwant %v", err, wantErr)
		case err == nil && (wantErr != "" || b.Path != path || b.SHA256 != sha || b.Size != int64(len(data))):
			t.Errorf("got %v, want %q", b, wantErr)
		}
		if read != wantRead {
			t.Errorf("read through: %v, want %v", read, wantRead)
		}
	}
	t0 := time.Unix(1_700_000_000, 0)
	write(data, t0)
	get(path, digestOf(data), "", true)
	get(path, digestOf(data), "", false)
	get("file://"+path, digestOf(data), "", false)
	get(path, digestOf(nil), "image "+path+": sha256 is "+digestOf(data)+", want "+digestOf(nil), false)
	write(data, t0.Add(time.Second))
	get(path, digestOf(data), "", true)
	write([]byte("imagf"), t0.Add(2*time.Second))
	get(path, digestOf(data), "image "+path+": sha256 is "+digestOf([]byte("imagf"))+", want "+digestOf(data), true)
	if _, err := os.Stat(path); err != nil {
		t.Error("a file that is not ours was removed")
	}
	get(dir, digestOf(data), "image "+dir+": not a regular file", false)
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	get(fifo, digestOf(data), "image "+fifo+": not a regular file", false)
	if _, err := s.Get(t.Context(), path+"x", digestOf(data)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestStoreThatCannotBeWritten: what is in a cache can be used by who may only
// read it.
func TestStoreThatCannotBeWritten(t *testing.T) {
	data := []byte("image")
	for _, name := range []string{"with its record", "without its record", "damaged"} {
		t.Run(name, func(t *testing.T) {
			o := &origin{data: data}
			dir := t.TempDir()
			if _, err := (&Store{Dir: dir, HTTP: o.client()}).Get(t.Context(), imageURL, digestOf(data)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, digestOf(data))
			switch name {
			case "damaged":
				if err := os.WriteFile(path+".iso", []byte("imagf"), 0o644); err != nil {
					t.Fatal(err)
				}
				fallthrough
			case "without its record":
				if err := os.Remove(path + ".json"); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(os.Remove(path+".lock"), os.Symlink("/dev/null/x", path+".lock")); err != nil { // where not even root can make it
				t.Fatal(err)
			}
			_, err := (&Store{Dir: dir, HTTP: o.client()}).Get(t.Context(), imageURL, digestOf(data))
			if (err != nil) != (name == "damaged") || len(o.requests) != 1 {
				t.Errorf("%v, %d requests", err, len(o.requests))
			}
		})
	}
}

func TestStoreReplacesADamagedImage(t *testing.T) {
	o := &origin{data: []byte("image")}
	s := &Store{Dir: t.TempDir(), HTTP: o.client()}
	for range 2 {
		b, err := s.Get(t.Context(), imageURL, digestOf(o.data))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(b.Path); !bytes.Equal(got, o.data) {
			t.Errorf("file is %q", got)
		}
		if err := os.WriteFile(b.Path, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.requests) != 2 {
		t.Errorf("%d requests, want 2", len(o.requests))
	}
}

func TestContentRange(t *testing.T) {
	type got struct {
		first, total int64
		ok           bool
	}
	for in, want := range map[string]got{
		"bytes 5-9/10": {5, 10, true}, "bytes 5-9/*": {5, 0, true}, "bytes */10": {}, "": {}, "bytes 5-9": {}, "5-9/10": {}, "bytes x-9/10": {}, "bytes 5-9/x": {},
	} {
		first, total, ok := contentRange(in)
		if !ok {
			first, total = 0, 0
		}
		if g := (got{first, total, ok}); g != want {
			t.Errorf("%q: got %v, want %v", in, g, want)
		}
	}
}

// TestStoreOtherProcess: a process that gets an image keeps this one waiting,
// and when it is killed in mid-download this one goes on where it was.
func TestStoreOtherProcess(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(1, 4)), 1_000_000)
	if dir := os.Getenv("ISOHTTP_STORE_DIR"); dir != "" {
		o := &origin{data: data, etag: `"a"`, cuts: []int{500_000}, stalls: true}
		s := &Store{Dir: dir, HTTP: o.client(), Stall: time.Hour, OnProgress: func(p ImageProgress) {
			fmt.Println("downloading")
		}}
		_, err := s.Get(t.Context(), imageURL, digestOf(data))
		t.Fatal("survived: ", err)
	}
	dir := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoreOtherProcess$")
	other.Env = append(os.Environ(), "ISOHTTP_STORE_DIR="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "downloading\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	o := &origin{data: data, etag: `"a"`}
	s := &Store{Dir: dir, HTTP: o.client()}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, imageURL, digestOf(data)); !errors.Is(err, context.DeadlineExceeded) || len(o.requests) > 0 {
		t.Errorf("did not wait: %v, %q", err, o.requests)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	if _, err := s.Get(t.Context(), imageURL, digestOf(data)); err != nil {
		t.Error(err)
	}
	if len(o.requests) != 1 || !strings.HasPrefix(o.requests[0], "bytes=") {
		t.Errorf("requests: %q, want one that goes on", o.requests)
	}
}
