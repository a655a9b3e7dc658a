package bmctest

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bootCD starts the machine from a medium at the URL, once.
func (k *bench) bootCD() {
	k.t.Helper()
	sys := rootURI + "/Systems/1"
	k.must(http.MethodPost, sys+"/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", object{"Image": testISO})
	k.must(http.MethodPatch, sys, object{"Boot": object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}})
	k.must(http.MethodPost, sys+"/Actions/ComputerSystem.Reset", object{"ResetType": "On"})
}

func TestMachineInstalls(t *testing.T) {
	tests := []struct {
		name     string
		firmware Firmware
		fromTree bool
		options  isoOptions
	}{
		{"BIOS, isolinux", BIOS, false, isoOptions{}},
		{"UEFI, menu in the tree through a stub in the FAT", UEFI, false, isoOptions{}},
		{"UEFI, menu read from the tree", UEFI, true, isoOptions{esp: "stock"}},
		{"UEFI, menu in the FAT", UEFI, false, isoOptions{
			esp:   "set default=auto\nset timeout=1\nsearch --set=root --label TEST\nif [ -f /ks.cfg ]; then\nmenuentry \"x $root\" --id auto { linux ($root)/images/pxeboot/vmlinuz " + testArgs + "; initrd ($root)/images/pxeboot/initrd.img; }\nfi\n",
			files: map[string]string{"/EFI/BOOT/grub.cfg": "nothing"},
		}},
		{"BIOS, GRUB", BIOS, false, isoOptions{
			files: map[string]string{"/boot/grub2/grub.cfg": "set timeout=0\nmenuentry auto {\nlinux /images/pxeboot/vmlinuz " + testArgs + "\ninitrd /images/pxeboot/initrd.img\n}\n"},
			drop:  []string{"/isolinux/isolinux.cfg"},
		}},
		{"answer file named by cdrom", BIOS, false, isoOptions{files: map[string]string{
			"/isolinux/isolinux.cfg": "default a\nlabel a\nkernel vmlinuz\ninitrd initrd.img\nappend inst.stage2=hd:LABEL=TEST inst.ks=cdrom:/ks.cfg\n",
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{Firmware: tt.firmware, MenuFromTree: tt.fromTree, PostTime: 2 * time.Minute, InstallTime: 20 * time.Minute, BootTime: time.Minute, ShutdownTime: time.Second}
				k := newBench(t, &BMC{Machine: m}, patchedISO(t, tt.options))
				k.bootCD()
				began := time.Now()
				until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
				if took := time.Since(began); took < 22*time.Minute {
					t.Errorf("installed in %v, POST and installation alone take 22 minutes", took)
				}
				d, ok := m.Installed()
				if !ok || string(d.Answer) != testKickstart || d.AnswerPath != "/ks.cfg" || d.VolumeID != "TEST" || d.Medium != testISO {
					t.Fatalf("disk: %v %+v\n%s", ok, d, k.screen())
				}
				if d.Payload < 200<<10 || !strings.Contains(d.KernelArgs, "inst.stage2=hd:LABEL=TEST") {
					t.Errorf("payload %d, kernel arguments %q", d.Payload, d.KernelArgs)
				}
				k.must(http.MethodPost, rootURI+"/Systems/1/Actions/ComputerSystem.Reset", object{"ResetType": "On"})
				until(t, time.Hour, "the OS", func() bool { return m.Stage() == StageOS })
				if diff := cmp.Diff([]string{"cd " + testISO, "disk"}, m.Boots()); diff != "" {
					t.Errorf("boots (-want +got):\n%s", diff)
				}
				if m.Installs() != 1 {
					t.Errorf("installed %d times", m.Installs())
				}
			})
		})
	}
}

// TestMachineReadsLikeFirmware holds that media are asked for with HEAD first
// and then only in ranges, spread over the time that the installation takes.
func TestMachineReadsLikeFirmware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Machine{InstallTime: 30 * time.Minute, Chunk: 16 << 10}
		k := newBench(t, &BMC{Machine: m}, patchedISO(t, isoOptions{}))
		k.bootCD()
		until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
		log := k.media.requests()
		if log[0] != "HEAD" {
			t.Errorf("the first request is %q", log[0])
		}
		for _, r := range log {
			if r != "HEAD" && !strings.HasPrefix(r, "GET ") {
				t.Errorf("a request without a range: %q", r)
			}
		}
		times := k.media.times
		for i, from := range []time.Duration{5, 15, 25} {
			count := 0
			for _, at := range times {
				if d := at.Sub(times[0]); d >= from*time.Minute && d < (from+5)*time.Minute {
					count++
				}
			}
			if count < 2 {
				t.Errorf("window %d: %d reads between minute %d and %d of %d in all", i, count, from, from+5, len(times))
			}
		}
	})
}

