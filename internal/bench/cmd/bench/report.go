package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/bench"
)

// document is the report.
func document(s settings, tables []table) string {
	slices.SortFunc(tables, func(a, b table) int { return a.rows - b.rows })
	var b strings.Builder
	fmt.Fprintf(&b, "# Performance\n\nMade by `make bench BENCH=%q`.\n\n", strings.Join(os.Args[1:], " "))
	fmt.Fprintf(&b, "%d processors shared by PostgreSQL, Redis, the server and the load, which asks over %d connections; %d rounds of %s each, "+
		"those that are compared in turn; medians. *By hand* is what somebody would write with net/http and pgx: one statement and the same JSON, "+
		"and nothing around it. Everything else goes through the complete chain: limits, session, policy, validation, access log, metrics. "+
		"*Allocations* and *processor* are those of the server's process for each request.\n",
		runtime.NumCPU(), s.connections, s.rounds, s.duration)
	for _, t := range tables {
		fmt.Fprintf(&b, "\n## %s landmarks\n\n", grouped(t.rows))
		fmt.Fprintf(&b, "Some %.0f of them lie within the kilometre that nearby is asked for.\n\n", t.hits)
		b.WriteString("| | req/s | p50 | p99 | bytes | allocations | processor | compared | goal |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |\n")
		for _, r := range t.measured {
			m := r.median()
			compared, goal := "", ""
			if len(r.ratios) > 0 {
				compared = fmt.Sprintf("%.2f × %s", median(r.ratios), r.beside)
			}
			if r.goal > 0 {
				goal = fmt.Sprintf("%g", r.goal)
			}
			fmt.Fprintf(&b, "| %s | %.0f | %s | %s | %d | %.0f | %.0f µs | %s | %s |\n",
				r.name, m.PerSec, ms(m.P50), ms(m.P99), m.Bytes, r.usual(func(u usage) float64 { return u.mallocs }), 1e6*r.usual(func(u usage) float64 { return u.cpu }), compared, goal)
		}
		fmt.Fprintf(&b, "\nResident memory of the server with copies, with GOMEMLIMIT=%s: %d MB at its peak before the logins, each of which hashes in 7 MiB, %d MB with them, %d MB at the end.\n",
			s.limit, t.unhashed>>20, t.peak>>20, t.rss>>20)
	}
	if len(tables) > 1 {
		b.WriteString(growth(tables[0], tables[len(tables)-1]))
	}
	b.WriteString("\nWalkers are 100 people who walk in 25 cities and ask every 25 m. What each part of the chain costs tells `go test -run - -bench .\n" +
		"./internal/app ./internal/middleware ./internal/operation ./internal/cache ./internal/geo`.\n")
	return b.String()
}

// growth compares the waiting time of a small world with that of a large one.
func growth(small, large table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s beside %s landmarks\n\n| | p50 | p50 | compared | goal |\n| --- | ---: | ---: | ---: | ---: |\n", grouped(large.rows), grouped(small.rows))
	for _, r := range large.measured {
		i := slices.IndexFunc(small.measured, func(other row) bool { return other.name == r.name })
		if i < 0 {
			continue
		}
		before, after := small.measured[i].median().P50, r.median().P50
		goal := ""
		if strings.HasPrefix(r.name, "nearby") && r.beside != "" {
			goal = "at most 1.3"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %s |\n", r.name, ms(after), ms(before), float64(after)/float64(before), goal)
	}
	return b.String()
}

// usual is the median of what each request used.
func (r row) usual(of func(usage) float64) float64 {
	values := make([]float64, len(r.used))
	for i, u := range r.used {
		values[i] = of(u)
	}
	return median(values)
}

func (r row) median() bench.Result {
	sorted := slices.SortedFunc(slices.Values(r.results), func(a, b bench.Result) int { return int(a.PerSec - b.PerSec) })
	return sorted[len(sorted)/2]
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

// grouped writes a number with commas.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
