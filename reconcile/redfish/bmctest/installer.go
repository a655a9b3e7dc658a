package bmctest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// installer plays what runs after the boot loader: a kernel and Anaconda.
type installer struct {
	m     *Machine
	ctx   context.Context
	cd    *medium
	pace  time.Duration // time left for what is still to be read
	bytes int64         // still to be read
	read  int64
	half  int64 // trouble starts when this little is left; -1: not now
	fate  outcome
	upset bool // the trouble has happened
}

// errStopped ends an installation in the middle; installer.fate says how.
var errStopped = errors.New("the installation stopped")

// install boots the kernel and follows the answer file to its end.
func (m *Machine) install(ctx context.Context, cd *medium, e *entry) outcome {
	in := &installer{m: m, ctx: ctx, cd: cd}
	m.printf("kernel: %s", e.args)
	end, err := in.run(e)
	if ctx.Err() != nil {
		return stays
	}
	if err != nil {
		m.printf("installer: %v", err)
		if errors.Is(err, errStopped) {
			return in.fate
		}
		m.enter(ctx, StageStuck)
		return stays
	}
	return end
}

// job is what the kernel's arguments and the answer file ask for.
type job struct {
	args    string
	path    string // of the answer file
	answer  []byte
	final   string
	stage2  file
	payload []file
}

// run reads what an installation reads, in its order.
func (in *installer) run(e *entry) (outcome, error) {
	if err := in.bootKernel(e); err != nil {
		return stays, err
	}
	if !in.m.enter(in.ctx, StageInstaller) {
		return stays, in.ctx.Err()
	}
	j, err := in.prepare(e.args)
	if err != nil {
		return stays, err
	}
	in.schedule(append([]file{j.stage2}, j.payload...), in.m.InstallTime-in.m.InstallTime/kernelShare)
	in.half = in.bytes / 2
	if err := in.readAll([]file{j.stage2}); err != nil {
		return stays, err
	}
	in.m.beginInstall()
	before := in.read
	if err := in.readAll(j.payload); err != nil {
		return stays, err
	}
	if !sleep(in.ctx, in.pace) {
		return stays, in.ctx.Err()
	}
	in.m.installed(in.ctx, Disk{
		Answer: j.answer, AnswerPath: j.path, KernelArgs: j.args, VolumeID: in.cd.volumeID, Medium: in.cd.url,
		Payload: in.read - before, At: time.Now(),
	})
	in.m.printf("installer: complete, %s", j.final)
	return in.end(j.final), nil
}

// bootKernel reads kernel and initial file systems as the boot loader does.
func (in *installer) bootKernel(e *entry) error {
	from := in.cd.root
	if e.plain {
		from = in.cd.plain
	}
	early, err := files(from, append([]string{e.kernel}, e.initrds...))
	if err != nil {
		return fmt.Errorf("loading the kernel: %w", err)
	}
	in.schedule(early, in.m.InstallTime/kernelShare)
	return in.readAll(early)
}

// prepare finds out what to install, and whether the installer would ask.
func (in *installer) prepare(cmdline string) (*job, error) {
	args := strings.Fields(cmdline)
	if err := in.mediaCheck(args); err != nil {
		return nil, err
	}
	j := &job{args: cmdline}
	var err error
	if j.stage2, err = in.stage2(args); err != nil {
		return nil, err
	}
	if j.path, err = in.answerPath(args); err != nil {
		return nil, err
	}
	if j.answer, err = in.cd.root.text(j.path); err != nil {
		return nil, fmt.Errorf("reading the answer file: %w", err)
	}
	ks, err := parseKickstart(string(j.answer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.path, err)
	}
	if serials := in.m.dmiSerials(); !ks.names(serials) {
		return nil, fmt.Errorf("%s: %%pre: this machine's serial number %q is not the one the script asks for", j.path, serials)
	}
	j.final = ks.final
	if !ks.fromMedium {
		return j, nil
	}
	if j.payload, err = in.cd.payload(); err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	if len(j.payload) == 0 {
		return nil, errors.New("no packages on the medium")
	}
	return j, nil
}

// end is what the machine does after the installation.
func (in *installer) end(final string) outcome {
	switch {
	case final == "poweroff" && in.m.Habits.RebootsOnly, final == "reboot":
		return reboot
	case final == "poweroff":
		return powerOff
	}
	in.m.enter(in.ctx, StageStuck) // halted, or waiting for a key
	return stays
}

// files finds files by path.
func files(root file, names []string) ([]file, error) {
	var list []file
	for _, n := range names {
		f, err := root.lookup(n)
		if err != nil {
			return nil, err
		}
		if f.dir || f.size == 0 {
			return nil, fmt.Errorf("%s: empty", n)
		}
		list = append(list, f)
	}
	return list, nil
}

// kernelShare is the part of the installation's time, one in so many, in which
// the boot loader reads the kernel.
const kernelShare = 10

// schedule spreads a time over the files to be read in it.
func (in *installer) schedule(files []file, d time.Duration) {
	in.pace, in.bytes, in.half = d, 0, -1
	for _, f := range files {
		in.bytes += f.size
	}
}

// readAll reads files from the first byte to the last, in chunks.
func (in *installer) readAll(files []file) error {
	buf := make([]byte, in.cd.chunk)
	for _, f := range files {
		r := f.open()
		for left := f.size; left > 0; {
			n := int(min(left, int64(len(buf))))
			if _, err := io.ReadFull(r, buf[:n]); err != nil {
				return fmt.Errorf("reading %s: %w", f.name, err)
			}
			left -= int64(n)
			in.read += int64(n)
			if err := in.wait(int64(n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait lets the time pass that belongs to the bytes just read.
func (in *installer) wait(n int64) error {
	if in.bytes <= 0 {
		return in.ctx.Err()
	}
	d := time.Duration(float64(in.pace) * float64(n) / float64(in.bytes))
	in.pace -= d
	in.bytes -= n
	if !sleep(in.ctx, d) {
		return in.ctx.Err()
	}
	if in.bytes <= in.half && !in.upset {
		in.upset = true
		return in.trouble()
	}
	return nil
}

// trouble is what this machine's habits let happen half way through.
func (in *installer) trouble() error {
	h := in.m.Habits
	switch {
	case h.PowersOffEarly:
		in.fate = powerOff
		return fmt.Errorf("power lost: %w", errStopped)
	case h.HangsInInstaller:
		in.fate = stays
		in.m.enter(in.ctx, StageStuck)
		return fmt.Errorf("a question is asked and nobody answers: %w", errStopped)
	case h.FlickersOff > 0:
		in.m.setFlicker(true)
		ok := sleep(in.ctx, h.FlickersOff)
		in.m.setFlicker(false)
		if !ok {
			return in.ctx.Err()
		}
	}
	return nil
}

func (m *Machine) setFlicker(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flicker = on && m.stage != StageOff
}

// beginInstall is the moment in which the old content of the disk is lost.
func (m *Machine) beginInstall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.installs++
	m.disk = nil
}

// installed records the new content of the disk.
func (m *Machine) installed(ctx context.Context, d Disk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() == nil {
		m.disk = &d
	}
}

// dmiSerials are the serial numbers that the machine's DMI tables may have.
func (m *Machine) dmiSerials() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Serial != "" {
		return []string{m.Serial}
	}
	return m.dmi
}
