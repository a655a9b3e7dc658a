package redfish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

const isoURL = "https://media.example/i/AAAAAAAAAAAAAAAAAAAAAA/web-01.iso"

// TestTaskElsewhere: an accepted insert whose task or monitor is said to be on
// another host: nothing is asked there.
func TestTaskElsewhere(t *testing.T) {
	for _, answer := range []struct{ location, body string }{
		{"https://evil.example/redfish/v1/TaskService/Tasks/1", `{}`},
		{"//evil.example/x", ``},
		{"", `{"@odata.id":"https://evil.example/redfish/v1/TaskService/Tasks/1"}`},
		{"", `{"@odata.id":"@evil.example/x"}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			rec := &recorder{next: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.Header().Set("Location", answer.location)
					w.WriteHeader(http.StatusAccepted)
					_, _ = io.WriteString(w, answer.body)
					return
				}
				plain.ServeHTTP(w, r)
			})}}
			c := &redfish.Client{Address: "bmc.example", Login: login, Transport: rec}
			if err := c.Insert(t.Context(), isoURL); !errors.Is(err, redfish.ErrNoEffect) || !errors.Is(err, redfish.ErrForeign) {
				t.Errorf("error %v, want ErrNoEffect and ErrForeign", err)
			}
			checkNothingLeft(t, rec)
		})
	}
}

// TestTaskExplains: the task of a failed insert gives its reason; an absolute
// URI of the BMC's own is followed.
func TestTaskExplains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		task := "/redfish/v1/TaskService/Tasks/9"
		bmc := plain.with(resources{task: `{"TaskState":"Exception","Messages":[{"MessageId":"IDRAC.2.8.RAC0904","Message":"the remote image cannot be reached"}]}`})
		c := &redfish.Client{Address: "bmc.example", Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.Header().Set("Location", "https://bmc.example"+task)
				w.WriteHeader(http.StatusAccepted)
				return
			}
			bmc.ServeHTTP(w, r)
		})}}
		err := c.Insert(t.Context(), isoURL)
		if !errors.Is(err, redfish.ErrNoEffect) || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("error %v, want the task's words", err)
		}
	})
}

// slots is a BMC with drives that behave as told.
type slots struct {
	mu     sync.Mutex
	drives map[string]*drive
	log    []string // payloads of inserts
}

type drive struct {
	image    string
	noInsert bool                                    // offers no InsertMedia
	insert   func(body map[string]any) (int, string) // status and message ID; 0 inserts
}

func (s *slots) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const base = "/redfish/v1/Systems/1/VirtualMedia"
	s.mu.Lock()
	defer s.mu.Unlock()
	id, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, base+"/"), "/Actions/VirtualMedia.")
	d := s.drives[id]
	switch {
	case r.URL.Path == base:
		var members []string
		for id := range s.drives {
			members = append(members, fmt.Sprintf(`{"@odata.id":"%s/%s"}`, base, id))
		}
		_, _ = fmt.Fprintf(w, `{"@odata.id":"/redfish/v1/Systems/1/VirtualMedia","Members":[%s]}`, strings.Join(members, ","))
	case !strings.HasPrefix(r.URL.Path, base) || d == nil:
		plain.ServeHTTP(w, r)
	case r.Method == http.MethodGet:
		actions := fmt.Sprintf(`"#VirtualMedia.EjectMedia":{"target":"%s/%s/Actions/VirtualMedia.EjectMedia"}`, base, id)
		if !d.noInsert {
			actions += fmt.Sprintf(`,"#VirtualMedia.InsertMedia":{"target":"%s/%s/Actions/VirtualMedia.InsertMedia"}`, base, id)
		}
		_, _ = fmt.Fprintf(w, `{"@odata.id":%q,"Id":%q,"MediaTypes":["CD"],"Inserted":%v,"Image":%q,"Actions":{%s}}`, r.URL.Path, id, d.image != "", d.image, actions)
	case action == "EjectMedia":
		d.image = ""
	case action == "InsertMedia":
		body, _ := io.ReadAll(r.Body) // in memory
		var p map[string]any
		_ = json.Unmarshal(body, &p)
		s.log = append(s.log, id+" "+string(body))
		if d.insert != nil {
			if status, message := d.insert(p); status != 0 {
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.8.%s"}]}}`, message)
				return
			}
		}
		d.image, _ = p["Image"].(string)
	}
}

