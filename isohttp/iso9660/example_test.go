package iso9660_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"log"

	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// A stock image becomes a host's own: its answer file and menus in every tree and in the EFI image.
func ExampleEdit_View() {
	base, err := isotest.RHEL(isotest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	img, err := iso9660.Open(bytes.NewReader(base), int64(len(base)))
	if err != nil {
		log.Fatal(err)
	}
	e := img.Edit()
	e.Write("/ks.cfg", []byte("text\npoweroff\n"))
	e.Write("/.boot-4f1c2a9b", nil)
	e.Write("/EFI/BOOT/grub.cfg", []byte("set timeout=0\n"))
	e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("search --no-floppy --set=root --file /.boot-4f1c2a9b\nconfigfile /EFI/BOOT/grub.cfg\n"))
	view, err := e.View()
	if err != nil {
		log.Fatal(err)
	}
	patched, err := iso9660.Open(view, view.Size())
	if err != nil {
		log.Fatal(err)
	}
	for _, tree := range patched.Trees() {
		answer, err := fs.ReadFile(tree, "ks.cfg")
		fmt.Printf("%s: %q %v\n", tree.Kind(), answer, err)
	}
	// Output:
	// Rock Ridge: "text\npoweroff\n" <nil>
	// Joliet: "text\npoweroff\n" <nil>
}
