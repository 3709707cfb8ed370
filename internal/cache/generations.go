package cache

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/redisconn"
)

// Question asks for the generations of words along with something else that is
// asked of Redis. It belongs to one request.
type Question struct {
	cache   *Cache
	words   []string
	mark    redisconn.Mark
	replies []*redis.SliceCmd
	// current tells that the journal was read since the request began.
	current bool
	// recalled is what the process knew of the words, as of the mark and the time
	// before which generations do not count; nil if it did not know all.
	recalled   []string
	distrusted int64
}

type questionKey struct{}

// Ask returns a context that carries a question for generations that its request
// will want. [Question.Queue] puts it to Redis, and [Get] and [GetAll] then need no
// round trip of their own for these words.
func (c *Cache) Ask(ctx context.Context, words []string) context.Context {
	if c == nil || len(words) == 0 {
		return ctx
	}
	return context.WithValue(ctx, questionKey{}, &Question{cache: c, words: words})
}

// Queue adds the question to commands that the caller has executed, unless the
// process knows the answers, if nothing new is in the journal.
func (q *Question) Queue(ctx context.Context, commands []redis.Cmder) []redis.Cmder {
	if q == nil {
		return commands
	}
	q.mark = q.cache.redis.Mark()
	if q.recalled, q.distrusted = q.cache.recall(ctx, q.words); q.recalled != nil {
		return commands
	}
	q.replies = q.cache.ask(ctx, q.words)
	for _, reply := range q.replies {
		commands = append(commands, reply)
	}
	return commands
}

// JournalRead tells that the journal was read since the request began.
func (q *Question) JournalRead() {
	if q != nil {
		q.current = true
	}
}

// answers returns the generations in the order of the words that were asked for,
// behind that of [everything]; nil if there was no answer.
func (q *Question) answers() []string {
	if q == nil || q.replies == nil {
		return nil
	}
	var all []string
	for _, reply := range q.replies {
		values, err := reply.Result()
		if err != nil {
			return nil
		}
		for _, value := range values {
			text, _ := value.(string)
			all = append(all, text)
		}
	}
	return all
}

// pick returns of the answers those for some of the words, behind that of
// [everything]; nil if there was no answer, or not all were asked for.
func (q *Question) pick(words []string) []string {
	answers := q.answers()
	if answers == nil || slices.Equal(words, q.words) {
		return answers
	}
	picked := make([]string, 0, len(words)+1)
	picked = append(picked, answers[0])
	for _, word := range words {
		i := slices.Index(q.words, word)
		if i < 0 {
			return nil
		}
		picked = append(picked, answers[i+1])
	}
	return picked
}

// remembered returns what the process knows of some of the words that were asked for,
// once the journal was read since the request began; nil if it does not know all.
func (q *Question) remembered(ctx context.Context, words []string) []string {
	// Nearly always nothing is new in the journal, and the words stand in a row.
	if q.recalled != nil && len(words) > 0 && !q.cache.redis.Away() && q.cache.redis.Mark() == q.mark && q.cache.trust(ctx) == q.distrusted {
		from := slices.Index(q.words, words[0])
		to := from + len(words)
		if from >= 0 && to <= len(q.words) && slices.Equal(q.words[from:to], words) {
			return q.recalled[from:to]
		}
	}
	settled, _ := q.cache.recall(ctx, words)
	return settled
}

// QuestionFrom returns the question that a context carries, or nil.
func QuestionFrom(ctx context.Context) *Question {
	q, _ := ctx.Value(questionKey{}).(*Question)
	return q
}

// ask returns commands that ask for the generations of everything and of words. A
// cluster keeps them on several nodes, so there each is a command of its own.
func (c *Cache) ask(ctx context.Context, words []string) []*redis.SliceCmd {
	keys := make([]any, 0, len(words)+2)
	keys = append(keys, "mget", generationKey(everything))
	for _, word := range words {
		keys = append(keys, generationKey(word))
	}
	if !c.cluster {
		return []*redis.SliceCmd{redis.NewSliceCmd(ctx, keys...)}
	}
	var commands []*redis.SliceCmd
	for _, key := range keys[1:] {
		commands = append(commands, redis.NewSliceCmd(ctx, "mget", key))
	}
	return commands
}

// known is a generation that the process has asked for, and knows as long as the
// journal has nothing on its word behind the mark.
type known struct {
	generation, everything string
	// settled is what a copy has to be of.
	settled string
	made    int64
	mark    redisconn.Mark
}

// recall returns for each word what a copy has to be of, from what the process
// knows; nil if something is not known. A request may rely on it once the journal was
// read since it began. With it comes the time before which generations do not count.
func (c *Cache) recall(ctx context.Context, words []string) (settled []string, distrusted int64) {
	if c.redis.Away() {
		return nil, 0
	}
	distrusted = c.trust(ctx)
	all, ok := c.known.GetIfPresent(everything)
	if !ok || all.made < distrusted || !c.redis.Unchanged(all.mark, everything) {
		return nil, distrusted
	}
	settled = make([]string, len(words))
	for i, word := range words {
		k, ok := c.known.GetIfPresent(word)
		if !ok || k.made < distrusted || k.everything != all.generation || !c.redis.Unchanged(k.mark, word) {
			return nil, distrusted
		}
		settled[i] = k.settled
	}
	return settled, distrusted
}

