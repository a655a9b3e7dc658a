// Package iso9660 reads installer images and makes patched views of them.
//
// Open reads an image's descriptors once: every volume descriptor set and tree (primary with or without Rock Ridge, Joliet,
// ISO 9660:1999, the second set that some images carry at block 32), the El Torito boot catalog, MBR and GPT. Directories
// are read as they are looked at. An Image is immutable and safe for concurrent use; FS shows its best tree.
//
// An Edit collects changes: files added, replaced, appended to or hidden, directories made, boot menus inside the EFI
// image replaced. Edit.View applies them to every tree at once and returns a View: the base image with some bytes
// overlaid and a tail behind its end. A file's new content and a directory that has outgrown its blocks go to the tail, with
// everything that points to them mended; such a directory takes those in it along in the tree that libarchive reads, which
// wants it so. (One thing libarchive does not read: names of more than about 150 bytes in a directory that was moved. It
// wants continuation areas where they cannot be; SUSP does not.) All other bytes are the base's at their place, and no file's content is copied:
//
//	img, err := iso9660.Open(f, size)
//	…
//	e := img.Edit()
//	e.Write("/ks.cfg", kickstart)
//	e.Write("/EFI/BOOT/grub.cfg", menu)
//	e.WriteEFI("/EFI/BOOT/grub.cfg", stub)
//	v, err := e.View()
//
// Images are untrusted: lengths, blocks and chains are checked against the image, directories that contain themselves are
// errors, and what an error says names the place. Images that cannot be patched are refused by name: UDF bridges, as
// Windows installers are, and files compressed with zisofs.
//
// The formats are those of ECMA-119 (4th edition for ISO 9660:1999's descriptor), SUSP 1.12 and RRIP 1.12 (IEEE P1281 and
// P1282), the Joliet specification, El Torito 1.0 and UEFI 2.10 (5.3 for GPT, 13.3.2 for El Torito).
package iso9660
