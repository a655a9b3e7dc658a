// Package testdvd makes installer DVDs for tests: laid out like the DVD of Rocky Linux 9, with real boot loaders and a
// real kernel, and an installer small enough to run under emulation in seconds.
//
// Everything on it comes from Debian packages and the tools of .ci/packages.txt: ISOLINUX and GRUB boot it, Debian's
// cloud kernel drives it, and the installer is a BusyBox shell script (installer.sh) that stands in for Anaconda. It
//
//   - takes inst.stage2= and inst.ks=hd:LABEL=<volume id>:<path> from the kernel's command line,
//   - finds the CD by its volume id, and the answer file on it,
//   - holds stage 2 against the checksum in .treeinfo, and reads every package,
//   - runs the answer file's %pre sections, which may identify the host and choose the disk: with BusyBox, and with real
//     bash and lsblk,
//   - writes stage 2, which is a bootable disk image, to the disk of ignoredisk --only-use, or else to the first one,
//     and beside it the answer file and a report,
//   - and ends as the answer file says: poweroff (or halt, shutdown), reboot, or not at all.
//
// What it cannot do it says on the serial port, and stays on, as Anaconda does: no answer file, a media check that the
// menu asks for, a CD that is not found, a wrong checksum, a %pre section that fails.
//
// [ReadDisk] tells what the installer left on a disk.
package testdvd
