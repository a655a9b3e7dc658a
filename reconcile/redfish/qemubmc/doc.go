// Package qemubmc puts QEMU behind a simulated BMC: a [Machine] is a [bmctest.Backend] whose firmware is SeaBIOS or
// OVMF, whose CD drive reads its medium from a URL in ranges as a BMC's virtual media does, and whose operating system
// is whatever boots.
//
//	dvd := testdvd.DVD{}
//	err := dvd.Write(ctx, iso) // a stock DVD: to be patched and served by whoever is tested
//	m := &qemubmc.Machine{Dir: t.TempDir(), Firmware: qemubmc.UEFI, Serial: "SN-1"}
//	t.Cleanup(m.Close)
//	bmc := &bmctest.BMC{Backend: m, Serial: "SN-1"}
//	… // install through bmc
//	disk, err := testdvd.ReadDisk(m.Disk()) // disk.Answer is the answer file
//
// From then on Redfish drives it: InsertMedia gives the URL, a reset with a CD override boots it. A guest that powers
// itself off is seen as [bmctest.StageOff]; one that resets itself boots again, and the BMC is asked what.
//
// It needs no KVM: a small kernel boots under TCG in a few seconds on one core. Needed are the Debian packages
// qemu-system-x86, qemu-block-extra (media over HTTP) and ovmf. The package testdvd makes media for it, and reads what
// an installation left in [Machine.Disk].
package qemubmc
