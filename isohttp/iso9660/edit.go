package iso9660

import "bytes"

// An Edit collects changes of an image; View applies them. Paths are those of the best tree, with or without a leading
// slash, through symbolic links of the base, and in any case unless the tree has Rock Ridge. In the other trees the same file
// is changed, whatever they call it; a new file's name is cut and numbered as they want it. An Edit is not safe for concurrent
// use; any number of Edits of one Image may be.
type Edit struct {
	img   *Image
	ops   []op
	apart []string
	blank bool
}

type op struct {
	kind opKind
	path string
	data []byte
}

type opKind int

const (
	opWrite opKind = iota
	opAppend
	opMkdir
	opHide
	opEFI
)

func (k opKind) String() string {
	return [...]string{"writing", "appending to", "making directory", "hiding", "writing to EFI image"}[k]
}

// Edit begins a patch.
func (m *Image) Edit() *Edit { return &Edit{img: m} }

// Write adds a file, or gives an existing one other content, in every tree. The directory must exist or have been made.
// An existing file keeps its attributes; a new one takes them from its siblings. Files that other names share are changed
// under this name only. Write copies data.
func (e *Edit) Write(name string, data []byte) { e.add(opWrite, name, bytes.Clone(data)) }

// Append adds to the end of an existing file, or of one written before, without copying what it holds: the view names the
// base's bytes a second time. What follows a cpio archive in an initrd must begin at a multiple of four bytes; Append
// does not pad. It copies data.
func (e *Edit) Append(name string, data []byte) { e.add(opAppend, name, bytes.Clone(data)) }

// Mkdir adds a directory. It is no error when it exists, but one when the edit hides a file of that name.
func (e *Edit) Mkdir(name string) { e.add(opMkdir, name, nil) }

// Hide takes a file's name out of every tree. Its content stays where it is.
func (e *Edit) Hide(name string) { e.add(opHide, name, nil) }

// WriteEFI gives a boot menu inside the EFI image other content. Data that is shorter than what it replaces is padded
// with newlines, so that only the menu's own bytes change; longer data takes the slack of its last cluster, then free
// clusters. Where there are none, View fails: write a stub that goes on to the menu in the tree instead,
//
//	search --no-floppy --set=root --file /<marker file>
//	configfile /EFI/BOOT/grub.cfg
//
// The menus exist twice on most images, and which one is read depends on the firmware: write both.
func (e *Edit) WriteEFI(name string, data []byte) { e.add(opEFI, name, bytes.Clone(data)) }

// Apart keeps the content of a file that the edit writes, or appends to, [Gap] bytes away from all other content. Firmware,
// boot loaders and management controllers read ahead, by blocks of 64 to 512 KiB; a file that lies apart is read only when
// somebody reads it. The bytes between are zeros, which cost no memory; they are in the view's structure. It is an error to
// name a file whose content the edit does not change.
func (e *Edit) Apart(name string) { e.apart = append(e.apart, name) }

// Gap is how far from other content a file lies that is kept apart, in bytes. It is more than what is read ahead, also from
// where firmware looks for a UDF volume: 256 and 257 blocks before the end of the medium.
const Gap = 2 << 20

// BlankSecondDescriptors makes the descriptor set at block 32 unrecognizable, so that who takes the image for a disk finds
// one file system with its label, the patched one. Without a second set it does nothing. Without this, the second set's
// trees are patched as the others, though what lies behind the first partition's end cannot be read through it.
func (e *Edit) BlankSecondDescriptors() { e.blank = true }

func (e *Edit) add(k opKind, name string, data []byte) {
	e.ops = append(e.ops, op{k, name, data})
}

// body is the content of a file in the view, and where it is.
type body struct {
	parts []part
	len   int64
	off   int64
}

// part is a range of the base, or bytes.
type part struct {
	base Extent
	data []byte
}

func (p part) len() int64 {
	if p.data != nil {
		return int64(len(p.data))
	}
	return p.base.Len
}

func (b *body) add(p part) {
	if p.len() > 0 {
		b.parts = append(b.parts, p)
		b.len += p.len()
	}
}
