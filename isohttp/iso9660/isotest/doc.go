// Package isotest builds installer images in pure Go, for tests and for the lab.
//
// RHEL makes an image laid out like a RHEL 9 DVD: Rock Ridge and Joliet trees, an El Torito entry for the BIOS, one for
// UEFI whose FAT image has its own boot menu, stock menus whose default entry checks the medium, and payload. Build and Lay
// make an image of any Layout. What they write is read by xorriso, isoinfo, bsdtar, 7z, go-diskfs and kdomanski/iso9660.
//
// The package shares no code with iso9660 and fat, so that a misunderstanding of the format in one does not hide in the other.
package isotest
