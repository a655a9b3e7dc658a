package bmctest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestInsertRules(t *testing.T) {
	image := patchedISO(t, isoOptions{})
	tests := []struct {
		name   string
		quirks Quirks
		body   object
		want   int
	}{
		{"plain", Quirks{}, object{"Image": testISO}, 204},
		{"no image", Quirks{}, object{}, 400},
		{"unknown parameter", Quirks{}, object{"Image": testISO, "Speed": 1}, 400},
		{"no licence", Quirks{NoMediaLicence: true}, object{"Image": testISO}, 403},
		{"protocol missing", Quirks{NeedProtocolType: true}, object{"Image": testISO}, 400},
		{"protocol given", Quirks{NeedProtocolType: true}, object{"Image": testISO, "TransferProtocolType": "HTTPS"}, 204},
		{"login missing", Quirks{NeedLogin: true}, object{"Image": testISO}, 400},
		{"not streamed", Quirks{StreamOnly: true}, object{"Image": testISO, "TransferMethod": "Upload"}, 400},
		{"too long", Quirks{MaxURL: 30}, object{"Image": testISO}, 400},
		{"no suffix", Quirks{NeedISOSuffix: true}, object{"Image": "https://media.example/a.img"}, 400},
		{"no host", Quirks{}, object{"Image": "/a.iso"}, 400},
		{"task", Quirks{InsertByTask: true, InsertLag: time.Second}, object{"Image": testISO}, 202},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBench(t, &BMC{Quirks: &tt.quirks}, image)
				status, _, out := k.do("POST", genericDrive+"/Actions/VirtualMedia.InsertMedia", tt.body)
				if status != tt.want {
					t.Errorf("%d %v, want %d", status, out, tt.want)
				}
				if tt.quirks.InsertLag > 0 && k.bmc.Inserted() != "" {
					t.Error("inserted at once")
				}
				time.Sleep(tt.quirks.InsertLag)
				if got := k.bmc.Inserted() != ""; got != (tt.want/100 == 2) {
					t.Errorf("inserted: %v after %d", got, status)
				}
			})
		})
	}
}

// TestBootOptions reads the label that an installation gave to its boot entry.
func TestBootOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ks := strings.Replace(testKickstart, "poweroff\n", "%post\nefibootmgr -c -d /dev/sda -L \"rc1:abc\"\n%end\npoweroff\n", 1)
		k := newBench(t, &BMC{Machine: &Machine{PostTime: time.Minute}}, patchedISO(t, isoOptions{files: map[string]string{"/ks.cfg": ks}}))
		labels := func() (all []string) {
			members, _ := k.get(genericSystem + "/BootOptions")["Members"].([]any)
			for _, m := range members {
				all = append(all, k.get(m.(object)["@odata.id"].(string))["DisplayName"].(string))
			}
			return all
		}
		k.bootCD()
		until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
		if got := labels(); len(got) != 1 {
			t.Errorf("before the next start: %q", got)
		}
		k.must("POST", genericReset, object{"ResetType": "On"})
		until(t, time.Hour, "the OS", func() bool { return k.bmc.Machine.Stage() == StageOS })
		if got := labels(); len(got) != 2 || got[1] != "rc1:abc" {
			t.Errorf("after it: %q", got)
		}
	})
}

// TestTask follows the task of an insertion to its end.
func TestTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newBench(t, &BMC{Quirks: &Quirks{InsertByTask: true, InsertLag: 5 * time.Second, TaskHost: "https://elsewhere.example"}}, patchedISO(t, isoOptions{}))
		status, h, _ := k.do("POST", genericDrive+"/Actions/VirtualMedia.InsertMedia", object{"Image": testISO})
		monitor, ours := strings.CutPrefix(h.Get("Location"), "https://elsewhere.example")
		if status != 202 || !ours {
			t.Fatalf("%d, Location %q", status, h.Get("Location"))
		}
		for i, want := range []int{202, 204, 404} {
			if i > 0 {
				time.Sleep(5 * time.Second)
			}
			if status, _, _ := k.do("GET", monitor, nil); status != want {
				t.Errorf("monitor, read %d: %d, want %d", i, status, want)
			}
		}
		if got := k.get(tasksURI + "/Tasks/1")["TaskState"]; got != "Completed" {
			t.Errorf("task is %v", got)
		}
	})
}

// TestInsertTwice holds that a drive must be emptied first, and given time.
func TestInsertTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newBench(t, &BMC{Quirks: &Quirks{EjectLag: time.Second}}, patchedISO(t, isoOptions{}))
		insert, eject := genericDrive+"/Actions/VirtualMedia.InsertMedia", genericDrive+"/Actions/VirtualMedia.EjectMedia"
		for i, step := range []struct {
			path string
			wait time.Duration
			want int
		}{
			{insert, 0, 204}, {insert, 0, 400}, {eject, 0, 204}, {insert, 2 * time.Second, 500}, {insert, 0, 204}, {eject, 0, 204}, {eject, 0, 204},
		} {
			if status, _, out := k.do("POST", step.path, object{"Image": testISO}); status != step.want && step.path == insert {
				t.Errorf("step %d: %d %v, want %d", i, status, out, step.want)
			}
			time.Sleep(step.wait)
		}
	})
}
