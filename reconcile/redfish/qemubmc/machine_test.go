//go:build system

package qemubmc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc"
	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc/testdvd"
)

// limit is how long a machine may take for anything here: it takes half a minute on an idle core.
const limit = 5 * time.Minute

// kickstart is an answer file that identifies its host, chooses a disk and powers off.
const kickstart = `text
network --bootproto=static --ip=192.0.2.10 --hostname=db-01
%include /tmp/disk.ks
%pre --erroronfail --interpreter=/bin/bash
set -euo pipefail
read -r serial </sys/class/dmi/id/product_serial
[[ ${serial,,} == sn-0001 ]]
disk=$(lsblk -dnrbo NAME,TYPE,RM,RO,SIZE | awk '$2 == "disk" && $3 == 0 && $4 == 0 && $5 >= 16000000000 { print $1 }')
echo "ignoredisk --only-use=$disk" >/tmp/disk.ks
%end
%packages
reboot
%end
poweroff
`

// unattended is a DVD that installs without asking.
func unattended(answer string) testdvd.DVD {
	return testdvd.DVD{Unattended: &testdvd.Unattended{Answer: []byte(answer), KernelArgs: "metalcue.test=1 console=ttyS0"}}
}

// serve offers a DVD over HTTP and counts the ranges that are asked for.
func serve(t *testing.T, dvd testdvd.DVD) (url string, ranges *atomic.Int64) {
	t.Helper()
	iso := filepath.Join(t.TempDir(), "dvd.iso")
	if err := dvd.Write(t.Context(), iso); err != nil {
		t.Fatal(err)
	}
	ranges = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			ranges.Add(1)
		}
		http.ServeFile(w, r, iso)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/dvd.iso", ranges
}

// newMachine has the folder of the test and prints its console if the test fails.
func newMachine(t *testing.T, firmware qemubmc.Firmware) *qemubmc.Machine {
	t.Helper()
	m := &qemubmc.Machine{Dir: t.TempDir(), Firmware: firmware, Serial: "SN-0001"}
	t.Cleanup(func() {
		m.Close()
		if t.Failed() {
			t.Logf("boots: %q, console:\n%s", m.Boots(), m.Console())
		}
	})
	return m
}

// once is a BMC's one-time override: the CD at the first boot, then the machine's own order.
func once(m *qemubmc.Machine, url string) func() bmctest.Boot {
	m.Insert(url)
	var used atomic.Bool
	return func() bmctest.Boot {
		if used.Swap(true) {
			return bmctest.Boot{Medium: url}
		}
		return bmctest.Boot{Device: "Cd", Medium: url}
	}
}

// await polls until the machine has come to a stage.
func await(t *testing.T, m *qemubmc.Machine, want bmctest.Stage) {
	t.Helper()
	poll(t, func() bool { return m.Stage() == want }, "stage "+string(want))
}

