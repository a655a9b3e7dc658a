package netboxtest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Load seeds the server from recorded answers: files named as the endpoints
// whose lists they hold ("dcim.devices.json"), and "status.json" for the
// version. It fills the tables that it finds files for and leaves the others.
func (s *Server) Load(fsys fs.FS) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if data, err := fs.ReadFile(fsys, "status.json"); err == nil {
		var status struct {
			Version string `json:"netbox-version"`
		}
		if err := json.Unmarshal(data, &status); err != nil {
			return fmt.Errorf("netboxtest: status.json: %w", err)
		}
		if s.st == nil && s.Version == "" {
			s.Version = status.Version
		}
	}
	st := s.state()
	for endpoint := range kinds {
		name := strings.ReplaceAll(endpoint, "/", ".") + ".json"
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			continue
		}
		if err := st.load(endpoint, data); err != nil {
			return fmt.Errorf("netboxtest: %s: %w", name, err)
		}
	}
	st.loadTags()
	st.changed()
	return nil
}

func (st *state) load(endpoint string, data []byte) error {
	var page struct{ Results []raw }
	if err := json.Unmarshal(data, &page); err != nil {
		return err
	}
	t := &table{}
	for _, item := range page.Results {
		o, err := parseObject(item)
		if err != nil {
			return err
		}
		t.insert(o)
	}
	slices.SortFunc(t.rows, func(a, b *object) int { return a.id - b.id })
	st.tables[endpoint] = t
	return nil
}

// loadTags gives the tags, sites, roles, tenants and platforms that loaded
// devices bear to the tables that nothing was recorded for, so that filters
// by them are valid.
func (st *state) loadTags() {
	missing := func(endpoint, slug string) bool { return slug != "" && !st.exists(endpoint, slug, false) }
	for _, o := range st.tables["dcim/devices"].rows {
		for _, slug := range slugs(o.get("tags")) {
			if missing("extras/tags", slug) {
				st.tag(slug)
			}
		}
		if slug := o.text("site", "slug"); missing("dcim/sites", slug) {
			st.site(slug)
		}
		if slug := o.text("role", "slug"); missing("dcim/device-roles", slug) {
			st.role(slug)
		}
		if slug := o.text("tenant", "slug"); missing("tenancy/tenants", slug) {
			st.tenant(slug)
		}
		if slug := o.text("platform", "slug"); missing("dcim/platforms", slug) {
			st.platform(slug)
		}
	}
}

// Add adds a device to a server in use.
func (s *Server) Add(d Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state().addDevice(d)
	s.st.changed()
}

// Remove deletes a device by name, and reports whether it was there. Its
// interfaces and addresses stay.
func (s *Server) Remove(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state().device(name)
	if o == nil {
		return false
	}
	s.st.changed()
	return s.st.tables["dcim/devices"].remove(o.id)
}

// Set changes values of a device by hand, as a person in the web interface
// does: serial, status, platform, tags (slugs), custom_fields … in the form
// that a PATCH has. It reports what NetBox would have refused.
func (s *Server) Set(name string, values map[string]any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state().device(name)
	if o == nil {
		return fmt.Errorf("netboxtest: no device %q", name)
	}
	in := make(map[string]raw, len(values))
	for key, v := range values {
		in[key] = encode(v)
	}
	changed, problems := s.st.patched(o, in)
	if problems != nil {
		return fmt.Errorf("netboxtest: device %q: %s", name, encode(problems))
	}
	o.vals = changed.vals
	s.st.changed()
	return nil
}

// Object returns a device as NetBox would send it now, or nil.
func (s *Server) Object(name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state().device(name)
	if o == nil {
		return nil
	}
	var m map[string]any
	_ = json.Unmarshal(o.bytes(), &m)
	return m
}

// Journal returns the entries of a device's journal, oldest first.
func (s *Server) Journal(name string) []JournalEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	device := s.state().device(name)
	if device == nil {
		return nil
	}
	var out []JournalEntry
	for _, o := range s.st.tables["extras/journal-entries"].rows {
		e := JournalEntry{ID: o.id, Kind: o.text("kind", "value"), Comments: o.text("comments", "")}
		_ = json.Unmarshal(o.get("assigned_object_id"), &e.DeviceID)
		e.Created, _ = time.Parse(time.RFC3339, o.text("created", ""))
		if e.DeviceID == device.id {
			out = append(out, e)
		}
	}
	return out
}

// AddJournal adds an entry to the journal of a device.
func (s *Server) AddJournal(name string, e JournalEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	device := s.state().device(name)
	if device == nil {
		return fmt.Errorf("netboxtest: no device %q", name)
	}
	s.st.addJournal(e, device)
	return nil
}

// device finds a device by its name, whatever the case.
func (st *state) device(name string) *object {
	for _, o := range st.tables["dcim/devices"].rows {
		if strings.EqualFold(o.text("name", ""), name) {
			return o
		}
	}
	return nil
}
