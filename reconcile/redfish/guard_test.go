package redfish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

const password = "correct-horse-battery"

var login = credential.Login{Username: "admin", Password: password}

// checkNothingLeft fails if any request went, or carried a login, elsewhere.
func checkNothingLeft(t *testing.T, rec *recorder) {
	t.Helper()
	for _, s := range rec.all() {
		if s.host != "bmc.example" || s.scheme != "https" || s.user != "" {
			t.Errorf("sent %s %s://%s@%s%s (authorization %t, token %t)", s.method, s.scheme, s.user, s.host, s.path, s.auth != "", s.token != "")
		}
	}
}

// TestForeignLinks: wherever a BMC puts a link to another host, or one that a
// careless join would turn into one, nothing is sent there.
func TestForeignLinks(t *testing.T) {
	system := plain["/redfish/v1/Systems/1"]
	places := map[string]func(link string) resources{
		"systems": func(l string) resources {
			return plain.with(resources{"/redfish/v1/": fmt.Sprintf(`{"Systems":{"@odata.id":%q}}`, l)})
		},
		"member": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems": fmt.Sprintf(`{"Members":[{"@odata.id":%q}]}`, l)})
		},
		"next page": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems": fmt.Sprintf(`{"Members":[{"@odata.id":"/redfish/v1/Systems/1"}],"Members@odata.nextLink":%q}`, l)})
		},
		"manager": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems/1": strings.Replace(system, "/redfish/v1/Managers/1", l, 1)})
		},
		"chassis": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems/1": strings.Replace(system, "/redfish/v1/Chassis/1", l, 1)})
		},
		"settings": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems/1": strings.Replace(system, `"Id"`,
				fmt.Sprintf(`"@Redfish.Settings":{"SettingsObject":{"@odata.id":%q}},"Id"`, l), 1)})
		},
		"slots": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems/1": strings.Replace(system, "/redfish/v1/Systems/1/VirtualMedia", l, 1)})
		},
		"reset target": func(l string) resources {
			return plain.with(resources{"/redfish/v1/Systems/1": strings.Replace(strings.Replace(system,
				"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", l, 1), `"Off"`, `"On"`, 1)})
		},
		"insert target": func(l string) resources {
			slot := "/redfish/v1/Systems/1/VirtualMedia/Cd"
			return plain.with(resources{slot: strings.Replace(plain[slot], slot+"/Actions/VirtualMedia.InsertMedia", l, 1)})
		},
	}
	links := []string{
		"@evil.example/x", "//evil.example/x", "https://evil.example/redfish/v1/Systems/1", "http://bmc.example/redfish/v1/Systems/1",
		"https://bmc.example:8443/x", "https://admin:pw@bmc.example/redfish/v1/Systems/1", "https://bmc.example@evil.example/x",
		":443@evil.example/x", "mailto:evil", "/redfish/v1/../../evil", "relative/path", "/\\evil.example/x", "/a\r\nHost: evil.example",
	}
	for place, build := range places {
		for _, link := range links {
			t.Run(place+" "+link, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					quoted := fmt.Sprintf("%q", link)
					rec := &recorder{next: inProcess{build(quoted[1 : len(quoted)-1])}}
					if place == "systems" || place == "member" || place == "next page" || place == "settings" {
						rec.next = inProcess{build(link)}
					}
					c := &redfish.Client{Address: "bmc.example", Login: login, Transport: rec}
					_, err := c.Observe(t.Context())
					if err == nil && strings.HasSuffix(place, "target") {
						if place == "reset target" {
							err = c.SetPower(t.Context(), redfish.Off)
						} else {
							err = c.Insert(t.Context(), "https://media.example/i/t/h.iso")
						}
					}
					if !errors.Is(err, redfish.ErrForeign) {
						t.Errorf("error %v, want ErrForeign", err)
					}
					checkNothingLeft(t, rec)
				})
			})
		}
	}
}

