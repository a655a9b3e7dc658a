// Package answer makes a stock installer image install one host by itself.
//
// A family (rhel, debian, …) is a recipe: how to tell that an ISO is what it is
// declared to be, where its installer looks for an answer file, which boot
// menus it has, and what an answer file of its kind must hold. [Check] asks the
// first question, [Render] does the rest: it renders the answer file from a
// template and says which files of the ISO change, and how. It does no I/O but
// reading the ISO's files that it is given, reads no clock and no environment,
// and gives equal bytes for equal arguments.
//
// # Templates
//
// An answer template is a Go text/template over [Data]. It has sprig's
// functions, without those that read the environment, the time, the network or
// a source of randomness, and these:
//
//	secret "name"        the value of a secret; a placeholder in a plan
//	required "text" v    v, or an error with the text if v is empty
//	ksquote v            v as one word of a kickstart command
//	shquote v            v as one word of a shell command
//	netmask p            "255.255.255.0" of a prefix such as 10.0.0.5/24
//	address p            10.0.0.5
//	network p            10.0.0.0/24
//	prefixLength p       24
//	nthAddress p 1       10.0.0.1, counted from the network's own address
//	ip4 list, ip6 list   the prefixes or addresses of that family
//	bootInterface        the interface, bond or VLAN with the primary address
//	links                the interfaces of the host's network, each a [Link],
//	                     after what it is made of
//	kickstartNetwork     the "network" commands for all of these
//	netplan              netplan's YAML, to stand below "network:"
//	ifupdown             the text of /etc/network/interfaces
//	agamaNetwork         the value of "network" in an Agama profile
//	nmKeyfiles           NetworkManager's keyfiles, each a [NamedFile]
//	networkdUnits        units of systemd-networkd, each a [NamedFile]
//	drives "ssd" …       the machine's drives that match, smallest first
//	drive "ssd" …        the first of these, or an error
//	raid1 "min=16GB" …   two that are alike, SSDs and small ones first; one if
//	                     no two are alike
//	identityCheck        shell commands that only go on if the machine's serial
//	                     number is the one in NetBox
//	repositories         .Vars.repositories, each a [Repository]
//	proxy, noProxy       .Vars.proxy, a URL or "", and .Vars.noProxy, a list
//
// Those that write a network take options of bonds, such as
// "mode=active-backup,miimon=100"; without any, bonds are of mode 802.3ad.
//
// Templates are strict. A key that does not exist, a null or a whole list or
// map where text is wanted are errors, and name file, line and key. So are
// endless loops and output beyond 1 MiB. A number that JSON may have turned
// into a float is printed as the integer that it is.
package answer

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Phase is what an installer reads files for, in the order of an install.
type Phase string

// The phases of an install, as the media server names them.
const (
	PhaseLoader  Phase = "loader"
	PhaseKernel  Phase = "kernel"
	PhaseInitrd  Phase = "initrd"
	PhaseAnswer  Phase = "answer"
	PhasePayload Phase = "payload"
)

// An ISO is what a family may look at on a stock image.
type ISO struct {
	Tree     fs.FS  // the files of the ISO, by their Rock Ridge names where there are any
	EFI      fs.FS  // the FAT image that UEFI boots, found through El Torito; nil if there is none
	VolumeID string // of the primary volume descriptor
}

// Where says which file system of an ISO a change is for.
type Where string

// The file systems of an ISO.
const (
	Tree Where = "tree"
	EFI  Where = "efi" // a change there keeps the length of the file that it replaces
)

// Op says how a change is made.
type Op string

// The ways to change a file.
const (
	Write  Op = "write"  // add the file, or replace it
	Append Op = "append" // add to the end of an existing file
)

// A Change is one file that differs from the stock image.
type Change struct {
	In   Where
	Path string // absolute slash path, spelt as on the image
	Op   Op
	Data []byte // holds secrets if the request had a source of them
}

// A File is a file of the ISO.
type File struct {
	Path string
	Data []byte
}

