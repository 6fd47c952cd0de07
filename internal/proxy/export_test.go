package proxy

import "time"

// SetIdle shortens how long nothing may move.
func (p *Proxy) SetIdle(d time.Duration) { p.idle = d }

// PassingFault is how long clients are told to try again.
const PassingFault = passingFault

// LogAwaySince makes the next request try to record, and pretends that the log
// has been away since t.
func (p *Proxy) LogAwaySince(t time.Time) {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.since, p.gate.next = t, time.Time{}
}
