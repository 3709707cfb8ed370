package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Load says what is asked, by how many at once and for how long.
type Load struct {
	// URLs are asked in turn, each connection beginning at another one.
	URLs        []string      `json:"urls"`
	Token       string        `json:"token"`
	Connections int           `json:"connections"`
	Duration    time.Duration `json:"duration"`
}

// Result is what a load measured.
type Result struct {
	Requests int           `json:"requests"`
	PerSec   float64       `json:"per_sec"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

// Run puts a load on a server. Any answer but a 200 is an error.
func (l Load) Run(ctx context.Context) (Result, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.Connections}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 2*l.Duration+30*time.Second)
	defer cancel()
	latencies := make([][]time.Duration, l.Connections)
	errs := make([]error, l.Connections)
	started := time.Now()
	var wg sync.WaitGroup
	for c := range l.Connections {
		wg.Go(func() {
			for i := c * 7; time.Since(started) < l.Duration && errs[c] == nil; i++ {
				begin := time.Now()
				errs[c] = l.ask(ctx, client, l.URLs[i%len(l.URLs)])
				latencies[c] = append(latencies[c], time.Since(begin))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(started)
	for _, err := range errs {
		if err != nil {
			return Result{}, err
		}
	}
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return Result{
		Requests: len(all), PerSec: float64(len(all)) / elapsed.Seconds(), P50: all[len(all)/2], P99: all[len(all)*99/100],
	}, nil
}

func (l Load) ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+l.Token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, response.StatusCode)
	}
	return nil
}