func refusing(status int, message string) func(map[string]any) (int, string) {
	return func(map[string]any) (int, string) { return status, message }
}

// TestSlots: which drive an image goes into, and what the BMC is sent.
func TestSlots(t *testing.T) {
	for _, test := range []struct {
		name   string
		drives map[string]*drive
		sent   string // slots and the number of parameters, in order
		into   string
		err    string
	}{
		{"first of several", map[string]*drive{"2": {}, "10": {}}, "2:1", "2", ""},
		{"vKVM slot refuses", map[string]*drive{"1": {insert: refusing(405, "OperationNotAllowed")}, "2": {}}, "1:1 2:1", "2", ""},
		{"slot refuses the parameters", map[string]*drive{"1": {insert: refusing(400, "ActionNotSupported")}, "2": {}}, "1:1 2:1", "2", ""},
		{"proxy slot", map[string]*drive{"Slot_0": {noInsert: true}, "USB1": {}}, "USB1:1", "USB1", ""},
		{"occupied", map[string]*drive{"1": {image: "https://media.example/other.iso"}, "2": {}}, "2:1", "2", ""},
		{"all occupied", map[string]*drive{"1": {image: "https://media.example/other.iso"}}, "", "", "eject it first"},
		{"there already", map[string]*drive{"1": {}, "2": {image: isoURL}}, "", "2", ""},
		{"protocol missing", map[string]*drive{"1": {insert: needs("TransferProtocolType")}}, "1:1 1:2", "1", ""},
		{"everything missing", map[string]*drive{"1": {insert: needs("TransferProtocolType", "TransferMethod", "UserName", "Password")}}, "1:1 1:2 1:3 1:5", "1", ""},
		{"busy at first", map[string]*drive{"1": {insert: times(2, 500, "InternalError")}}, "1:1 1:1 1:1", "1", ""},
		{"busy for ever", map[string]*drive{"1": {insert: refusing(500, "InternalError")}, "2": {}}, "1:1 1:1 1:1 1:1", "", "InternalError"},
		{"not allowed", map[string]*drive{"1": {insert: refusing(403, "InsufficientPrivilege")}, "2": {}}, "1:1", "", "InsufficientPrivilege"},
		{"accepted in vain", map[string]*drive{"1": {insert: refusing(202, "x")}, "2": {insert: refusing(202, "x")}, "3": {}}, "1:1 2:1", "", "without effect"},
		{"only a proxy", map[string]*drive{"Slot_0": {noInsert: true}}, "", "", "no virtual CD or DVD slot"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slots{drives: test.drives}
				c := &redfish.Client{Address: "bmc.example", Transport: inProcess{s}}
				err := c.Insert(t.Context(), isoURL)
				if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				var sent []string
				for _, l := range s.log {
					id, body, _ := strings.Cut(l, " ")
					sent = append(sent, fmt.Sprintf("%s:%d", id, strings.Count(body, `":`)))
				}
				if got := strings.Join(sent, " "); got != test.sent {
					t.Errorf("sent %q (%v), want %q", got, s.log, test.sent)
				}
				for id, d := range test.drives {
					if (d.image == isoURL) != (id == test.into) {
						t.Errorf("slot %s holds %q", id, d.image)
					}
				}
				if err := c.Eject(t.Context()); err != nil {
					t.Errorf("ejecting: %v", err)
				}
				for id, d := range test.drives {
					if d.image != "" {
						t.Errorf("after the eject slot %s holds %q", id, d.image)
					}
				}
			})
		})
	}
}

// needs refuses until all parameters are there, naming one that is missing.
func needs(parameters ...string) func(map[string]any) (int, string) {
	return func(body map[string]any) (int, string) {
		for _, p := range parameters {
			if body[p] == nil {
				return http.StatusBadRequest, "ActionParameterMissing"
			}
		}
		return 0, ""
	}
}

func times(n, status int, message string) func(map[string]any) (int, string) {
	return func(map[string]any) (int, string) {
		if n--; n >= 0 {
			return status, message
		}
		return 0, ""
	}
}