func TestMachineStaysOn(t *testing.T) {
	ks := func(from, to string) isoOptions {
		return isoOptions{files: map[string]string{"/ks.cfg": strings.Replace(testKickstart, from, to, 1)}}
	}
	menu := func(text string) isoOptions {
		return isoOptions{files: map[string]string{"/isolinux/isolinux.cfg": text}}
	}
	entry := func(args string) isoOptions {
		return menu("default a\nlabel a\nkernel vmlinuz\nappend initrd=initrd.img " + args + "\n")
	}
	tests := []struct {
		name    string
		options isoOptions
		habits  Habits
		console string
	}{
		{"no final command", ks("poweroff\n", ""), Habits{}, "complete, halt"},
		{"halt", ks("poweroff\n", "halt\n"), Habits{}, "complete, halt"},
		{"section not closed", ks("%end\npoweroff", "poweroff"), Habits{}, "not closed"},
		{"nothing about disks", ks("autopart\n", ""), Habits{}, "nothing is said about disks"},
		{"template residue", ks("text\n", "lang {{ .Vars.lang }}\n"), Habits{}, "line 1: lang: not a kickstart command"},
		{"another machine's serial", ks("SN-1", "SN-11"), Habits{}, `serial number ["SN-1" "SIM-1"] is not the one`},
		{"menu waits", menu("ui vesamenu.c32\nlabel a\nkernel vmlinuz\n"), Habits{}, "the menu has no timeout"},
		{"default without label", menu("default b\nlabel a\nkernel vmlinuz\n"), Habits{}, `no label "b"`},
		{"no answer file named", entry("inst.stage2=hd:LABEL=TEST"), Habits{}, "the interactive installer waits"},
		{"answer file on another label", entry("inst.ks=hd:LABEL=OTHER:/ks.cfg"), Habits{}, `no medium is labelled "OTHER"`},
		{"answer file is not there", entry("inst.ks=hd:LABEL=TEST:/kickstart"), Habits{}, "reading the answer file"},
		{"media check", entry("inst.ks=hd:LABEL=TEST:/ks.cfg rd.live.check"), Habits{}, "media check"},
		{"question", isoOptions{}, Habits{HangsInInstaller: true}, "a question is asked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{Firmware: BIOS, PostTime: time.Minute, InstallTime: 10 * time.Minute, Habits: tt.habits}
				k := newBench(t, &BMC{Machine: m}, patchedISO(t, tt.options))
				k.bootCD()
				time.Sleep(24 * time.Hour)
				if k.bmc.Power() != On {
					t.Errorf("power is %s after a day", k.bmc.Power())
				}
				if !strings.Contains(k.screen(), tt.console) {
					t.Errorf("want %q; machine is %s", tt.console, k.screen())
				}
			})
		})
	}
}

// TestStockMediumWaits boots an unpatched DVD: both menus end in the check of
// the medium, and nothing is installed.
func TestStockMediumWaits(t *testing.T) {
	for _, firmware := range []Firmware{BIOS, UEFI} {
		t.Run(string(firmware), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{Firmware: firmware}
				k := newBench(t, &BMC{Machine: m}, stockISO(t))
				k.bootCD()
				time.Sleep(24 * time.Hour)
				if k.bmc.Power() != On || m.Installs() != 0 || !strings.Contains(k.screen(), "rd.live.check") {
					t.Errorf("power %s, %d installs, %s", k.bmc.Power(), m.Installs(), k.screen())
				}
			})
		})
	}
}

func TestMachineHabits(t *testing.T) {
	tests := []struct {
		name   string
		habits Habits
		final  string
		want   func(t *testing.T, k *bench)
	}{
		{"loses power in the middle", Habits{PowersOffEarly: true}, "poweroff", func(t *testing.T, k *bench) {
			until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
			if _, ok := k.bmc.Machine.Installed(); ok {
				t.Error("the disk is said to bear an OS")
			}
		}},
		{"never boots the CD", Habits{NeverBootsCD: true}, "poweroff", func(t *testing.T, k *bench) {
			time.Sleep(time.Hour)
			if diff := cmp.Diff([]string{"nothing"}, k.bmc.Machine.Boots()); diff != "" {
				t.Errorf("boots:\n%s", diff)
			}
		}},
		{"reboots into the CD again and again", Habits{IgnoresBootOnce: true, RebootsOnly: true}, "poweroff", func(t *testing.T, k *bench) {
			until(t, 3*time.Hour, "a second installation", func() bool { return k.bmc.Machine.Installs() > 1 })
		}},
		{"reboots into the installed OS", Habits{}, "reboot", func(t *testing.T, k *bench) {
			until(t, time.Hour, "the OS", func() bool { return k.bmc.Machine.Stage() == StageOS })
			if diff := cmp.Diff([]string{"cd " + testISO, "disk"}, k.bmc.Machine.Boots()); diff != "" {
				t.Errorf("boots:\n%s", diff)
			}
		}},
		{"does not come up", Habits{NeverComesUp: true}, "reboot", func(t *testing.T, k *bench) {
			time.Sleep(time.Hour)
			if k.bmc.Machine.Stage() != StageStuck || k.bmc.Power() != On {
				t.Error(k.screen())
			}
		}},
		{"power reads Off for a moment", Habits{FlickersOff: 20 * time.Second}, "poweroff", func(t *testing.T, k *bench) {
			until(t, time.Hour, "a flicker", func() bool { return k.bmc.Power() == Off })
			until(t, time.Minute, "its end", func() bool { return k.bmc.Power() == On })
			until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
			if _, ok := k.bmc.Machine.Installed(); !ok {
				t.Error(k.screen())
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{PostTime: time.Minute, InstallTime: 20 * time.Minute, BootTime: time.Minute, Habits: tt.habits}
				image := patchedISO(t, isoOptions{files: map[string]string{"/ks.cfg": strings.Replace(testKickstart, "poweroff\n", tt.final+"\n", 1)}})
				k := newBench(t, &BMC{Machine: m}, image)
				k.bootCD()
				tt.want(t, k)
			})
		})
	}
}

