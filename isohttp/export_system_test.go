//go:build system && linux

package isohttp

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExportSharesBlocks exports on file systems that can share blocks between
// files: an image takes hardly any room beside its base, although its patches
// begin and end anywhere. Where mounting is not allowed, as in a container
// without privileges, TestExportSteps has to do.
func TestExportSharesBlocks(t *testing.T) {
	if !mayMount(t) {
		t.Skip("this process lacks CAP_SYS_ADMIN")
	}
	for _, mkfs := range [][]string{{"mkfs.xfs", "-q", "-m", "reflink=1"}, {"mkfs.btrfs", "-q"}} {
		t.Run(mkfs[0], func(t *testing.T) {
			dir := mount(t, mkfs)
			r := rand.New(rand.NewPCG(8, 11))
			data := randomBytes(r, 64<<20)
			v := patch(r, data, 10)
			path := filepath.Join(dir, "base.iso")
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			before := used(t, dir)
			out := filepath.Join(dir, "out.iso")
			if err := Export(t.Context(), out, v, Base{Path: path, Size: int64(len(data))}); err != nil {
				t.Fatal(err)
			}
			if took := used(t, dir) - before; took > 8<<20 {
				t.Errorf("an image of %d bytes took %d", v.Size(), took)
			}
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, v.bytes) {
				t.Errorf("%d bytes, %v, or other ones than the view's", len(got), err)
			}
		})
	}
}

// mayMount reports whether this process may mount file systems.
func mayMount(t *testing.T) bool {
	t.Helper()
	var set [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &set[0]); err != nil {
		t.Fatal(err)
	}
	return set[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// mount makes a file system in a file.
func mount(t *testing.T, mkfs []string) string {
	t.Helper()
	tmp := t.TempDir()
	image, dir := filepath.Join(tmp, "fs"), filepath.Join(tmp, "mnt")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(512 << 20); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{append(mkfs, image), {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir
}

// used is how many bytes of a file system are taken.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}
