package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/bench"
)

// probe is one thing to measure.
type probe struct {
	name   string
	server *server
	paths  []string
	// method is GET, and status 200, unless they are said; body is that of a POST.
	method string
	status int
	body   func(i int) string
	header string
	// once asks for each path once; a round then ends early.
	once bool
	// beside names the probe that this one is compared with, and goal the least
	// ratio of their requests per second.
	beside string
	goal   float64
	// rounds and connections override the settings'.
	rounds, connections int
}

// row is what was measured of a probe.
type row struct {
	probe
	results []bench.Result
	used    []usage // for each request
	ratios  []float64
}

type table struct {
	rows     int
	measured []row
	// rss is the server's resident memory at the end, peak the most that there was, and
	// unhashed that before anybody logged in.
	rss, peak, unhashed int64
	hits                float64
}

// measure takes probes that are compared in turn, so that both see the same machine.
func (w *world) measure(ctx context.Context) (table, error) {
	t := table{rows: w.rows}
	groups, err := w.probes(ctx)
	if err != nil {
		return t, err
	}
	for _, group := range groups {
		if !slices.ContainsFunc(group, func(p probe) bool { return strings.Contains(p.name, w.only) }) {
			continue
		}
		if group[0].name == loginName {
			_, t.unhashed = w.chain.memory()
		}
		rows := make([]row, len(group))
		for i, p := range group {
			rows[i].probe = p
		}
		for round := range w.rounds + 1 { // The first one warms up.
			for i := range rows {
				r := &rows[i]
				if r.once && round == 0 || r.rounds > 0 && round > r.rounds {
					continue
				}
				result, used, err := w.load(ctx, r.probe, round)
				if err != nil {
					return t, fmt.Errorf("%s: %w", r.name, err)
				}
				fmt.Fprintf(os.Stderr, "round %d, %s: %.0f/s, p50 %s, p99 %s\n", round, r.name, result.PerSec, result.P50, result.P99)
				if round > 0 {
					r.results, r.used = append(r.results, result), append(r.used, used)
				}
			}
			if round == 0 {
				continue
			}
			for i := range rows {
				if j := slices.IndexFunc(rows, func(other row) bool { return other.name == rows[i].beside }); j >= 0 && len(rows[i].results) >= round {
					rows[i].ratios = append(rows[i].ratios, rows[i].results[round-1].PerSec/rows[j].results[round-1].PerSec)
				}
			}
		}
		t.measured = append(t.measured, rows...)
	}
	err = w.app.Store.Pool.QueryRow(ctx, `SELECT avg(n) FROM (SELECT (SELECT count(*) FROM landmarks l WHERE l.deleted_at IS NULL AND ST_DWithin(l.location, s.location, 1000)) AS n
		FROM (SELECT location FROM landmarks ORDER BY id LIMIT 100) s) x`).Scan(&t.hits)
	t.rss, t.peak = w.chain.memory()
	return t, err
}

// load puts a load on a probe's server, from a process of its own, so that what the
// client allocates does not count.
func (w *world) load(ctx context.Context, p probe, round int) (bench.Result, usage, error) {
	u, err := url.Parse(p.server.url)
	if err != nil {
		return bench.Result{}, usage{}, err
	}
	paths := p.paths
	if p.once {
		share := len(paths) / (w.rounds + 1)
		paths = paths[share*round : share*(round+1)]
	}
	l := bench.Load{Address: u.Host, Connections: cmp.Or(p.connections, w.connections), Duration: w.duration, Status: http.StatusOK, Once: p.once}
	if p.status != 0 {
		l.Status = p.status
	}
	for i, path := range paths {
		method, body := http.MethodGet, ""
		if p.method != "" {
			method, body = p.method, p.body(i+round*len(paths))
		}
		text := method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + w.token + "\r\n" + p.header
		if body != "" {
			text += "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
		}
		l.Requests = append(l.Requests, text+"\r\n"+body)
	}
	input, err := json.Marshal(l)
	if err != nil {
		return bench.Result{}, usage{}, err
	}
	executable, err := os.Executable()
	if err != nil {
		return bench.Result{}, usage{}, err
	}
	before, err := p.server.usage(ctx)
	if err != nil {
		return bench.Result{}, usage{}, err
	}
	command := exec.CommandContext(ctx, executable, "-load")
	command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
	output, err := command.Output()
	if err != nil {
		return bench.Result{}, usage{}, err
	}
	after, err := p.server.usage(ctx)
	if err != nil {
		return bench.Result{}, usage{}, err
	}
	var result bench.Result
	if err := json.Unmarshal(output, &result); err != nil {
		return bench.Result{}, usage{}, err
	}
	requests := float64(result.Requests)
	return result, usage{mallocs: (after.mallocs - before.mallocs) / requests, cpu: (after.cpu - before.cpu) / requests}, nil
}

const loginName = "login"

// busy is how many connections a busy server has at once.
const busy = 64

func busyName(name string) string { return fmt.Sprintf("%s, %d at once", name, busy) }

// cursorDepth is how many pages of 20 the deep cursor has gone.
const cursorDepth = 10_000

