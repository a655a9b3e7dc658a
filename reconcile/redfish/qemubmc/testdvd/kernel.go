package testdvd

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// drivers are the modules that the installer loads, besides those they need: disks and CD drives of QEMU's PC, and
// the file system of a CD.
var drivers = []string{"virtio_pci", "virtio_blk", "ata_piix", "sd_mod", "sr_mod", "isofs"}

// A Kernel is an unpacked Linux kernel with its modules.
type Kernel struct {
	Image   string // path of the bzImage
	Modules string // folder with the *.ko files, at any depth
}

// DebianKernel finds the kernel of Debian's linux-image-cloud-amd64 unpacked in the folder dir, or fetches it there
// with apt-get download: nothing is installed. An empty dir means a folder in the user's cache. Several processes may
// ask at once.
func DebianKernel(ctx context.Context, dir string) (*Kernel, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("finding a folder for the kernel: %w", err)
		}
		dir = filepath.Join(cache, "metalcue", "testdvd-kernel")
	}
	k, err := unpackedKernel(dir)
	if err == nil {
		return k, nil
	}
	if err := fetchKernel(ctx, dir); err != nil {
		return nil, fmt.Errorf("fetching Debian's cloud kernel: %w", err)
	}
	return unpackedKernel(dir)
}

// unpackedKernel finds the kernel in a folder with the files of its package.
func unpackedKernel(dir string) (*Kernel, error) {
	images, _ := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*")) // the pattern is well-formed
	modules := filepath.Join(dir, "lib", "modules")
	if len(images) != 1 {
		return nil, fmt.Errorf("%s: %d kernels in boot, want 1", dir, len(images))
	}
	if _, err := os.Stat(modules); err != nil {
		return nil, fmt.Errorf("finding the kernel's modules: %w", err)
	}
	return &Kernel{Image: images[0], Modules: modules}, nil
}

// fetchKernel downloads and unpacks the package that the meta-package depends on. The folder appears at its place as
// a whole, so that another process finds all of it or nothing.
func fetchKernel(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	depends, err := run(ctx, tmp, "apt-cache", "depends", "--important", "linux-image-cloud-amd64")
	if err != nil {
		return err
	}
	var name string
	for line := range strings.Lines(string(depends)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok {
			name = rest
		}
	}
	if !strings.HasPrefix(name, "linux-image-") {
		return fmt.Errorf("linux-image-cloud-amd64 depends on no kernel: run apt-get update, on Debian 12 for amd64")
	}
	if _, err := run(ctx, tmp, "apt-get", "download", "-q", name); err != nil {
		return err
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb")) // the pattern is well-formed
	if len(debs) != 1 {
		return fmt.Errorf("apt-get download %s: %d packages came, want 1", name, len(debs))
	}
	files := filepath.Join(tmp, "files")
	if _, err := run(ctx, tmp, "dpkg-deb", "-x", debs[0], files); err != nil {
		return err
	}
	if err := os.Rename(files, dir); err != nil {
		if _, found := unpackedKernel(dir); found == nil {
			return nil // another process was faster
		}
		return err
	}
	return nil
}

// module is one file of the initial ramdisk.
type module struct {
	name string // as insmod's argument, without .ko
	data []byte
}

// modules reads the drivers and all they depend on, in the order in which they can be loaded.
func (k *Kernel) modules() ([]module, error) {
	paths := make(map[string]string)
	err := filepath.WalkDir(k.Modules, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, ok := strings.CutSuffix(d.Name(), ".ko"); ok {
			paths[strings.ReplaceAll(name, "-", "_")] = path
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing kernel modules: %w", err)
	}
	var order []module
	var add func(name string) error
	add = func(name string) error {
		if slices.ContainsFunc(order, func(m module) bool { return m.name == name }) {
			return nil
		}
		path, ok := paths[name]
		if !ok {
			return fmt.Errorf("kernel module %s: no uncompressed %s.ko under %s", name, name, k.Modules)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading kernel module: %w", err)
		}
		needs, err := dependencies(data)
		if err != nil {
			return fmt.Errorf("kernel module %s: %w", path, err)
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return fmt.Errorf("%s needs %w", name, err)
			}
		}
		order = append(order, module{name, data})
		return nil
	}
	for _, d := range drivers {
		if err := add(d); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// dependencies reads the depends= line of a module's .modinfo section.
func dependencies(ko []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("it has no .modinfo section")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	for line := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(line, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}

// run runs a program in a folder and returns what it prints; its complaints are in the error.
func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}
