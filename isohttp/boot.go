package isohttp

// bootWatch tells one boot of the installer from the next, by what is read. A
// machine that boots reads firmware and boot loader with its menu, then kernel
// and initrd, then answer file and payload. When a menu is read again after one
// of the last three, something booted from the medium again; when kernel or
// initrd follow, it was the installer and not a boot loader that went on to the
// disk. A kernel that is loaded again says the same where no menu is seen.
//
// Not every read is meant. Boot loaders, kernels and controllers read ahead and
// in blocks, and what probes a disk for file systems looks into the middle of
// everything. So a byte is evidence only if nothing of another class lies
// within readAhead of it; of what boots, if there are files with that much room
// on both sides, only these: menus that were put apart. (See evidence.) And a
// read that goes on where another ended tells of no boot: a check of the whole
// medium goes past everything.
type bootWatch struct {
	evidence []stretch
	loadable []stretch // kernels and initrds, whole
	kernels  int64     // bytes of evidence for the smallest kernel; 0: the medium names none

	running bool  // in this boot the installer has begun: initrd, answer file or payload after the kernel
	kernel  bool  // in this boot the kernel was read
	again   bool  // the loader was read again, the kernel not yet
	loading bool  // the last read that followed no other began in a kernel or initrd
	loaded  int64 // bytes of kernels read while running and loading
	passed  int64 // bytes that the installer read while again

	ends [4]int64 // where the last reads ended, of several streams
	next int      // of ends

	reloads, restarts int
}

// class is what a phase means for a boot.
type class uint8

const (
	neutral class = iota // structure
	booting              // firmware, boot loader
	kerneling
	ramdisk // initrd
	running // answer file, payload
	classCount
)

var classOf = [phaseCount]class{booting, booting, kerneling, ramdisk, running, running, neutral}

// stretch is a range of a medium that is of one class.
type stretch struct {
	from, to int64
	class    class
}

const (
	// readAhead is how far from what they need readers read at most: BMCs fetch
	// blocks of 64 to 512 KiB.
	readAhead = 512 << 10

	// glance is how much an installer must read after the loader was read again
	// to prove that it never ended. Boot loaders read modules and fonts that no
	// region names, before the kernel.
	glance = 8 << 20
)

func (b *bootWatch) init(slots []slot, files []fileAccount, size int64) {
	all := stretches(slots, files, size)
	b.evidence = evidence(all)
	for _, s := range all {
		if s.class == kerneling || s.class == ramdisk {
			b.loadable = append(b.loadable, s)
		}
	}
	for _, s := range b.evidence {
		if n := s.to - s.from; s.class == kerneling && (b.kernels == 0 || n < b.kernels) {
			b.kernels = n
		}
	}
}

// stretches gives the classes of all bytes, without what is neutral. The rest of
// a file's last block is the file's.
func stretches(slots []slot, files []fileAccount, size int64) (all []stretch) {
	add := func(from, to int64, phase int) {
		c := classOf[phase]
		if from >= to || c == neutral {
			return
		}
		if k := len(all); k > 0 && all[k-1].to == from && all[k-1].class == c {
			all[k-1].to = to
		} else {
			all = append(all, stretch{from, to, c})
		}
	}
	at := int64(0)
	for i, s := range slots {
		add(at, s.from, files[0].phase)
		next := size
		if i+1 < len(slots) {
			next = slots[i+1].from
		}
		at = min(next, (s.to+2047)&^2047)
		add(s.from, at, files[s.file].phase)
	}
	add(at, size, files[0].phase)
	return all
}

// evidence keeps of each class what is far from all others; of what boots, the
// files that are so as a whole. A class that would have nothing keeps all.
func evidence(all []stretch) (out []stretch) {
	near := make([]stretch, len(all)) // all, without what is close to another class
	copy(near, all)
	var end, begin [classCount]int64
	for i := range end {
		end[i], begin[i] = -readAhead, 1<<62
	}
	for i, s := range all {
		for c := range classCount {
			if c != s.class {
				near[i].from = max(near[i].from, end[c]+readAhead)
			}
		}
		end[s.class] = s.to
	}
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		for c := range classCount {
			if c != s.class {
				near[i].to = min(near[i].to, begin[c]-readAhead)
			}
		}
		begin[s.class] = s.from
	}
	var some, whole [classCount]bool
	for i, s := range near {
		some[s.class] = some[s.class] || s.from < s.to
		whole[s.class] = whole[s.class] || s == all[i]
	}
	for i, s := range near {
		switch {
		case !some[s.class]:
			out = append(out, all[i])
		case s.from < s.to && (s.class != booting || !whole[booting] || s == all[i]):
			out = append(out, s)
		}
	}
	return out
}

// touch returns the classes of those stretches that [off, off+n) touches, as bits.
func touch(all []stretch, off, n int64) (classes uint) {
	i, k := 0, len(all)
	for i < k {
		if m := int(uint(i+k) >> 1); all[m].to <= off {
			i = m + 1
		} else {
			k = m
		}
	}
	for ; i < len(all) && all[i].from < off+n; i++ {
		classes |= 1 << all[i].class
	}
	return classes
}

// follows says whether a read goes on where one of the last ones ended.
func (b *bootWatch) follows(off, n int64) bool {
	for i, end := range b.ends {
		if end == off && off > 0 {
			b.ends[i] = off + n
			return true
		}
	}
	b.ends[b.next] = off + n
	b.next = (b.next + 1) % len(b.ends)
	return false
}

var (
	reloadEvents  = []EventKind{EventReload}
	restartEvents = []EventKind{EventRestart}
	bothEvents    = []EventKind{EventReload, EventRestart}
)

// read takes one read and returns what it means.
func (b *bootWatch) read(off, n int64) (kinds []EventKind) {
	touched := touch(b.evidence, off, n)
	jumped := !b.follows(off, n)
	has := func(c class) bool { return touched&(1<<c) != 0 }
	if jumped {
		b.loading = touch(b.loadable, off, n) != 0
	}
	switch {
	case b.again && b.loading && (has(kerneling) || has(ramdisk)):
		b.again = false
		b.restarts++
		kinds = restartEvents
	case b.running && jumped && touched == 1<<booting: // and nothing far from it in one go
		b.begin()
		b.reloads++
		kinds = reloadEvents
		if b.again = b.kernels > 0; !b.again {
			b.restarts++
			kinds = bothEvents
		}
	case b.running && b.loading && has(kerneling) && touched&(1<<booting|1<<running) == 0:
		if b.loaded += n; b.loaded >= b.kernels {
			b.begin()
			b.reloads++
			b.restarts++
			kinds = bothEvents
		}
	case b.again && has(running):
		if b.passed += n; b.passed >= glance {
			b.again, b.kernel = false, true // it never ended
		}
	}
	b.kernel = b.kernel || has(kerneling)
	if (has(ramdisk) || has(running)) && (b.kernel || b.kernels == 0) {
		b.running = true
	}
	return kinds
}

// begin forgets the boot before.
func (b *bootWatch) begin() {
	b.running, b.kernel, b.again, b.loaded, b.passed = false, false, false, 0, 0
}