// probes says what is measured, in groups that are taken in turn.
func (w *world) probes(ctx context.Context) ([][]probe, error) {
	around := make([]string, len(w.spots))
	for i, at := range w.spots {
		around[i] = nearbyPath(at)
	}
	walks := w.walks()
	one := []string{"/api/v1/landmarks/" + w.ids[0].String()}
	byID := make([]string, len(w.ids))
	for i, id := range w.ids {
		byID[i] = "/api/v1/landmarks/" + id.String()
	}
	// Those that were not asked for shortly before.
	half := len(byID) / 2
	byID, others := byID[:half], byID[half:]
	if err := w.sameAnswers(ctx, w.cold, w.plain, around); err != nil {
		return nil, err
	}
	for range 3 { // Copies are made of what is asked for again.
		if err := w.sameAnswers(ctx, w.chain, w.plain, walks); err != nil {
			return nil, err
		}
	}
	tag, err := w.etag(ctx, one[0])
	if err != nil {
		return nil, err
	}
	deepest := min(1000, w.rows/100)
	second, err := w.deepCursor(ctx, 1)
	if err != nil {
		return nil, err
	}
	deep, err := w.deepCursor(ctx, min(cursorDepth, w.rows/20-1))
	if err != nil {
		return nil, err
	}
	groups := [][]probe{
		{
			{name: "nearby, by hand", server: w.plain, paths: around},
			{name: "nearby, cold", server: w.cold, paths: around, beside: "nearby, by hand", goal: 0.8},
		},
		{
			{name: "nearby, walkers, by hand", server: w.plain, paths: walks},
			{name: "nearby, walkers", server: w.chain, paths: walks, beside: "nearby, walkers, by hand", goal: 10},
		},
		{
			{name: "by id, by hand", server: w.plain, paths: byID, once: true},
			{name: "by id, each once", server: w.chain, paths: byID, once: true, beside: "by id, by hand", goal: 0.8},
		},
		{
			{name: busyName("by id, by hand"), server: w.plain, paths: byID, once: true, connections: busy},
			{name: busyName("by id, each once"), server: w.chain, paths: others, once: true, connections: busy, beside: busyName("by id, by hand"), goal: 0.8},
		},
		{
			{name: "fixed bytes, by hand", server: w.plain, paths: []string{"/fixed"}},
			{name: "by id, a copy", server: w.chain, paths: one, beside: "fixed bytes, by hand", goal: 0.7},
			{name: "by id, 304", server: w.chain, paths: one, status: http.StatusNotModified, header: "If-None-Match: " + tag + "\r\n", beside: "fixed bytes, by hand"},
		},
		{
			{name: "list, page 1", server: w.chain, paths: []string{"/api/v1/landmarks?size=20"}},
			{name: fmt.Sprintf("list, page %d of 100", deepest), server: w.chain, paths: []string{fmt.Sprintf("/api/v1/landmarks?size=100&page=%d", deepest)}, beside: "list, page 1", rounds: 1},
			{name: "list, first cursor", server: w.chain, paths: []string{"/api/v1/landmarks?size=20&cursor="}},
			{name: "list, second cursor", server: w.chain, paths: []string{second}, beside: "list, first cursor"},
			{name: fmt.Sprintf("list, cursor %d pages deep", min(cursorDepth, w.rows/20-1)), server: w.chain, paths: []string{deep}, beside: "list, second cursor"},
		},
		{
			{name: "search, two words", server: w.chain, paths: []string{"/api/v1/landmarks?search=harbour%20777&size=20"}},
			{name: "search, mistyped", server: w.chain, paths: []string{"/api/v1/landmarks?search=catedral%20888&size=20"}},
			{name: "search, a word of many", server: w.chain, paths: []string{"/api/v1/landmarks?search=lighthouse&size=20"}},
		},
		{
			{name: "tile, zoom 4", server: w.chain, paths: w.tiles(4)},
			{name: "tile, zoom 10", server: w.chain, paths: w.tiles(10)},
			{name: "tile, zoom 14", server: w.chain, paths: w.tiles(14)},
		},
		{
			{name: "create landmark", server: w.chain, paths: make1000("/api/v1/landmarks"), method: http.MethodPost, status: http.StatusCreated, body: w.newLandmark},
		},
		{
			{name: loginName, server: w.chain, paths: []string{"/api/v1/auth/login"}, method: http.MethodPost, body: func(int) string {
				return `{"identifier":"bench","password":"` + password + `"}`
			}},
		},
	}
	return groups, nil
}

// tiles are those of a zoom that spots lie in.
func (w *world) tiles(zoom int) []string {
	paths := make([]string, len(w.spots))
	n := math.Exp2(float64(zoom))
	for i, at := range w.spots {
		latitude := at.Latitude * math.Pi / 180
		x := int(n * (at.Longitude + 180) / 360)
		y := int(n * (1 - math.Asinh(math.Tan(latitude))/math.Pi) / 2)
		paths[i] = fmt.Sprintf("/api/v1/tiles/landmarks/%d/%d/%d", zoom, x, y)
	}
	return paths
}

func make1000(path string) []string {
	return slices.Repeat([]string{path}, 1000)
}

// newLandmark is a body of a landmark that is far from all others.
func (w *world) newLandmark(i int) string {
	return fmt.Sprintf(`{"area_id":%q,"name":"New %d","latitude":%.5f,"longitude":%.5f,"allow_duplicate":true}`,
		w.area, i, -80+rand.Float64(), 360*rand.Float64()-180) //nolint:gosec // Anywhere in the south.
}

func (w *world) etag(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.chain.url+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return response.Header.Get("ETag"), nil
}

// deepCursor goes as many pages of 20 into the list of landmarks.
func (w *world) deepCursor(ctx context.Context, pages int) (string, error) {
	cursor, begun := "", time.Now()
	for left := 20 * pages; left > 0; left -= 100 {
		body, err := w.get(ctx, w.chain, fmt.Sprintf("/api/v1/landmarks?size=%d&cursor=%s", min(left, 100), url.QueryEscape(cursor)))
		if err != nil {
			return "", err
		}
		var page struct {
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return "", err
		}
		cursor = page.NextCursor
	}
	fmt.Fprintf(os.Stderr, "%d pages deep after %s\n", pages, time.Since(begun).Round(time.Millisecond))
	return "/api/v1/landmarks?size=20&cursor=" + url.QueryEscape(cursor), nil
}
