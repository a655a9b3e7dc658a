// Package fat reads FAT12, FAT16 and FAT32 file systems, such as the image that UEFI boots from an installer ISO, tells
// where in the image the bytes of each file lie, and plans the few writes that give a boot menu other content.
//
// Open reads the boot sector only; directories and chains are read as they are looked at. Nothing is ever written: an Edit
// collects patches, byte ranges with their new content, for whoever serves the image. Names are compared without regard
// to case, as firmware does. Images are untrusted: chains that loop, clusters out of range and directories that contain
// themselves are errors.
//
// The layout follows Microsoft's "FAT: General Overview of On-Disk Format" 1.03 (fatgen103).
package fat
