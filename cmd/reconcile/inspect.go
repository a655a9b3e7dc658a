package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/reconcile/report"
	"github.com/spf13/cobra"
)

func (c *cli) inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what an installer image is; needs no fleet",
		Long: `inspect reads an ISO file, or a disk that holds one, and shows what it is: which system it installs, its
volume id, its directory trees, boot entries, EFI image, partitions and boot menus,
and whether reconcile patched it. It needs neither a fleet nor NetBox.

` + exitCodes,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(c.options.output, "text", "json"); err != nil {
				return err
			}
			return c.inspect(args[0])
		},
	}
}

// An inspection is what an image is.
type inspection struct {
	Type       string      `json:"type"` // "image"
	File       string      `json:"file"`
	Size       int64       `json:"size"`
	VolumeID   string      `json:"volume_id"`
	Installers []installer `json:"installers"`          // that reconcile would take it for
	Unknown    []string    `json:"unknown,omitempty"`   // when there are none: why, by family
	Trees      []treeInfo  `json:"trees"`               // the first is what the volume id is of
	Boot       []bootInfo  `json:"boot"`                // El Torito
	EFI        *efiInfo    `json:"efi_image"`           // null: none
	NoEFI      string      `json:"efi_error,omitempty"` // why it cannot be read
	Partitions []partition `json:"partitions"`
	Menus      []string    `json:"menus"`
	Second     bool        `json:"second_descriptor_set"` // at block 32
	Patched    bool        `json:"patched"`               // by reconcile
}

