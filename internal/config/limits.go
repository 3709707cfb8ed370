package config

import (
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/ratelimit"
)

// defaultLimits are the classes of limits that the spec names as x-rate-limit. An
// address may be that of a whole school, so it has more than an account.
var defaultLimits = ratelimit.Limits{
	"register": {Address: rate(20, time.Hour)},
	"login":    {Address: rate(60, time.Minute), Account: rate(20, 15*time.Minute)},
	"refresh":  {Address: rate(600, time.Minute)},
	// Codes that are tried at one second factor, wherever they come from.
	"otp": {Account: rate(10, 15*time.Minute)},
	// Handing in what was mailed, and asking for a mail: Account is the recipient.
	"token":    {Address: rate(60, 10*time.Minute)},
	"mail":     {Address: rate(30, time.Hour), Account: rate(5, time.Hour)},
	"password": {Address: rate(120, 15*time.Minute), Account: rate(20, 15*time.Minute)},
	"export":   {Address: rate(60, time.Hour), Account: rate(10, time.Hour)},
	"read":     {Address: rate(6000, time.Minute), Account: rate(1200, time.Minute)},
	// A map asks for a dozen tiles at a time, twice.
	"tile":   {Address: rate(30_000, time.Minute), Account: rate(6000, time.Minute)},
	"write":  {Address: rate(1200, time.Minute), Account: rate(300, time.Minute)},
	"upload": {Address: rate(600, time.Minute), Account: rate(60, time.Minute)},
}

func rate(requests int, period time.Duration) ratelimit.Rate {
	return ratelimit.Rate{Requests: requests, Period: period}
}

// Limits are the rate limits by class: the defaults, and what RateLimits says
// differently. It reports every fault at once, one a line.
func (c *Config) Limits() (ratelimit.Limits, error) {
	return ratelimit.ParseLimits(defaultLimits, strings.Join(c.RateLimits, ","))
}
