// Package explain_test holds every statement that is written by hand to the plan that
// it has on a large database: which indexes serve it, and that nothing large is read
// as a whole.
//
// A statement joins by its name, which it has to have (TestEachStatementHasAName).
// TestPlans fails until the scenario sends it, so
//
//  1. add a line to scenario_test.go that has it sent, with arguments as they are at
//     scale, and one for each variant of its text;
//  2. run go test ./internal/explain -run TestPlans -update and read what the golden
//     file testdata/plans.golden says now: the indexes are the ones that you meant;
//  3. name these indexes in the comment on the statement: the test holds it to that.
//
// A table that the statement needs many rows of is filled in world_test.go.
package explain_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/store"
)

var update = flag.Bool("update", false, "write the golden file anew")

const golden = "testdata/plans.golden"

// large are the tables that grow with the users: none is read as a whole.
var large = []string{"landmarks", "areas", "unlocks", "attempts", "users", "audit_logs", "audit_links", "sessions", "mail_tokens", "idempotency_keys", "webhook_deliveries"}

// readsAll are the statements that may read a large table as a whole, and why.
var readsAll = map[string]string{
	"auditlog_unlinked": "the verification reads the whole log",
	"search_forget":     "a job looks for words that no name has any more",
	"namecheck_clashes": "a command of operators looks at all areas",
	"namecheck_names":   "a command of operators reads all names",
	"sweep_named":       "a job compares all rows that name a file with the files",
}

// unplanned are the statements that the scenario can't send, and why.
var unplanned = map[string]string{
	"store_lock_migrations":   "it is sent by a pool of its own, and takes a lock only",
	"store_unlock_migrations": "as above",
	"keyring_lock_creation":   "it takes a lock only, at the first start",
	"store_find_migrations":   "it is asked once, at the start, and reads the catalogue",
	"store_list_migrations":   "it is asked once, at the start, and reads some dozen rows",
	"store_check_writable":    "it reads a setting, no table",
	"store_check_locale":      "it is asked once, at a migration, and reads one row of the catalogue",
	"search_begin":            "it is several statements, of which none reads a table",
	"seed_users":              "a command sends it, and it inserts the rows that it is given",
	"seed_areas":              "as above",
	"seed_landmarks":          "as above",
	"seed_attempts":           "as above",
	"seed_unlocks":            "as above",
	"seed_lock":               "a command sends it, and it takes a lock only",
	"seed_foreign":            "a command sends it once",
	"seed_world_exists":       "as above",
}

// perText bounds how many of the calls of one text are explained.
const perText = 12

// call is a statement as it was sent.
type call struct {
	text string
	args []any
}

// recorder keeps the statements that are written by hand.
type recorder struct {
	mu      sync.Mutex
	calls   map[string][]call // by name
	unnamed []string
	texts   map[string]int
}

func (r *recorder) record(text string, args []any) {
	name := store.StatementName(text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.HasPrefix(text, "-- name: ") {
		// Ent's have a table after the verb; a plain verb is a transaction's or a session's.
		if slices.Contains([]string{"select", "insert", "update", "delete", "with"}, name) {
			r.unnamed = append(r.unnamed, text)
		}
		return
	}
	if name != strings.ToLower(name) || r.texts[text] >= perText {
		return // River's.
	}
	r.texts[text]++
	r.calls[name] = append(r.calls[name], call{text, slices.Clone(args)})
}

// has reports whether a statement was sent.
func (r *recorder) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls[name]) > 0
}

func TestPlans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.sent
	w.Store.Tap(r.record)
	for _, step := range scenario {
		t.Run(step.name, func(t *testing.T) { step.run(t, w) })
	}
	w.Store.Tap(nil)
	require.Empty(t, r.unnamed, "statements without a name were sent")

	p := newPlanner(t, w)
	plans := map[string][]plan{}
	for name, calls := range r.calls {
		if unplanned[name] != "" {
			continue
		}
		for _, c := range calls {
			plans[name] = append(plans[name], p.explain(t, name, c))
		}
	}
	statements, _ := scan(t)
	t.Run("every statement is looked at", func(t *testing.T) {
		for _, s := range statements {
			if len(plans[s.name]) == 0 && unplanned[s.name] == "" {
				t.Errorf("%s: the scenario never sends %s: see the comment on this package", s.place, s.name)
			}
		}
		for _, exceptions := range []map[string]string{unplanned, readsAll} {
			for name := range exceptions {
				if !slices.ContainsFunc(statements, func(s statement) bool { return s.name == name }) {
					t.Errorf("there is an exception for %s, and no such statement", name)
				}
			}
		}
	})
	t.Run("nothing large is read as a whole", func(t *testing.T) {
		for name, all := range plans {
			for _, one := range all {
				for _, table := range large {
					if slices.Contains(one.scans, "Seq Scan on "+table) && readsAll[name] == "" {
						t.Errorf("%s reads all of %s:\n%s\n%s", name, table, one.text, one.full)
					}
				}
			}
		}
	})
	t.Run("comments name the indexes that serve", func(t *testing.T) {
		requireNamedIndexes(t, statements, plans, p.indexes)
	})
	t.Run("the plans are the ones that were looked at", func(t *testing.T) {
		got := "PostgreSQL " + p.version + "\n\n" + render(plans)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o750))
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		if first, _, _ := strings.Cut(string(want), "\n"); first != "PostgreSQL "+p.version {
			// Of two indexes that cost the same, another version may take the other one.
			t.Logf("the golden file is of %s, this is %s: the rules above held, the plans are not compared", first, p.version)
			return
		}
		require.Equal(t, string(want), got, "read the difference; go test ./internal/explain -run TestPlans -update renews the file")
	})
}

