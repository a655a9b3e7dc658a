package answer

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// An entry is one choice of a boot menu: a kernel with its arguments.
type entry struct {
	title  string
	linux  string   // GRUB's word for it: "linux" or "linuxefi"
	kernel string   // absolute path in the tree
	initrd []string // absolute paths
	args   []string // in a stock entry of GRUB, as they are spelt, quotes and all
}

// parseIsolinux returns the entries of a menu of isolinux that boot a kernel.
// dir is the menu's folder, to which its paths are relative.
func parseIsolinux(text, dir string) []entry {
	var all []entry
	var e *entry
	var help bool
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		rest = strings.TrimSpace(rest)
		word = strings.ToLower(word)
		switch {
		case help:
			help = word != "endtext"
		case word == "text":
			help = true
		case word == "label":
			all = append(all, entry{title: rest})
			e = &all[len(all)-1]
		case e == nil:
		case word == "kernel" || word == "linux":
			e.kernel = isoPath(dir, rest)
		case word == "append":
			e.isolinuxArgs(dir, rest)
		case word == "initrd":
			e.initrd = isoPaths(dir, rest)
		}
	}
	return slices.DeleteFunc(all, func(e entry) bool {
		return e.kernel == "" || len(e.initrd) == 0 || strings.HasSuffix(e.kernel, ".c32")
	})
}

func (e *entry) isolinuxArgs(dir, text string) {
	for _, arg := range strings.Fields(text) {
		if paths, ok := strings.CutPrefix(arg, "initrd="); ok {
			e.initrd = isoPaths(dir, paths)
		} else {
			e.args = append(e.args, arg)
		}
	}
}

func isoPaths(dir, list string) []string {
	var all []string
	for p := range strings.SplitSeq(list, ",") {
		all = append(all, isoPath(dir, p))
	}
	return all
}

func isoPath(dir, p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}

// isolinuxMenu returns a menu that boots e at once.
func isolinuxMenu(e entry) (string, error) {
	line := "initrd=" + strings.Join(e.initrd, ",") + " " + strings.Join(e.args, " ")
	if len(line) > maxCommandLine {
		return "", fmt.Errorf("the kernel command line has %d characters, the most is %d", len(line), maxCommandLine)
	}
	return "default metalcue\nprompt 0\ntimeout 1\nlabel metalcue\n  kernel " + e.kernel + "\n  append " + line + "\n", nil
}

// isolinuxLocal is a menu that gives the machine back to the BIOS, which goes on
// with the next device in its order. (With a drive's number, isolinux 6 reads
// the boot sector of the first floppy disk instead.)
const isolinuxLocal = "default metalcue\nprompt 0\ntimeout 1\nlabel metalcue\n  localboot 0xffff\n"

// maxCommandLine is what syslinux and the kernels of all families take.
const maxCommandLine = 2000
