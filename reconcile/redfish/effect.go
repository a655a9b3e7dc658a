package redfish

import (
	"context"
	"fmt"
	"time"
)

// effect is a state to be brought about and the way to see that it is there.
type effect struct {
	// what is wanted, for errors: "power Off".
	what string
	// reached reads the state: is it there, and if not, what is instead.
	reached func(context.Context) (bool, string, error)
	// write asks the BMC for it.
	write func(context.Context) error
	// lag is how long the effect of an accepted write may take.
	lag time.Duration
	// again says which refusals pass by themselves; attempts bounds how often
	// the write is sent, pause what lies between. Answers that are Temporary and
	// broken connections count as passing.
	again    func(*Error) bool
	attempts int
	pause    time.Duration
}

// refusalLag is how long the state is watched after a write that failed: the
// BMC may have done it all the same.
const refusalLag = 4 * time.Second

// bring brings the effect about. It writes nothing if it is there already, and
// judges every write by reading, whatever its answer was.
func (c *Client) bring(ctx context.Context, e effect) error {
	done, _, err := e.reached(ctx)
	if err != nil {
		return err
	}
	if done {
		return nil
	}
	for attempt := 1; ; attempt++ {
		refusal := e.write(ctx)
		if refusal != nil && (ctx.Err() != nil || permanent(refusal) && !e.passes(refusal)) {
			return refusal
		}
		lag := e.lag
		if refusal != nil {
			lag = min(lag, refusalLag)
		}
		done, got, err := c.watch(ctx, e, lag)
		switch {
		case done:
			return nil
		case err != nil:
			return join(refusal, err)
		case refusal == nil:
			return fmt.Errorf("want %s, still %s after %v: %w", e.what, got, e.lag, ErrNoEffect)
		case attempt >= max(e.attempts, 1) || !e.passes(refusal):
			return refusal
		}
		if err := sleep(ctx, max(e.pause, pauseAsked(refusal))); err != nil {
			return join(refusal, err)
		}
	}
}

// watch reads until the effect is there or lag has passed. Answers that do not
// come meanwhile are forgiven: BMCs go away for a moment when power changes.
func (c *Client) watch(ctx context.Context, e effect, lag time.Duration) (bool, string, error) {
	deadline := time.Now().Add(lag)
	for {
		done, got, err := e.reached(ctx)
		if done {
			return true, got, nil
		}
		if err != nil && (ctx.Err() != nil || permanent(err)) {
			return false, got, err
		}
		if !time.Now().Add(c.Timing.Poll).Before(deadline) {
			return false, got, err
		}
		if err := sleep(ctx, c.Timing.Poll); err != nil {
			return false, got, err
		}
	}
}

func (e *effect) passes(refusal error) bool {
	if worthRepeating(refusal) {
		return true
	}
	answer := asError(refusal)
	return answer != nil && e.again != nil && e.again(answer)
}

func pauseAsked(err error) time.Duration {
	if e := asError(err); e != nil {
		return min(e.RetryAfter, maxRetryAfter)
	}
	return 0
}