// requireNamedIndexes holds statements to their comments. A comment on a declaration
// of several statements speaks of any of them.
func requireNamedIndexes(t *testing.T, statements []statement, plans map[string][]plan, indexes map[string]bool) {
	t.Helper()
	used := map[string]map[string]bool{} // by declaration
	for _, s := range statements {
		if used[s.declaration] == nil {
			used[s.declaration] = map[string]bool{}
		}
		for _, one := range plans[s.name] {
			for _, scan := range one.scans {
				used[s.declaration][strings.TrimPrefix(scan, "index ")] = true
			}
		}
	}
	for _, s := range statements {
		for _, word := range s.words {
			if indexes[word] && !used[s.declaration][word] {
				t.Errorf("%s: the comment says that %s serves %s, and no plan has it: %v", s.place, word, s.name, slices.Sorted(maps.Keys(used[s.declaration])))
			}
		}
	}
}

// plan is how a statement is executed: by which indexes it finds rows, as
// "index landmark_location", and how else, as "Seq Scan on roles"; sorted, each once.
// How an index is read, and how rows are joined, is left out: versions of PostgreSQL
// differ there.
type plan struct {
	text  string
	scans []string
	full  string
}

// render lists the plans of each statement, sorted.
func render(plans map[string][]plan) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		shapes := map[string]bool{}
		for _, one := range plans[name] {
			shape := strings.Join(one.scans, ", ")
			if shape == "" {
				shape = "no table"
			}
			shapes[shape] = true
		}
		fmt.Fprintf(&b, "%s\n", name)
		for _, shape := range slices.Sorted(maps.Keys(shapes)) {
			fmt.Fprintf(&b, "  %s\n", shape)
		}
	}
	return b.String()
}

// planner explains statements on a connection whose settings are not the server's.
type planner struct {
	conn *pgx.Conn
	// version is the major one of the server.
	version string
	indexes map[string]bool
	// whole names the table or the index of which another one is a partition.
	whole map[string]string
	// empty are tables without rows, as partitions of months to come.
	empty map[string]bool
}

// settings are what plans depend on, besides the rows, as PostgreSQL has them by default
// but for a disk without arms.
var settings = []string{
	"SET random_page_cost = 1.1", "SET seq_page_cost = 1", "SET cpu_tuple_cost = 0.01", "SET effective_cache_size = '4GB'",
	"SET max_parallel_workers_per_gather = 0", "SET jit = off", "SET timezone = 'UTC'", "SET plan_cache_mode = force_custom_plan",
}

func newPlanner(t *testing.T, w *world) *planner {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.Config.DatabaseURL)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(ctx) })
	for _, setting := range settings {
		_, err := conn.Exec(ctx, setting)
		require.NoError(t, err)
	}
	p := &planner{conn: conn, indexes: map[string]bool{}, whole: map[string]string{}, empty: map[string]bool{}}
	require.NoError(t, conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000 || ''").Scan(&p.version))
	rows, err := conn.Query(ctx, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, name := range names {
		p.indexes[name] = true
	}
	rows, err = conn.Query(ctx, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relpages = 0")
	require.NoError(t, err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, name := range names {
		p.empty[name] = true
	}
	rows, err = conn.Query(ctx, `SELECT part.relname, whole.relname FROM pg_inherits
		JOIN pg_class part ON part.oid = inhrelid JOIN pg_class whole ON whole.oid = inhparent`)
	require.NoError(t, err)
	var part, whole string
	_, err = pgx.ForEachRow(rows, []any{&part, &whole}, func() error {
		p.whole[part] = whole
		return nil
	})
	require.NoError(t, err)
	return p
}

// explain asks for the plan of a call; nothing is executed.
func (p *planner) explain(t *testing.T, name string, c call) plan {
	t.Helper()
	args := slices.DeleteFunc(slices.Clone(c.args), func(arg any) bool {
		switch arg.(type) {
		case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
			return true // How the driver is to go about it.
		default:
			return false
		}
	})
	var data []byte
	err := p.conn.QueryRow(context.Background(), "EXPLAIN (FORMAT JSON, COSTS OFF) "+c.text, args...).Scan(&data)
	require.NoError(t, err, "%s: %s\n%v", name, c.text, types(args))
	var explained []struct {
		Plan node `json:"Plan"`
	}
	require.NoError(t, json.Unmarshal(data, &explained))
	scans := map[string]bool{}
	explained[0].Plan.walk(func(n *node) {
		relation, index := p.wholeOf(n.Relation), p.wholeOf(n.Index)
		for _, arbiter := range n.Arbiters {
			scans["index "+arbiter] = true
		}
		switch {
		case index != "":
			scans["index "+index] = true
		case p.empty[n.Relation]:
		case relation != "" && strings.HasSuffix(n.Type, "Scan") && n.Type != "Bitmap Heap Scan":
			scans[n.Type+" on "+relation] = true
		}
	})
	return plan{text: c.text, scans: slices.Sorted(maps.Keys(scans)), full: string(data)}
}

func (p *planner) wholeOf(name string) string {
	if whole, ok := p.whole[name]; ok {
		return whole
	}
	return name
}

func types(args []any) []reflect.Type {
	all := make([]reflect.Type, len(args))
	for i, arg := range args {
		all[i] = reflect.TypeOf(arg)
	}
	return all
}

// node is a part of a plan, as EXPLAIN tells it.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	// Arbiters are the indexes that find the rows of ON CONFLICT.
	Arbiters []string `json:"Conflict Arbiter Indexes"`
	Plans    []node   `json:"Plans"`
}

func (n *node) walk(fn func(*node)) {
	fn(n)
	for i := range n.Plans {
		n.Plans[i].walk(fn)
	}
}
