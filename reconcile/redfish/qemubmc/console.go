package qemubmc

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// keep is how much of the serial port's output is kept, in bytes.
const keep = 1 << 20

// signs are words on the serial port that tell how far a machine is. Later ones count more.
var signs = []struct {
	text  string
	stage bmctest.Stage
}{
	{"Linux version ", bmctest.StageInstaller},
	{"installer: started", bmctest.StageInstaller},
	{"installer: stays on", bmctest.StageStuck},
	{"installed: ", bmctest.StageOS},
	{"Kernel panic", bmctest.StageStuck},
}

// console keeps what a machine writes on its serial port and looks for signs in it. The zero value is empty.
type console struct {
	mu    sync.Mutex
	text  []byte
	from  int // where in text the search for the next sign begins
	stage bmctest.Stage
}

// Write implements [io.Writer] for QEMU's output.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if cut := len(c.text) - keep; cut > 0 {
		c.text = append(c.text[:0], c.text[cut:]...)
		c.from = max(0, c.from-cut)
	}
	for {
		line, _, whole := bytes.Cut(c.text[c.from:], []byte("\n"))
		if !whole {
			return len(p), nil
		}
		c.from += len(line) + 1
		for _, s := range signs {
			if i := bytes.Index(line, []byte(s.text)); i >= 0 {
				c.stage = s.stage
			}
		}
	}
}

func (c *console) printf(format string, args ...any) {
	fmt.Fprintf(c, format, args...)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

func (c *console) setStage(s bmctest.Stage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stage = s
}

func (c *console) stageNow() bmctest.Stage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stage
}