// TestLoopBreaker boots a medium whose menu leaves for the local disk.
func TestLoopBreaker(t *testing.T) {
	grub := "set default=0\nset timeout=0\nmenuentry 'local' {\n\tif [ \"$grub_platform\" = \"efi\" ]; then\n\t\tfor v in redhat rocky; do\n\t\t\tfor a in x64 aa64; do\n" +
		"\t\t\t\tif search --no-floppy --set=root --file /EFI/$v/shim$a.efi; then\n\t\t\t\t\tchainloader ($root)/EFI/$v/shim$a.efi\n\t\t\t\t\tboot\n\t\t\t\tfi\n\t\t\tdone\n\t\tdone\n\t\texit 1\n\tfi\n\tset root=(hd0)\n\tchainloader +1\n}\n"
	image := isoOptions{files: map[string]string{"/EFI/BOOT/grub.cfg": grub, "/isolinux/isolinux.cfg": "default local\nprompt 0\nlabel local\n localboot -1\n"}}
	for _, firmware := range []Firmware{BIOS, UEFI} {
		t.Run(string(firmware), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{Firmware: firmware, Disk: &Disk{}, Habits: Habits{IgnoresBootOnce: true}}
				k := newBench(t, &BMC{Machine: m}, patchedISO(t, image))
				k.bootCD()
				until(t, time.Hour, "the OS", func() bool { return m.Stage() == StageOS })
				if m.Installs() != 0 {
					t.Error("something was installed")
				}
			})
		})
	}
}

// TestMediumLost holds that a medium which cannot be read any more leaves the
// machine on, and that a patient machine goes on once it can be.
func TestMediumLost(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patience time.Duration
		status   int
		want     Power
	}{
		{"impatient", 0, http.StatusServiceUnavailable, On},
		{"patient", time.Hour, http.StatusServiceUnavailable, Off},
		{"gone for good", time.Hour, http.StatusNotFound, On},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{InstallTime: 10 * time.Minute, Chunk: 8 << 10, Patience: tt.patience}
				image := patchedISO(t, isoOptions{})
				k := newBench(t, &BMC{Machine: m}, image)
				k.bootCD()
				time.Sleep(5 * time.Minute)
				k.media.set(nil, tt.status)
				time.Sleep(10 * time.Minute)
				k.media.set(image, 0)
				time.Sleep(time.Hour)
				if got := k.bmc.Power(); got != tt.want {
					t.Errorf("power %s, want %s; %s", got, tt.want, k.screen())
				}
			})
		})
	}
}

func TestDialContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Machine{Disk: &Disk{}, BootTime: time.Minute, Ports: []int{22, 80}}
		k := newBench(t, &BMC{Machine: m}, nil)
		ctx := t.Context()
		if _, err := m.DialContext(ctx, "tcp", "192.0.2.7:22"); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("dialling a machine that is off: %v", err)
		}
		k.must(http.MethodPost, rootURI+"/Systems/1/Actions/ComputerSystem.Reset", object{"ResetType": "On"})
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := m.DialContext(short, "tcp", "192.0.2.7:22"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dialling a machine that boots: %v", err)
		}
		until(t, time.Hour, "the OS", func() bool { return m.Stage() == StageOS })
		c, err := m.DialContext(ctx, "tcp", "192.0.2.7:22")
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "SSH-2.0-") {
			t.Errorf("port 22 greets with %q, %v", line, err)
		}
		c.Close()
		if _, err := m.DialContext(ctx, "tcp", "192.0.2.7:5432"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling a closed port: %v", err)
		}
		tr := &http.Transport{DialContext: m.DialContext, DisableKeepAlives: true}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr}).Get("http://192.0.2.7/")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("GET: %v %v", resp, err)
		} else {
			resp.Body.Close()
		}
		k.must(http.MethodPost, rootURI+"/Systems/1/Actions/ComputerSystem.Reset", object{"ResetType": "GracefulShutdown"})
		until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
		var op *net.OpError
		if _, err := m.DialContext(ctx, "tcp", "192.0.2.7:22"); !errors.As(err, &op) {
			t.Errorf("dialling after shutdown: %v", err)
		}
	})
}
