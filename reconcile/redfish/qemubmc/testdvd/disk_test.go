package testdvd

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// image is a disk with a label, a report and an answer file at their places.
func image(label, report, answer string) []byte {
	b := make([]byte, partSector*sector)
	copy(b[labelSector*sector:], label)
	copy(b[reportSector*sector:], report)
	copy(b[answerSector*sector:], answer)
	return b
}

func TestReadDisk(t *testing.T) {
	const answer = "text\npoweroff\n"
	report := fmt.Sprintf("metalcue-testdvd 1\nanswer-bytes %d\nanswer-sha256 %x\nfirmware uefi\nserial SN 1\ncmdline a=b c\nstage2-sha256 00ff\n",
		len(answer), sha256.Sum256([]byte(answer)))
	for _, test := range []struct {
		name  string
		image []byte
		want  *Disk
		err   string // in the error
	}{
		{
			"installed", image("installed: db-01   \n", report, answer),
			&Disk{Label: "installed: db-01", Answer: []byte(answer), Firmware: "uefi", Serial: "SN 1", Command: "a=b c", Stage2: "00ff"}, "",
		},
		{"empty", image("", "", ""), nil, ErrEmpty.Error()},
		{"of no length", nil, nil, ErrEmpty.Error()},
		{"damaged answer file", image("", report, "text\nreboot\n"), nil, "SHA-256"},
		{"absurd length", image("", strings.Replace(report, "bytes 14", "bytes 9999999999", 1), answer), nil, `"9999999999" bytes`},
		{"negative length", image("", strings.Replace(report, "bytes 14", "bytes -1", 1), answer), nil, `"-1" bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk.img")
			if err := os.WriteFile(path, test.image, 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := ReadDisk(path)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error is %v, want %q in it", err, test.err)
				}
				if errors.Is(err, ErrEmpty) != (test.err == ErrEmpty.Error()) {
					t.Errorf("errors.Is(%v, ErrEmpty) is wrong", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("disk (-want +got):\n%s", diff)
			}
		})
	}
}