// Rendered is what makes a stock image install one host.
type Rendered struct {
	Answer  File     // the answer file's text, and where on the ISO it is; there it may be wrapped, as in an archive
	Changes []Change // all that differs from the stock image
	Local   []Change // the same files, of the same lengths, but the menus boot the local disk

	Files    map[Phase][]string // the paths that are read, by phase; what is not listed is payload
	Evidence []Phase            // what must have been read for a power-off to count as an install

	KernelArgs []string // the installer's command line
	PowersOff  bool     // the installer powers the machine off when it is done
}

// A Request asks for one host's answer.
type Request struct {
	Family, Arch, Version string   // what the image is declared to be
	KernelArgs            []string // further arguments of the installer's kernel
	Generic               *Generic // the recipe, if the family is "generic"

	Template     string // the text
	TemplateName string // its path, for errors
	Data         Data

	// Secret returns the value of a named secret. If it is nil, placeholders
	// such as __secret:root-password__ stand for them, as plans want it.
	Secret func(name string) (string, error)

	ISO ISO

	// Mark names a file that is added to the root of the ISO and that no other
	// image has, by which GRUB tells this medium from others. It is made of
	// [A-Za-z0-9._-].
	Mark string
}

// Render renders the answer file and derives the changes to the image. An
// error of the template is an [*Error]; an ISO that is not laid out as the
// family's recipe says is an error that names the path. For several hosts, see
// [Prepare].
func Render(r Request) (*Rendered, error) { return Prepare(r).Render(r.Data, r.Secret) }

// Preview renders the answer file alone: without an ISO, with placeholders for
// secrets and, where it is not known, for the ISO's label. It is what the
// config digest of a marker is made of.
func Preview(r Request) ([]byte, error) { return Prepare(r).Preview(r.Data) }

// Inputs returns, as plain text, all that an install depends on beside the
// image, the role and the generation, which identify it: what the config digest
// of a marker is made of. It asks for no secret and looks at no ISO.
func Inputs(r Request) ([]string, error) { return Prepare(r).Inputs(r.Data) }

// Check tells whether the ISO is what it is declared to be: of that family,
// version and architecture, and laid out so that this package can change it;
// for family "generic", see [Generic.Check]. Its error names the file or path that surprises.
func Check(iso ISO, family, version, arch string) error {
	return Prepare(Request{Family: family, Version: version, Arch: arch, ISO: iso}).Check()
}

// Families returns the names of the families that can be installed, without
// "generic", of which every image has its own: see [Generic].
func Families() []string {
	var names []string
	for _, f := range families() {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return slices.Compact(names) // some are of two installers
}

// ArchError says that a family is not known for an architecture, whatever the
// image.
type ArchError struct {
	Family string
	Known  []string
	Arch   string
}

func (e *ArchError) Error() string {
	return fmt.Sprintf("family %s is known for %s, not for %q", e.Family, strings.Join(e.Known, " and "), e.Arch)
}

func familyOf(name, arch, version string, own *Generic) (*family, error) {
	switch {
	case name == "generic" && own == nil:
		return nil, errors.New("family generic is for images that bring a recipe of their own, and this one has none")
	case name != "generic" && own != nil:
		return nil, fmt.Errorf("a recipe of its own is for family generic, not for %q", name)
	case own != nil:
		f := own.family()
		if !slices.Contains(f.arches, arch) {
			return nil, fmt.Errorf("family generic is for %s, not for %q", strings.Join(f.arches, " and "), arch)
		}
		return f, nil
	}
	for _, f := range families() {
		if f.name != name || f.speaks != nil && !f.speaks(version) {
			continue
		}
		if !slices.Contains(f.arches, arch) {
			return nil, &ArchError{name, f.arches, arch}
		}
		return f, nil
	}
	if why, ok := refused[name]; ok {
		return nil, fmt.Errorf("family %s cannot be installed: %s", name, why)
	}
	return nil, fmt.Errorf("family %q is not known; there are %s", name, strings.Join(Families(), ", "))
}
