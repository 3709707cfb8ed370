package cache

import "context"

// TellPopular is what [Cache.Watch] does each minute.
func (c *Cache) TellPopular(ctx context.Context, kind string) error { return c.tellPopular(ctx, kind) }