// TestRedirects: to another origin none is followed, on the BMC itself only
// those of reads are.
func TestRedirects(t *testing.T) {
	for _, test := range []struct {
		name, to string
		status   int
		want     error
	}{
		{"other host", "https://evil.example/redfish/v1/Systems", 307, redfish.ErrForeign},
		{"other host moved", "https://evil.example/redfish/v1/Systems", 301, redfish.ErrForeign},
		{"other port", "https://bmc.example:444/redfish/v1/Systems", 308, redfish.ErrForeign},
		{"plain http", "http://bmc.example/redfish/v1/Systems", 302, redfish.ErrForeign},
		{"userinfo", "https://a:b@bmc.example/redfish/v1/Systems", 302, redfish.ErrForeign},
		{"scheme relative", "//evil.example/redfish/v1/Systems", 307, redfish.ErrForeign},
		{"loop", "/redfish/v1/", 302, redfish.ErrUnsupported},
		{"alias", "/redfish/v1/Aliased", 308, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := &recorder{}
			rec.next = inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/redfish/v1/":
					w.Header().Set("Location", test.to)
					w.WriteHeader(test.status)
				case "/redfish/v1/Aliased":
					_, _ = io.WriteString(w, plain["/redfish/v1/"])
				default:
					plain.ServeHTTP(w, r)
				}
			})}
			c := &redfish.Client{Address: "bmc.example", Login: login, Transport: rec}
			_, err := c.Observe(t.Context())
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			checkNothingLeft(t, rec)
		})
	}
}

// TestSessionElsewhere: neither a redirected session request, which holds the
// password, nor the deletion of a session with a foreign Location leaves.
func TestSessionElsewhere(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		rec := &recorder{next: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://evil.example"+r.URL.Path)
			w.WriteHeader(status)
		})}}
		c := &redfish.Client{Address: "bmc.example", Login: login, Session: true, Transport: rec}
		if _, err := c.Observe(t.Context()); !errors.Is(err, redfish.ErrForeign) {
			t.Errorf("redirect %d: error %v, want ErrForeign", status, err)
		}
		checkNothingLeft(t, rec)
	}
	rec := &recorder{next: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("X-Auth-Token", "token-1234567890")
			w.Header().Set("Location", "https://evil.example/redfish/v1/SessionService/Sessions/1")
			w.WriteHeader(http.StatusCreated)
			return
		}
		plain.ServeHTTP(w, r)
	})}}
	c := &redfish.Client{Address: "bmc.example", Login: login, Session: true, Transport: rec}
	if _, err := c.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); !errors.Is(err, redfish.ErrForeign) {
		t.Errorf("closing: error %v, want ErrForeign", err)
	}
	checkNothingLeft(t, rec)
}

// TestBounded: an endless answer ends with an error.
func TestBounded(t *testing.T) {
	c := &redfish.Client{Address: "bmc.example", Transport: transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(endless{})}, nil
	})}
	_, err := c.Observe(t.Context())
	if err == nil || !strings.Contains(err.Error(), "larger than 8 MiB") {
		t.Errorf("error %v, want one about the size", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRetries: reads are repeated as the BMC asks, and only so often; wrong
// logins are not repeated at all.
func TestRetries(t *testing.T) {
	for _, test := range []struct {
		name     string
		failures int
		fail     func(w http.ResponseWriter) // nil: the connection breaks
		want     error                       // nil: success
		requests int                         // of the service root
		took     time.Duration
	}{
		{"busy twice", 2, busy("7"), nil, 3, 14 * time.Second},
		{"asks for an hour", 1, busy("3600"), nil, 2, time.Minute},
		{"asks for nonsense", 1, busy("soon"), nil, 2, time.Second},
		{"busy for ever", 99, busy("5"), &redfish.Error{}, 4, 15 * time.Second},
		{"broken three times", 3, nil, nil, 4, 7 * time.Second},
		{"broken for ever", 99, nil, redfish.ErrUnreachable, 4, 7 * time.Second},
		{"wrong login", 99, refuse(401), redfish.ErrAuth, 1, 0},
		{"forbidden", 99, refuse(403), redfish.ErrPrivilege, 1, 0},
		{"not there", 99, refuse(404), redfish.ErrUnsupported, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				roots := 0
				c := &redfish.Client{Address: "bmc.example", Login: login, Transport: transport(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path == "/redfish/v1/" {
						if roots++; roots <= test.failures {
							if test.fail == nil {
								return nil, errors.New("connection reset by peer")
							}
							return inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { test.fail(w) })}.RoundTrip(r)
						}
					}
					return inProcess{plain}.RoundTrip(r)
				})}
				begin := time.Now()
				_, err := c.Observe(t.Context())
				var answer *redfish.Error
				if _, any := test.want.(*redfish.Error); any {
					if !errors.As(err, &answer) || !answer.Temporary() {
						t.Errorf("error %v, want a temporary answer", err)
					}
				} else if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if roots != test.requests || time.Since(begin) != test.took {
					t.Errorf("%d requests in %v, want %d in %v", roots, time.Since(begin), test.requests, test.took)
				}
			})
		})
	}
}

