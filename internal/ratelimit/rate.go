// Package ratelimit bounds how often something may be done, by the generic cell
// rate algorithm (GCRA, ITU-T I.371, appendix A): in Redis, where all replicas
// count together, and within the process while Redis is away.
package ratelimit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rate is Requests at once, which come back evenly over Period. The zero value is
// no limit.
type Rate struct {
	Requests int
	Period   time.Duration
}

const (
	maxRequests = 1_000_000
	maxPeriod   = 24 * time.Hour
)

// ParseRate reads a rate such as 600/1m, or off for none.
func ParseRate(text string) (Rate, error) {
	if text == "off" {
		return Rate{}, nil
	}
	number, period, ok := strings.Cut(text, "/")
	requests, errNumber := strconv.Atoi(number)
	length, errPeriod := time.ParseDuration(period)
	switch {
	case !ok || errNumber != nil || errPeriod != nil:
		return Rate{}, fmt.Errorf("%q is not a rate such as 600/1m, nor off", text)
	case requests < 1 || requests > maxRequests:
		return Rate{}, fmt.Errorf("%q: 1 to %d requests are possible", text, maxRequests)
	case length < time.Second || length > maxPeriod:
		return Rate{}, fmt.Errorf("%q: a period is from 1s to %s", text, maxPeriod)
	}
	return Rate{Requests: requests, Period: length}, nil
}

// String writes a rate as [ParseRate] reads it.
func (r Rate) String() string {
	if r.off() {
		return "off"
	}
	return strconv.Itoa(r.Requests) + "/" + r.Period.String()
}

// off reports whether the rate is no limit.
func (r Rate) off() bool { return r.Requests <= 0 || r.Period <= 0 }

// interval is the emission interval, in microseconds: how long one request takes
// to come back.
func (r Rate) interval() int64 { return max(1, r.Period.Microseconds()/int64(r.Requests)) }

// Limit bounds a class of operations for each address and for each account.
type Limit struct{ Address, Account Rate }

// Limits are the limits by class: what the contract calls x-rate-limit.
type Limits map[string]Limit

// ParseLimits reads what differs from the defaults, as
// login:address=20/1m,read:account=off. It returns all faults at once.
func ParseLimits(defaults Limits, text string) (Limits, error) {
	limits := maps.Clone(defaults)
	var faults []error
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := limits.set(entry); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return limits, nil
}

func (l Limits) set(entry string) error {
	name, value, ok := strings.Cut(entry, "=")
	class, subject, named := strings.Cut(name, ":")
	if !ok || !named {
		return fmt.Errorf("%q does not read as login:address=20/1m", entry)
	}
	limit, known := l[class]
	if !known {
		return fmt.Errorf("%q: there is no class %q, but %s", entry, class, strings.Join(slices.Sorted(maps.Keys(l)), ", "))
	}
	rate, err := ParseRate(value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch subject {
	case "address":
		limit.Address = rate
	case "account":
		limit.Account = rate
	default:
		return fmt.Errorf("%q: %q is neither address nor account", entry, subject)
	}
	l[class] = limit
	return nil
}