// generations returns for each word what a copy has to be of, or "" when nothing
// may be kept. What the process knows will do, or what the request's question brought.
func (c *Cache) generations(ctx context.Context, words []string) []string {
	if c == nil {
		return make([]string, len(words))
	}
	q := QuestionFrom(ctx)
	if q == nil {
		return c.settled(ctx, words, nil, redisconn.Mark{})
	}
	if !q.current {
		// Redis may lack changes, so that what it has said besides does not count either.
		return c.settled(ctx, words, nil, redisconn.Mark{})
	}
	if settled := q.remembered(ctx, words); settled != nil {
		return settled
	}
	return c.settled(ctx, words, q.pick(words), q.mark)
}

// settled is [Cache.generations] with the answers for everything and the words, and
// a mark from before; nil are to be asked for.
func (c *Cache) settled(ctx context.Context, words, answers []string, mark redisconn.Mark) []string {
	settled := make([]string, len(words))
	if c.redis.Away() {
		return settled
	}
	if answers == nil {
		mark = c.redis.Mark()
		q := Question{words: words, replies: c.ask(ctx, words)}
		commands := make([]redis.Cmder, len(q.replies))
		for i, reply := range q.replies {
			commands[i] = reply
		}
		unread := c.redis.Together(commands)
		if answers = q.answers(); answers == nil || unread != nil {
			c.metrics.errors.Inc()
			return settled
		}
	}
	// Asked for only now: the connection that brought the answers may be the first
	// since Redis came back.
	distrusted := c.trust(ctx)
	counts := func(generation string) bool {
		return !unsettled(generation) && madeAt(generation) >= distrusted
	}
	all := c.settle(ctx, append([]string{everything}, words...), answers, distrusted)
	if all == nil || !counts(all[0]) {
		return settled
	}
	c.known.Set(everything, known{generation: all[0], made: madeAt(all[0]), mark: mark})
	for i, generation := range all[1:] {
		if counts(generation) {
			settled[i] = all[0] + " " + generation
			c.known.Set(words[i], known{generation, all[0], settled[i], madeAt(generation), mark})
		}
	}
	return settled
}

// settle makes generations for words that have none that count.
func (c *Cache) settle(ctx context.Context, words, answers []string, distrusted int64) []string {
	wanting := func(generation string) bool { return unsettled(generation) || madeAt(generation) < distrusted }
	if !slices.ContainsFunc(answers, wanting) {
		return answers
	}
	// Together, since of a word that is new many may ask at once.
	ask := func() (replies []*redis.Cmd, err error) {
		var commands []redis.Cmder
		for i, answer := range answers {
			if wanting(answer) {
				reply := redis.NewCmd(ctx, "evalsha", settleScript.Hash(), 1, generationKey(words[i]), random(), distrusted, life().Milliseconds())
				replies, commands = append(replies, reply), append(commands, reply)
			}
		}
		err = c.redis.Together(commands)
		for _, reply := range replies {
			if err == nil {
				err = reply.Err()
			}
		}
		return replies, err
	}
	replies, err := ask()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		if err = settleScript.Load(ctx, c.redis).Err(); err == nil {
			replies, err = ask()
		}
	}
	if err != nil {
		c.metrics.errors.Inc()
		slog.DebugContext(ctx, "generations not settled", "error", err)
		return nil
	}
	all := slices.Clone(answers)
	next := 0
	for i, answer := range answers {
		if wanting(answer) {
			all[i], _ = replies[next].Text() // Scripts return text.
			next++
		}
	}
	return all
}

// trust returns the time before which generations do not count, in microseconds of
// the clock of Redis: a while after its start, since it may have brought back older
// ones than there were, or after its last recovery, since it may have missed changes.
// Within [grace] every process has noticed that it is back, and announces its changes.
func (c *Cache) trust(ctx context.Context) int64 {
	var since time.Time
	if started := c.redis.StartedAt(); !started.IsZero() {
		since = started.Add(grace)
	}
	recovered := c.redis.Recovered()
	if recovered.IsZero() {
		return max(since.UnixMicro(), 0)
	}
	c.recovering.Lock()
	defer c.recovering.Unlock()
	if !recovered.Equal(c.recovered) {
		now, err := c.redis.Time(ctx).Result()
		if err != nil {
			return math.MaxInt64 // Nothing counts.
		}
		c.recovered, c.recoveredAt = recovered, now.Add(grace)
	}
	return max(since.UnixMicro(), c.recoveredAt.UnixMicro())
}

// tokenOf is what a copy in Redis is named by: short, and as unique as the
// generations that it is made of.
func tokenOf(generation string) string { return strings.ReplaceAll(generation, " ", "+") }