func busy(after string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", after)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func refuse(status int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(status) }
}

// TestCancel: a context that ends while a BMC does not answer, or is being
// waited for, ends the call with its cause.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stopped by hand")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := &redfish.Client{Address: "bmc.example", Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		time.AfterFunc(5*time.Second, func() { cancel(stop) })
		begin := time.Now()
		if _, err := c.Observe(ctx); !errors.Is(err, stop) || time.Since(begin) != 5*time.Second {
			t.Errorf("error %v after %v, want %v after 5s", err, time.Since(begin), stop)
		}
	})
}

// TestSilentBMC: a BMC that accepts and never answers is unreachable after the
// time set, not hung.
func TestSilentBMC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &redfish.Client{Address: "bmc.example", Timing: redfish.Timing{Request: 10 * time.Second},
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
		if _, err := c.Observe(t.Context()); !errors.Is(err, redfish.ErrUnreachable) {
			t.Errorf("error %v, want ErrUnreachable", err)
		}
	})
}

// TestSecretsStayOut: a BMC that repeats the login in its answers does not get
// it into errors.
func TestSecretsStayOut(t *testing.T) {
	rec := &recorder{next: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.0.%s","Message":"login %s, header %s\u001b[2J","MessageArgs":[%q]}]}}`,
			password, password, r.Header.Get("Authorization"), password)
	})}}
	c := &redfish.Client{Address: "bmc.example", Login: login, Transport: rec}
	_, err := c.Observe(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, secret := range []string{password, strings.TrimPrefix(rec.all()[0].auth, "Basic "), "\x1b"} {
		if secret == "" || strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v %#v", err, err), secret) {
			t.Errorf("error %q holds %q", err, secret)
		}
	}
}

// TestAddress: what is taken for an address and what is not.
func TestAddress(t *testing.T) {
	for _, test := range []struct{ address, host, err string }{
		{"10.0.0.1", "10.0.0.1", ""},
		{"bmc.example:8443", "bmc.example:8443", ""},
		{"https://BMC.example/", "bmc.example", ""},
		{"2001:db8::1", "[2001:db8::1]", ""},
		{"fe80::1%eth0", "[fe80::1%eth0]", ""},
		{"[2001:db8::1]:444", "[2001:db8::1]:444", ""},
		{"http://127.0.0.1:8000", "127.0.0.1:8000", ""},
		{"", "", "no BMC address"},
		{"http://10.0.0.1", "", "in the clear"},
		{"https://root:calvin@10.0.0.1", "", "holds a login"},
		{"https://10.0.0.1/redfish/v1", "", "only scheme, host and port"},
		{"ssh://10.0.0.1", "", "not https"},
		{"https://10.0.0.1?x=1", "", "only scheme, host and port"},
	} {
		t.Run(test.address, func(t *testing.T) {
			rec := &recorder{next: inProcess{plain}}
			c := &redfish.Client{Address: test.address, Login: login, Transport: rec}
			_, err := c.Observe(t.Context())
			if test.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if got := rec.all()[0].host; got != test.host {
					t.Errorf("host %q, want %q", got, test.host)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "calvin") {
				t.Errorf("error %v, want one with %q and no password", err, test.err)
			}
			if len(rec.all()) != 0 {
				t.Errorf("sent %v", rec.all())
			}
		})
	}
}

// TestOneLine: errors are one line, however many things were tried.
func TestOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slots{drives: map[string]*drive{"1": {insert: refusing(400, "ActionNotSupported")}, "2": {insert: refusing(405, "OperationNotAllowed")}}}
		c := &redfish.Client{Address: "bmc.example", Transport: inProcess{s}}
		err := c.Insert(t.Context(), isoURL)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "slot 1") || !strings.Contains(err.Error(), "slot 2") {
			t.Errorf("error %q, want one line that names both slots", err)
		}
		var answer *redfish.Error
		if !errors.As(err, &answer) || answer.Status != 400 {
			t.Errorf("no answer in %v", err)
		}
	})
}
