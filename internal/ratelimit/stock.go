package ratelimit

// stockShare is the part of a rate's requests that one process takes into stock.
const stockShare = 64

// stock is what is left of requests that were counted in Redis at once, and have not
// been made yet, so that a client that is quick and far from its limit costs fewer
// questions. Each is good until the time at which the limit has it back anyway, so a
// process that does not use them up takes nothing from anybody for longer than that,
// and all processes together never allow more than the rate does.
type stock struct {
	// next is the theoretical arrival time behind the last of them, in microseconds of
	// the clock of this process.
	next int64
	left int64
}

// atOnce is how many requests are counted at once while there are plenty.
func (r Rate) atOnce() int64 { return 1 + int64(r.Requests)/stockShare }

// take counts a request from what is in stock; false if there is none.
func (l *Limiter) take(name string, key Key, now int64) (Result, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.stocks.Get(name)
	interval := key.Rate.interval()
	s.left = min(s.left, (s.next-now)/interval)
	if !ok || s.left < 1 {
		return Result{}, false
	}
	s.left--
	l.stocks.Add(name, s)
	used := s.next - s.left*interval - now
	return Result{
		Allowed: true, Policy: key.Policy, Rate: key.Rate,
		Remaining: int((interval*int64(key.Rate.Requests) - used) / interval), Reset: micros(used),
	}, true
}

// store takes into stock what the script has counted beyond the request itself. The
// question was put before Redis looked at its clock, so what is left is given back
// rather too early than too late.
func (l *Limiter) store(a asked, ahead int64) {
	atOnce, interval := a.key.Rate.atOnce(), a.key.Rate.interval()
	if atOnce == 1 || 2*ahead > interval*int64(a.key.Rate.Requests) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Of two at once the later one is as good; the other's run out.
	l.stocks.Add(a.name, stock{next: a.at + ahead + atOnce*interval, left: atOnce - 1})
}
