package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Refusals are the ways in which a Redis answers reads and refuses writes, by the word
// that its error begins with, and the settings (name and value, and the value before)
// that bring them about.
var Refusals = map[string][][3]string{
	"READONLY":   nil, // REPLICAOF
	"OOM":        {{"maxmemory-policy", "noeviction", "noeviction"}, {"maxmemory", "1", "0"}},
	"MISCONF":    {{"save", "3600 1", ""}},
	"NOREPLICAS": {{"min-replicas-to-write", "1", "0"}},
}

// RefuseWrites has the Redis server at a URL refuse writes in one of the [Refusals]. It
// has to be a server of the test's own. The function that it returns has it take writes
// again, with what it had.
func RefuseWrites(t testing.TB, address, how string) (allow func()) {
	t.Helper()
	options, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	settings, known := Refusals[how]
	if !known {
		t.Fatalf("no refusal is called %s", how)
	}
	dump := filepath.Join(client.ConfigGet(ctx, "dir").Val()["dir"], client.ConfigGet(ctx, "dbfilename").Val()["dbfilename"])
	for _, s := range settings {
		must(client.ConfigSet(ctx, s[0], s[1]).Err())
	}
	switch how {
	case "READONLY":
		// Nothing listens there, so it keeps what it has.
		must(client.Do(ctx, "replicaof", "127.0.0.1", "1").Err())
	case "MISCONF":
		// Saving fails where a folder has the file's name, and with it every write from then on.
		must(os.Mkdir(dump, 0o700))
		for client.Set(ctx, "refused", 1, 0).Err() == nil && ctx.Err() == nil {
			_ = client.BgSave(ctx).Err() // One may be under way.
			time.Sleep(10 * time.Millisecond)
		}
	}
	return func() {
		t.Helper()
		if how == "READONLY" {
			must(client.Do(ctx, "replicaof", "no", "one").Err())
		}
		for _, s := range settings {
			must(client.ConfigSet(ctx, s[0], s[2]).Err())
		}
		if how == "MISCONF" {
			must(os.Remove(dump))
			// One that succeeds ends it; Redis refuses it while one in the background is under way.
			for err = client.Save(ctx).Err(); err != nil && strings.Contains(err.Error(), "already in progress"); err = client.Save(ctx).Err() {
				time.Sleep(10 * time.Millisecond)
			}
			must(err)
		}
	}
}
