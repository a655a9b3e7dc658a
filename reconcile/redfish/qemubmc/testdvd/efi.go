package testdvd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// grub makes a GRUB for UEFI out of Debian's modules and returns its path. Its prefix is /EFI/BOOT on the medium that
// the firmware started it from, as that of the RHEL family is. A config that is not empty runs first.
func grub(ctx context.Context, dir, name, config string, modules ...string) (string, error) {
	path := filepath.Join(dir, name+".efi")
	args := []string{"-O", "x86_64-efi", "-p", "/EFI/BOOT", "-o", path}
	if config != "" {
		file := filepath.Join(dir, name+".cfg")
		if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
			return "", fmt.Errorf("writing GRUB's configuration: %w", err)
		}
		args = append(args, "-c", file)
	}
	if _, err := run(ctx, dir, "grub-mkimage", append(args, modules...)...); err != nil {
		return "", fmt.Errorf("making GRUB (packages grub-common, grub-efi-amd64-bin): %w", err)
	}
	return path, nil
}

// writeFAT makes a FAT file system of size bytes with the files in /EFI/BOOT: names there, and their paths here.
func writeFAT(ctx context.Context, path string, size int, label string, files map[string]string) error {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return fmt.Errorf("creating FAT image: %w", err)
	}
	if err := os.Truncate(path, int64(size)); err != nil {
		return fmt.Errorf("creating FAT image: %w", err)
	}
	dir := filepath.Dir(path)
	steps := [][]string{
		{"mformat", "-i", path, "-v", label, "-N", "00000000", "-T", strconv.Itoa(size / sector), "::"},
		{"mmd", "-i", path, "::/EFI", "::/EFI/BOOT"},
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		steps = append(steps, []string{"mcopy", "-i", path, files[name], "::/EFI/BOOT/" + name})
	}
	for _, s := range steps {
		if _, err := run(ctx, dir, s[0], s[1:]...); err != nil {
			return fmt.Errorf("filling FAT image (package mtools): %w", err)
		}
	}
	return nil
}