// TestMediumURL: URLs that no BMC could use, or this one cannot, are refused
// before anything is sent that writes.
func TestMediumURL(t *testing.T) {
	for _, test := range []struct {
		url    string
		vendor bmctest.Vendor
		want   string
	}{
		{"http://media.example/a.iso", bmctest.OpenBMC, "only by https"},
		{"https://media.example/a.iso?token=1", bmctest.Generic, "no query"},
		{"https://media.example/a.img", bmctest.Generic, ".iso"},
		{"https://u:p@media.example/a.iso", bmctest.Generic, "plain one"},
		{"smb://media.example/a.iso", bmctest.Generic, "not by smb"},
		{"/a.iso", bmctest.Generic, "plain one"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(test.vendor)
			if err := r.client.Insert(t.Context(), test.url); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want %q", test.url, err, test.want)
			}
			for _, q := range r.bmc.Requests() {
				if q.Method != http.MethodGet {
					t.Errorf("%s: sent %s %s", test.url, q.Method, q.Path)
				}
			}
		})
	}
}

// TestSlotsGone: a BMC that restarted and took its slots away gets them back.
func TestSlotsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(bmctest.DGX)
		ctx := t.Context()
		if err := r.client.Insert(ctx, isoURL); err != nil {
			t.Fatal(err)
		}
		if err := r.client.Eject(ctx); err != nil {
			t.Fatal(err)
		}
		fresh := newRig(bmctest.DGX) // the same machine, remote media off again
		again := &redfish.Client{Address: "bmc.example", Login: login, Locations: r.client.Locations, Transport: fresh.bmc.Transport()}
		if err := again.Insert(ctx, isoURL); err != nil {
			t.Fatal(err)
		}
		if got := fresh.bmc.Inserted(); got != isoURL {
			t.Errorf("inserted %q", got)
		}
	})
}

// TestSystems: which of several systems is driven.
func TestSystems(t *testing.T) {
	reset := `"Actions":{"#ComputerSystem.Reset":{"target":"/r"}}`
	for _, test := range []struct {
		name, system string
		members      map[string]string
		want, err    string
	}{
		{"one without Reset", "", map[string]string{"Only": `{"Id":"Only","SerialNumber":"only"}`}, "only", ""},
		{"host and baseboard", "", map[string]string{"A": `{"Id":"HGX_Baseboard_0",` + reset + `}`, "B": `{"Id":"System_0","SerialNumber":"b",` + reset + `}`}, "b", ""},
		{"host and DPU", "", map[string]string{"A": `{"Id":"A","SystemType":"DPU",` + reset + `}`, "B": `{"Id":"B","SerialNumber":"b",` + reset + `}`}, "b", ""},
		{"two hosts", "", map[string]string{"A": `{"Id":"A",` + reset + `}`, "B": `{"Id":"B",` + reset + `}`}, "", "set bmc.system to one of A, B"},
		{"two hosts, named", "B", map[string]string{"A": `{"Id":"A",` + reset + `}`, "B": `{"Id":"B","SerialNumber":"b",` + reset + `}`}, "b", ""},
		{"named by URI", "/redfish/v1/Systems/B", map[string]string{"A": `{"Id":"A",` + reset + `}`, "B": `{"Id":"B","SerialNumber":"b",` + reset + `}`}, "b", ""},
		{"named wrongly", "C", map[string]string{"A": `{"Id":"A",` + reset + `}`, "B": `{"Id":"B",` + reset + `}`}, "", `no system "C"; there are A, B`},
		{"the only one named wrongly", "C", map[string]string{"A": `{"Id":"A",` + reset + `}`}, "", `no system "C"`},
		{"none", "", nil, "", "no members"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := plain.with(nil)
			var members []string
			for id, body := range test.members {
				m["/redfish/v1/Systems/"+id] = strings.Replace(body, "{", `{"@odata.id":"/redfish/v1/Systems/`+id+`",`, 1)
				members = append(members, fmt.Sprintf(`{"@odata.id":"/redfish/v1/Systems/%s"}`, id))
			}
			slices.Sort(members)
			m["/redfish/v1/Systems"] = `{"@odata.id":"/redfish/v1/Systems","Members":[` + strings.Join(members, ",") + `]}`
			c := &redfish.Client{Address: "bmc.example", System: test.system, Transport: inProcess{m}}
			s, err := c.Observe(t.Context())
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || s.Serial != test.want {
				t.Errorf("system %+v, error %v; want serial %q", s, err, test.want)
			}
		})
	}
}

// TestTurns: methods called at once take turns.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(bmctest.Generic)
		r.bmc.Latency = time.Second
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := r.client.Power(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := r.bmc.Concurrency(); n != 1 {
			t.Errorf("%d requests at a time, want 1", n)
		}
	})
}
