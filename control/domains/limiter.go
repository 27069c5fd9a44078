package domains

import (
	"sync"
	"time"
)

// mailLimiter bounds how much mail a registered name's owner can be made to get,
// whoever asks for it. It counts in memory: what a restart forgets is little.
type mailLimiter struct {
	mu   sync.Mutex
	sent map[string][]time.Time
}

// take notes a round of mails and returns 0, or how long to wait.
func (l *mailLimiter) take(name string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == nil {
		l.sent = map[string][]time.Time{}
	}
	day := now.Add(-24 * time.Hour)
	for n, times := range l.sent {
		if times[len(times)-1].Before(day) {
			delete(l.sent, n)
		}
	}
	times := l.sent[name]
	for len(times) > 0 && times[0].Before(day) {
		times = times[1:]
	}
	if len(times) >= mailsADay {
		return times[0].Sub(day) + time.Second
	}
	l.sent[name] = append(times, now)
	return 0
}
