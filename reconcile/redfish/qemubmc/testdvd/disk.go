package testdvd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Where the installer puts what on a disk, in sectors of 512 bytes. Keep in step with installer.sh.
const (
	sector       = 512
	labelSector  = 1    // one line that the disk's boot loaders print
	reportSector = 2    // lines "key value"
	answerSector = 64   // the answer file
	partSector   = 2048 // a FAT file system with a boot loader for UEFI
	partSectors  = 8192
)

// A Disk is what the installer left on a disk.
type Disk struct {
	Label    string // what the disk prints on the serial port when it boots: "installed: " and the host's name
	Answer   []byte // the answer file, as the installer read it from the CD
	Firmware string // "bios" or "uefi": what booted the installer
	Serial   string // the machine's serial number, as the installer's kernel read it from DMI
	Command  string // the installer's kernel command line
	Stage2   string // SHA-256 of stage 2 as it was read from the CD, hex
}

// ErrEmpty is the error for a disk that nothing was installed to.
var ErrEmpty = errors.New("nothing is installed on the disk")

// ReadDisk reads what the installer wrote to the disk whose raw image is at path. The answer file is held against the
// digest that the installer wrote. A disk without an installation is [ErrEmpty].
func ReadDisk(path string) (*Disk, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening disk: %w", err)
	}
	defer f.Close()
	head := make([]byte, partSector*sector)
	if n, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return nil, fmt.Errorf("reading disk %s: %d bytes: %w", path, n, err)
	}
	report, _, _ := bytes.Cut(head[reportSector*sector:answerSector*sector], []byte{0})
	lines := make(map[string]string)
	for line := range strings.Lines(string(report)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		lines[key] = value
	}
	if lines["metalcue-testdvd"] != "1" {
		return nil, fmt.Errorf("disk %s: %w", path, ErrEmpty)
	}
	size, err := strconv.Atoi(lines["answer-bytes"])
	if err != nil || size < 0 || size > (partSector-answerSector)*sector {
		return nil, fmt.Errorf("disk %s: answer file of %q bytes", path, lines["answer-bytes"])
	}
	answer := head[answerSector*sector:][:size]
	if sum := sha256.Sum256(answer); hex.EncodeToString(sum[:]) != lines["answer-sha256"] {
		return nil, fmt.Errorf("disk %s: the answer file's SHA-256 is %x, the installer's was %s", path, sum, lines["answer-sha256"])
	}
	label, _, _ := strings.Cut(string(head[labelSector*sector:reportSector*sector]), "\n")
	return &Disk{
		Label:    strings.TrimRight(label, " "),
		Answer:   answer,
		Firmware: lines["firmware"],
		Serial:   lines["serial"],
		Command:  lines["cmdline"],
		Stage2:   lines["stage2-sha256"],
	}, nil
}

// bootSector prints sector 1 on the screen and on the first serial port, and halts: all the operating system that a
// test needs to see that a disk boots. A PC's firmware loads it at 0x7c00 with the drive's number in DL.
var bootSector = []byte{
	0xfa,       //        cli
	0x31, 0xc0, //        xor ax, ax
	0x8e, 0xd8, //        mov ds, ax
	0x8e, 0xc0, //        mov es, ax
	0x8e, 0xd0, //        mov ss, ax
	0xbc, 0x00, 0x7c, //        mov sp, 0x7c00
	0xfb,             //        sti
	0xfc,             //        cld
	0xbe, 0x34, 0x7c, //        mov si, packet
	0xb4, 0x42, //        mov ah, 0x42            extended read
	0xcd, 0x13, //        int 0x13
	0x72, 0x1a, //        jc halt
	0xbe, 0x00, 0x7e, //        mov si, 0x7e00
	0xb9, 0x00, 0x02, //        mov cx, 512
	0xac,       // next:  lodsb
	0x50, 0x51, //        push ax; push cx
	0xb4, 0x0e, //        mov ah, 0x0e            teletype output
	0xbb, 0x07, 0x00, //        mov bx, 7
	0xcd, 0x10, //        int 0x10
	0x59, 0x58, //        pop cx; pop ax
	0xb4, 0x01, //        mov ah, 1               write a character
	0x31, 0xd2, //        xor dx, dx              to the first port
	0xcd, 0x14, //        int 0x14
	0xe2, 0xec, //        loop next
	0xf4,       // halt:  hlt
	0xeb, 0xfd, //        jmp halt
	0x10, 0, 1, 0, 0x00, 0x7e, 0, 0, labelSector, 0, 0, 0, 0, 0, 0, 0, // packet: one sector, to 0x7e00, from LBA 1
}

// diskGRUB is the configuration inside the disk's boot loader for UEFI. It prints sector 1 on the firmware's
// console, of which the serial port is a part, and goes back to the firmware, which has nothing else to boot and waits.
const diskGRUB = `cat (hd0)1+1
exit
`

// stage2 makes the image that the installer writes to the disk: it boots through BIOS and through UEFI.
func stage2(ctx context.Context, dir string) ([]byte, error) {
	fat := filepath.Join(dir, "disk.fat")
	loader, err := grub(ctx, dir, "disk", diskGRUB, "part_msdos", "fat", "cat", "minicmd", "normal")
	if err != nil {
		return nil, err
	}
	if err := writeFAT(ctx, fat, partSectors*sector, "DISK", map[string]string{"BOOTX64.EFI": loader}); err != nil {
		return nil, err
	}
	part, err := os.ReadFile(fat)
	if err != nil {
		return nil, fmt.Errorf("reading the disk's EFI partition: %w", err)
	}
	image := make([]byte, partSector*sector, partSector*sector+len(part))
	copy(image, bootSector)
	entry := image[446:462] // the first of the MBR's four partitions
	entry[0] = 0x80         // active: some firmware asks for it
	entry[4] = 0xef         // EFI system partition
	binary.LittleEndian.PutUint32(entry[8:], partSector)
	binary.LittleEndian.PutUint32(entry[12:], partSectors)
	image[510], image[511] = 0x55, 0xaa
	return append(image, part...), nil
}
