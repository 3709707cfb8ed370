package cache

import "context"

// TellPopular is what [Cache.Watch] does each minute.
func (c *Cache) TellPopular(ctx context.Context, kind string) error { return c.tellPopular(ctx, kind) }

// Asked puts a question for generations as the gate does.
func (c *Cache) Asked(ctx context.Context, words []string) context.Context {
	ctx = c.Ask(ctx, words)
	q := QuestionFrom(ctx)
	if c.redis.Together(q.Queue(ctx, nil)) == nil {
		q.JournalRead()
	}
	return ctx
}