type installer struct {
	Family  string `json:"family"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
}

type treeInfo struct {
	Kind     string `json:"kind"`
	VolumeID string `json:"volume_id"`
	Second   bool   `json:"second"`
}

type bootInfo struct {
	Platform string `json:"platform"`
	Bootable bool   `json:"bootable"`
	Emulates bool   `json:"emulates_disk"`
	Sectors  int    `json:"sectors"` // to load, of 512 bytes
	Offset   int64  `json:"offset"`
}

type efiInfo struct {
	Offset int64 `json:"offset"`
	Size   int64 `json:"size"`
}

func (c *cli) inspect(file string) error {
	f, size, err := openImage(file)
	if err != nil {
		return err
	}
	defer f.Close()
	image, err := iso9660.Open(f, size)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	i := inspection{Type: "image", File: file, Size: size, VolumeID: image.VolumeID(),
		Installers: []installer{}, Boot: []bootInfo{}, Menus: []string{}}
	iso := answer.ISO{Tree: image.FS(), VolumeID: image.VolumeID()}
	if efi, extent, err := image.EFI(); err == nil {
		iso.EFI, i.EFI = efi, &efiInfo{extent.Off, extent.Len}
	} else if !errors.Is(err, iso9660.ErrNoEFI) {
		i.NoEFI = err.Error()
	}
	for _, t := range image.Trees() {
		i.Trees = append(i.Trees, treeInfo{t.Kind().String(), t.VolumeID(), t.Second()})
		i.Second = i.Second || t.Second()
	}
	for _, b := range image.BootEntries() {
		i.Boot = append(i.Boot, bootInfo{platformName(b.Platform), b.Bootable, b.Media != 0, b.Sectors, b.Off})
	}
	if i.Partitions, err = readPartitions(f, size); err != nil {
		return fmt.Errorf("%s: reading its partitions: %w", file, err)
	}
	if err := i.look(iso); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	i.recognise(iso)
	if c.options.output == "json" {
		return json.NewEncoder(c.stdout).Encode(i)
	}
	return i.text(c.stdout)
}

// openImage opens a file or a disk, and nothing that opening could wait for.
func openImage(file string) (f *os.File, size int64, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, 0, err
	}
	disk := info.Mode()&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice
	if !info.Mode().IsRegular() && !disk {
		return nil, 0, fmt.Errorf("%s is neither a file nor a disk", file)
	}
	if f, err = os.Open(file); err != nil {
		return nil, 0, err
	}
	if size, err = f.Seek(0, io.SeekEnd); err != nil { // of a disk, Stat does not know it
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

func platformName(p byte) string {
	switch p {
	case iso9660.PlatformBIOS:
		return "BIOS"
	case iso9660.PlatformEFI:
		return "UEFI"
	}
	return fmt.Sprintf("platform 0x%02x", p)
}

// menuNames are the files in which boot loaders find their menus.
var menuNames = []string{"grub.cfg", "isolinux.cfg", "syslinux.cfg", "txt.cfg", "boot.cfg", "loader.conf"}

// menuDepth is how many directories deep menus lie at most.
const menuDepth = 5

// mark is what reconcile adds to the root of an image that it patches.
var mark = regexp.MustCompile(`^metalcue-[0-9a-f]{16}$`)

// look finds menus, and reconcile's own mark.
func (i *inspection) look(iso answer.ISO) error {
	for _, part := range []struct {
		fsys   fs.FS
		prefix string
	}{{iso.Tree, "/"}, {iso.EFI, "EFI image: /"}} {
		if part.fsys == nil {
			continue
		}
		err := fs.WalkDir(part.fsys, ".", func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && strings.Count(name, "/") >= menuDepth:
				return fs.SkipDir
			case d.IsDir():
			case slices.Contains(menuNames, strings.ToLower(path.Base(name))):
				i.Menus = append(i.Menus, part.prefix+name)
			case part.prefix == "/" && mark.MatchString(name):
				i.Patched = true
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking for menus: %w", err)
		}
	}
	return nil
}

// telling are the files in which installers say what they are.
var telling = []string{".treeinfo", ".discinfo", ".disk/info", "media.1/media", ".cd-info", "BOOT.CFG", "FAI-CD"}

var versionWord = regexp.MustCompile(`[0-9]+(?:[.-][0-9]+|-SP[0-9]+)*`)

// versions are the numbers that an image says of itself, any of which may be
// its version.
func versions(iso answer.ISO) []string {
	said := iso.VolumeID + "\n"
	for _, name := range telling {
		f, err := iso.Tree.Open(name)
		if err != nil {
			continue
		}
		head, err := io.ReadAll(io.LimitReader(f, 4096))
		f.Close()
		if err == nil {
			said += string(head) + "\n"
		}
	}
	var list []string
	for _, v := range versionWord.FindAllString(said, 200) {
		v = strings.NewReplacer("-SP", ".", "-", ".").Replace(v)
		if len(v) <= 12 && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// recognise asks of every family whether this is an image of its own, of any
// version that the image speaks of.
func (i *inspection) recognise(iso answer.ISO) {
	candidates := versions(iso)
	for _, family := range answer.Families() {
		var first error // of this family about this image, not about a file that other families have
		found := false
		for _, arch := range []string{"x86_64", "aarch64"} {
			for _, v := range candidates {
				err := answer.Check(iso, family, v, arch)
				if err == nil {
					i.Installers, found = append(i.Installers, installer{family, v, arch}), true
					break // others are the same, written shorter or longer
				}
				if none := (*answer.ArchError)(nil); first == nil && !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &none) {
					first = err
				}
			}
		}
		if !found && first != nil {
			i.Unknown = append(i.Unknown, family+": "+first.Error())
		}
	}
	if len(i.Installers) > 0 {
		i.Unknown = nil
	}
}

// text writes the inspection for a person.
func (i *inspection) text(w io.Writer) error {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("image", "%s, %s (%d bytes)", i.File, report.Bytes(i.Size), i.Size)
	row("volume id", "%q", i.VolumeID)
	for _, s := range i.Installers {
		row("installs", "%s %s for %s", s.Family, s.Version, s.Arch)
	}
	if len(i.Installers) == 0 {
		row("installs", "nothing that is known")
	}
	for _, u := range i.Unknown {
		row("", "%s", u)
	}
	for _, s := range i.Trees {
		where := ""
		if s.Second {
			where = ", of the second descriptor set at block 32"
		}
		row("tree", "%s, volume id %q%s", s.Kind, s.VolumeID, where)
	}
	for _, s := range i.Boot {
		row("boot entry", "%s", s)
	}
	if len(i.Boot) == 0 {
		row("boot entry", "none")
	}
	switch {
	case i.EFI != nil:
		row("EFI image", "%s at byte %d", report.Bytes(i.EFI.Size), i.EFI.Offset)
	case i.NoEFI != "":
		row("EFI image", "%s", i.NoEFI)
	default:
		row("EFI image", "none")
	}
	for _, p := range i.Partitions {
		row("partition", "%s", p)
	}
	for _, m := range i.Menus {
		row("menu", "%s", m)
	}
	if i.Patched {
		row("patched", "by reconcile; it may hold secrets")
	}
	t.Flush()
	_, err := w.Write(bytes.Map(printable, b.Bytes()))
	return err
}

// printable keeps names on an image from playing with the terminal.
func printable(r rune) rune {
	if r != '\n' && !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

func (b bootInfo) String() string {
	s := fmt.Sprintf("%s, %d sectors at byte %d", b.Platform, b.Sectors, b.Offset)
	if b.Emulates {
		s += ", emulates a disk"
	}
	if !b.Bootable {
		s += ", not bootable"
	}
	return s
}
