// Package record keeps what a run did, in files: for the person who asks
// afterwards what was done to a machine, and for programs.
//
//	DIR/20261121T120000Z-k3j2x7q/      one folder for each run
//	    run.jsonl                      plan, events and report, as -o json prints them; no progress
//	    hosts/db-01/                   one folder for each host that was worked on
//	        rendered/iso/ks.cfg        what its media differ in from the stock image: "iso" and "efi";
//	                                   names of secrets stand where these were
//	        requests.jsonl             what its BMC was asked: method, path, status, duration; no bodies
//	        reads.jsonl                how the reading of its media went on, phase by phase
//	        outcome.json               what became of it
//
// Everything is written as it happens, a line in one write, so that a run that
// is killed leaves whole lines up to that moment. Files are for their owner
// alone. The same calls write the same bytes.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/report"
)

// A Run is the record of one run. Its methods are safe for concurrent use, and
// do nothing on a nil Run. What cannot be written does not stop a run: the
// first such error is what Close returns.
type Run struct {
	dir string

	mu    sync.Mutex
	log   *os.File
	hosts map[string]*host
	err   error
}

// A host is the record of one host's install.
type host struct {
	dir      string
	requests *os.File
	reads    *os.File
	last     isohttp.Progress // the last that reads tells of
}

// Create makes the folder of a run below dir, which may be there already.
func Create(dir string, started time.Time, run string) (*Run, error) {
	r := &Run{dir: filepath.Join(dir, started.UTC().Format("20060102T150405Z")+"-"+run), hosts: map[string]*host{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording the run: %w", err)
	}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording the run: %w", err)
	}
	var err error
	if r.log, err = create(filepath.Join(r.dir, "run.jsonl")); err != nil {
		return nil, fmt.Errorf("recording the run: %w", err)
	}
	return r, nil
}

// Dir is the folder of the run.
func (r *Run) Dir() string { return r.dir }

// Plan records what is to be done.
func (r *Run) Plan(p *reconcile.Plan) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(r.log, report.Line{Type: report.TypePlan, Plan: p})
}

// Event records what happened. Progress goes to the host's reads.
func (r *Run) Event(e reconcile.Event) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind == reconcile.Progressed {
		r.progress(e)
		return
	}
	r.write(r.log, report.Line{Type: report.TypeEvent, Event: &e})
	if e.Host == "" {
		return
	}
	switch e.Kind {
	case reconcile.Started:
		r.of(e.Host)
	case reconcile.Finished, reconcile.Failed, reconcile.Left, reconcile.NotStarted:
		r.outcome(reconcile.Outcome{Host: e.Host, Result: reconcile.Result(e.Text), Step: e.Step, Reason: e.Error, Finished: e.At, Media: e.Progress})
	}
}

// Rendered records what a host's media differ in; secrets must be replaced.
func (r *Run) Rendered(name string, files []reconcile.RenderedFile) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.of(name)
	if h == nil {
		return
	}
	for _, f := range files {
		path, efi := strings.CutPrefix(f.Name, "/EFI image:")
		tree := map[bool]string{false: "iso", true: "efi"}[efi]
		local := filepath.FromSlash(strings.TrimPrefix(path, "/"))
		if !filepath.IsLocal(local) {
			r.fail(fmt.Errorf("%s: %q is no path on an image", name, f.Name))
			continue
		}
		to := filepath.Join(h.dir, "rendered", tree, local)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			r.fail(err)
			return
		}
		r.fail(os.WriteFile(to, f.Data, 0o600))
	}
}

// Request records a request to the BMC of a host that is worked on; looking at
// all others leaves no record.
func (r *Run) Request(name string, q redfish.Request) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.hosts[name]; h != nil {
		r.write(h.requests, struct {
			At     time.Time `json:"at"`
			Method string    `json:"method"`
			Path   string    `json:"path"`
			Status int       `json:"status,omitempty"`
			TookMS int64     `json:"tookMs"`
			Error  string    `json:"error,omitempty"`
		}{q.At.UTC(), q.Method, q.Path, q.Status, q.Took.Milliseconds(), q.Error})
	}
}

// Report records what became of the run, and of each host.
func (r *Run) Report(rep *reconcile.Report) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(r.log, report.Line{Type: report.TypeReport, Report: rep})
	for _, o := range rep.Outcomes {
		r.outcome(o)
	}
}

// Close ends the record and returns the first error that it met.
func (r *Run) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.close(r.log)
	for _, h := range r.hosts {
		if h != nil {
			r.close(h.requests)
			r.close(h.reads)
		}
	}
	if r.err != nil {
		return fmt.Errorf("recording the run in %s: %w", r.dir, r.err)
	}
	return nil
}

func (r *Run) close(f *os.File) { r.fail(errors.Join(f.Sync(), f.Close())) }

// of returns a host's record, which it begins where it is new; nil if that is
// not possible.
func (r *Run) of(name string) *host {
	if h, ok := r.hosts[name]; ok {
		return h
	}
	r.hosts[name] = nil
	if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
		r.fail(fmt.Errorf("%q is no name of a host", name))
		return nil
	}
	h := &host{dir: filepath.Join(r.dir, "hosts", name)}
	err := os.MkdirAll(h.dir, 0o700)
	if err == nil {
		h.requests, err = create(filepath.Join(h.dir, "requests.jsonl"))
	}
	if err == nil {
		h.reads, err = create(filepath.Join(h.dir, "reads.jsonl"))
	}
	if err != nil {
		r.fail(err)
		return nil
	}
	r.hosts[name] = h
	return h
}

// progress records how far the media were read, when that is worth a line:
// another hundredth of them, or a phase that begins.
func (r *Run) progress(e reconcile.Event) {
	h := r.of(e.Host)
	if h == nil || e.Progress == nil {
		return
	}
	p := *e.Progress
	if p.Furthest() == h.last.Furthest() && p.Reloads == h.last.Reloads && (p.Distinct-h.last.Distinct)*100 < p.Size {
		return
	}
	h.last = p
	r.write(h.reads, struct {
		At       time.Time               `json:"at"`
		Furthest isohttp.Phase           `json:"furthest"`
		Bytes    int64                   `json:"bytes"`
		Distinct int64                   `json:"distinct"`
		Size     int64                   `json:"size"`
		Rate     int64                   `json:"rate"`
		Reloads  int                     `json:"reloads"`
		Phases   []isohttp.PhaseProgress `json:"phases"`
	}{e.At.UTC(), p.Furthest(), p.Bytes, p.Distinct, p.Size, p.Rate, p.Reloads, p.Phases})
}

// outcome writes what became of a host that was worked on, whole or not at all.
func (r *Run) outcome(o reconcile.Outcome) {
	h := r.hosts[o.Host]
	if h == nil {
		return
	}
	b, err := json.MarshalIndent(o, "", "  ")
	if err == nil {
		name := filepath.Join(h.dir, "outcome.json")
		if err = os.WriteFile(name+".new", append(b, '\n'), 0o600); err == nil {
			err = os.Rename(name+".new", name)
		}
	}
	r.fail(errors.Join(err, h.requests.Sync(), h.reads.Sync(), r.log.Sync()))
}

// write appends one line with one write.
func (r *Run) write(f *os.File, line any) {
	b, err := json.Marshal(line)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
	}
	r.fail(err)
}

func (r *Run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func create(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
}
