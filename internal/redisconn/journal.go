package redisconn

import (
	"context"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// The journal lists in Redis what has changed, so that a process may keep what it
// has read from there and ask one thing only: whether anything new is in the journal.
// That question goes ahead of each batch (see [Conn.Together]), so requests that come
// at once share it.
//
// Entries are numbered without a gap. Whoever finds one, or a number that is lower
// than the last, begins a new chapter, and with it all over. A journal that Redis has
// lost begins at the time in microseconds, so that its numbers are none that there
// were before.
const (
	journalNumber = "{journal}:number"
	journalStream = "{journal}:stream"
	// journalLength is how many entries are kept, about, for those who were busy elsewhere.
	journalLength = 4096
	// journalCount is how many a process reads at once. Who is further behind starts
	// all over, which costs less.
	journalCount = 512
	// journalDoors is how many words a process tells apart, about: a change of one
	// may look like a change of another, which costs one question.
	journalDoors = 1 << 16
)

// noteScript adds an entry.
var noteScript = redis.NewScript(`
local number = redis.call('INCR', KEYS[1])
local fresh = number == 1
if not fresh then
  fresh = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], string.format('%.0f-0', number), 'w', ARGV[1]).err
end
if fresh then
  local now = redis.call('TIME')
  number = math.max(now[1] * 1000000 + now[2], number + 1)
  redis.call('SET', KEYS[1], string.format('%.0f', number))
  redis.call('DEL', KEYS[2])
  redis.call('XADD', KEYS[2], string.format('%.0f-0', number), 'w', ARGV[1])
end
return 1`)

// Note writes into the journal that what words stand for has changed. A change that a
// journal is to tell has to be in Redis before, and acknowledged after. A word has no
// space in it.
func (c *Conn) Note(ctx context.Context, words ...string) error {
	return noteScript.Run(ctx, c, []string{journalNumber, journalStream}, strings.Join(words, " "), journalLength).Err()
}

// QueueNote is [Conn.Note] as the last command of a pipeline that makes the change. It
// is not for a cluster, where the others of a pipeline may come later. A server that
// does not know the script, so that there is an error NOSCRIPT, does after [Conn.Note].
func (c *Conn) QueueNote(ctx context.Context, pipe redis.Pipeliner, words ...string) {
	noteScript.EvalSha(ctx, pipe, []string{journalNumber, journalStream}, strings.Join(words, " "), journalLength)
}

// Mark is a place in the journal.
type Mark struct {
	chapter *chapter
	number  int64
}

// chapter is what the process has read of the journal since it last began all over.
type chapter struct {
	// number is the last entry that was read.
	number atomic.Int64
	// last is the latest batch that had begun when it was read: one that began later
	// can't find a lower number, unless the journal is another one.
	last  int64
	doors [journalDoors]atomic.Int64
}

// journal is what a process knows of the journal.
type journal struct {
	seed    maphash.Seed
	current atomic.Pointer[chapter]
	batches atomic.Int64
	mu      sync.Mutex // guards the reading of entries
}

// look is a question for what is new in the journal, as part of a batch.
type look struct {
	batch   int64
	number  *redis.IntCmd
	entries *redis.XMessageSliceCmd
}

// Mark returns the place up to which the journal was read. What is read from Redis
// after that holds until the journal has something on it behind the mark.
func (c *Conn) Mark() Mark {
	current := c.journal.current.Load()
	if current == nil {
		return Mark{}
	}
	return Mark{chapter: current, number: current.number.Load()}
}

// Unchanged reports whether, as far as the journal was read, a word is not in it
// behind a mark. A request may rely on it after [Conn.Together].
func (c *Conn) Unchanged(m Mark, word string) bool {
	if m.chapter == nil || m.chapter != c.journal.current.Load() {
		return false
	}
	return m.chapter.doors[c.journal.door(word)].Load() <= m.number
}

func (j *journal) door(word string) uint64 { return maphash.String(j.seed, word) % journalDoors }

// ask queues the question. The number is read by adding nothing to it: a server that
// refuses writes has no notes of the changes since it does, and refuses this as well.
func (j *journal) ask(ctx context.Context, pipe redis.Pipeliner) look {
	from := "0"
	if current := j.current.Load(); current != nil {
		from = strconv.FormatInt(current.number.Load(), 10)
	}
	return look{number: pipe.IncrBy(ctx, journalNumber, 0), entries: pipe.XRangeN(ctx, journalStream, "("+from, "+", journalCount)}
}

// begin has to be called before the batch is sent.
func (j *journal) begin(l *look) { l.batch = j.batches.Add(1) }

// read takes in what the answer says.
func (j *journal) read(l look) error {
	number, err := l.number.Result()
	if err != nil {
		return err
	}
	entries, err := l.entries.Result()
	if err != nil {
		return err
	}
	if current := j.current.Load(); current != nil && current.number.Load() == number {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	current := j.current.Load()
	switch {
	case current == nil || number == 0:
	case number <= current.number.Load() && (number == current.number.Load() || l.batch <= current.last):
		return nil // Another batch has brought it.
	case number > current.number.Load() && j.follow(current, number, entries):
		current.last = j.batches.Load()
		return nil
	}
	fresh := &chapter{last: j.batches.Load()}
	fresh.number.Store(number)
	j.current.Store(fresh)
	return nil
}

// follow reads the entries behind the chapter's last, up to a number at least; false
// if one is missing.
func (j *journal) follow(current *chapter, number int64, entries []redis.XMessage) bool {
	next := current.number.Load() + 1
	for _, entry := range entries {
		text, _, _ := strings.Cut(entry.ID, "-")
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id > next {
			return false
		}
		if id < next {
			continue // Read since the question was put.
		}
		words, _ := entry.Values["w"].(string)
		for word := range strings.SplitSeq(words, " ") {
			current.doors[j.door(word)].Store(id)
		}
		next++
	}
	if next <= number {
		return false
	}
	current.number.Store(next - 1)
	return true
}
