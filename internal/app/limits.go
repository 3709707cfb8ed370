package app

import (
	"fmt"

	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/ratelimit"
)

// limitsOf are the limits that hold. Each class of the spec has to have some, so
// that a misspelt one does not go unlimited.
func limitsOf(c *config.Config, table *operation.Table) (ratelimit.Limits, error) {
	limits, err := c.Limits()
	if err != nil {
		return nil, err
	}
	for _, op := range table.All() {
		if _, ok := limits[op.RateLimit]; op.RateLimit != "" && !ok {
			return nil, fmt.Errorf("%s counts against the limit %q, which there is not", op.ID, op.RateLimit)
		}
	}
	return limits, nil
}