// poll asks until the answer is yes.
func poll(t *testing.T, yes func() bool, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

// An installation that Redfish starts, through each firmware, reads the medium in ranges, leaves the answer file on the
// disk and powers the machine off; the disk then boots through the same firmware.
func TestInstall(t *testing.T) {
	t.Parallel()
	for _, firmware := range []qemubmc.Firmware{qemubmc.BIOS, qemubmc.UEFI} {
		t.Run(string(firmware), func(t *testing.T) {
			t.Parallel()
			url, ranges := serve(t, unattended(kickstart))
			m := newMachine(t, firmware)
			bmc := &bmctest.BMC{Backend: m, Serial: m.Serial}
			t.Cleanup(bmc.Close)
			client := &redfish.Client{Address: "bmc.example", Transport: bmc.Transport()}
			perform(t, client.Eject,
				func(ctx context.Context) error { return client.Insert(ctx, url) },
				client.BootOnce,
				func(ctx context.Context) error { return client.SetPower(ctx, redfish.On) })
			await(t, m, bmctest.StageInstaller)
			if err := m.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := m.Stage(); got != bmctest.StageOff {
				t.Errorf("stage after the installation is %s", got)
			}
			if got, err := client.Power(t.Context()); err != nil || got != redfish.Off {
				t.Errorf("PowerState is %s (%v), want %s", got, err, redfish.Off)
			}
			checkDisk(t, m, firmware)
			if ranges.Load() < 20 {
				t.Errorf("medium was read in %d ranges", ranges.Load())
			}

			perform(t, client.Eject, func(ctx context.Context) error { return client.SetPower(ctx, redfish.On) })
			await(t, m, bmctest.StageOS)
			perform(t, func(ctx context.Context) error { return client.SetPower(ctx, redfish.Off) })
			if got := m.Stage(); got != bmctest.StageOff {
				t.Errorf("stage after power off is %s", got)
			}
			boots := []string{"cd " + url + " " + string(firmware), "disk " + string(firmware)}
			if diff := cmp.Diff(boots, m.Boots()); diff != "" {
				t.Errorf("boots (-want +got):\n%s", diff)
			}
		})
	}
}

// perform does one thing after the other.
func perform(t *testing.T, steps ...func(context.Context) error) {
	t.Helper()
	for i, step := range steps {
		if err := step(t.Context()); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// checkDisk holds what is on the disk against what kickstart says.
func checkDisk(t *testing.T, m *qemubmc.Machine, firmware qemubmc.Firmware) {
	t.Helper()
	disk, err := testdvd.ReadDisk(m.Disk())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kickstart, string(disk.Answer)); diff != "" {
		t.Errorf("answer file on the disk (-want +got):\n%s", diff)
	}
	if disk.Label != "installed: db-01" || disk.Firmware != string(firmware) || disk.Serial != "SN-0001" {
		t.Errorf("disk is %q by %q on %q", disk.Label, disk.Firmware, disk.Serial)
	}
	want := "inst.stage2=hd:LABEL=Rocky-9-6-x86_64-dvd inst.ks=hd:LABEL=Rocky-9-6-x86_64-dvd:/ks.cfg metalcue.test=1"
	if !strings.Contains(disk.Command, want) {
		t.Errorf("kernel arguments are %q, want %q in them", disk.Command, want)
	}
}

// What the installer cannot do leaves the machine on, and says why.
func TestStaysOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, answer, want string }{
		{"no end", strings.Replace(kickstart, "\npoweroff\n", "\n", 1), "does not say how to end"},
		{"another serial", strings.Replace(kickstart, "sn-0001", "sn-0002", 1), "%pre ended with status 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, unattended(test.answer))
			m := newMachine(t, qemubmc.BIOS)
			if err := m.PowerOn(once(m, url)); err != nil {
				t.Fatal(err)
			}
			await(t, m, bmctest.StageStuck)
			if got := m.Console(); !strings.Contains(got, test.want) {
				t.Errorf("console does not say %q", test.want)
			}
		})
	}
}

// A stock DVD boots through each firmware, and installs nothing: after a minute its menu tests the medium.
func TestStockMenu(t *testing.T) {
	t.Parallel()
	for _, firmware := range []qemubmc.Firmware{qemubmc.BIOS, qemubmc.UEFI} {
		t.Run(string(firmware), func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, testdvd.DVD{})
			m := newMachine(t, firmware)
			if err := m.PowerOn(once(m, url)); err != nil {
				t.Fatal(err)
			}
			await(t, m, bmctest.StageStuck)
			if want := "rd.live.check quiet\n"; !strings.Contains(strings.ReplaceAll(m.Console(), "\r", ""), want) {
				t.Errorf("console does not show %q", want)
			}
			if _, err := testdvd.ReadDisk(m.Disk()); !errors.Is(err, testdvd.ErrEmpty) {
				t.Errorf("reading the disk: %v, want %v", err, testdvd.ErrEmpty)
			}
		})
	}
}

// A guest that resets itself boots again, and the override is gone by then.
func TestReboot(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, unattended(strings.Replace(kickstart, "\npoweroff\n", "\nreboot\n", 1)))
	m := newMachine(t, qemubmc.BIOS)
	if err := m.PowerOn(once(m, url)); err != nil {
		t.Fatal(err)
	}
	await(t, m, bmctest.StageOS)
	if got, want := m.Boots(), []string{"cd " + url + " bios", "disk bios"}; !slices.Equal(got, want) {
		t.Errorf("boots are %q, want %q", got, want)
	}
	if !strings.Contains(m.Console(), "installed: db-01") {
		t.Error("the disk did not boot")
	}
}

// A medium that cannot be read is as if there were none: the machine stays on with nothing to boot.
func TestUnreadableMedium(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	m := newMachine(t, qemubmc.BIOS)
	if err := m.PowerOn(once(m, server.URL+"/gone.iso")); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool { return strings.Contains(m.Console(), "404") }, "the answer of the media server on the console")
	if got := m.Stage(); got == bmctest.StageOff {
		t.Error("the machine powered off, want it to stay on")
	}
	if err := m.PowerOff(); err != nil {
		t.Fatal(err)
	}
	if _, err := testdvd.ReadDisk(m.Disk()); !errors.Is(err, testdvd.ErrEmpty) {
		t.Errorf("reading the disk: %v, want %v", err, testdvd.ErrEmpty)
	}
}
