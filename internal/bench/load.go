package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Load says what is asked, by how many at once and for how long.
type Load struct {
	// Address is the server's host and port.
	Address string `json:"address"`
	// Requests are whole HTTP/1.1 requests. Each connection begins at another one and
	// asks one after the other, as one user does.
	Requests    []string      `json:"requests"`
	Connections int           `json:"connections"`
	Duration    time.Duration `json:"duration"`
	// Status is what every answer has to have.
	Status int `json:"status"`
	// Once ends the load when each request was made.
	Once bool `json:"once"`
}

// Result is what a load measured.
type Result struct {
	Requests int           `json:"requests"`
	PerSec   float64       `json:"per_sec"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Bytes    int64         `json:"bytes"`
}

// Run puts a load on a server. It speaks HTTP by itself, with the least that this
// takes, so that what is measured is the server. Another status is an error.
func (l Load) Run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*l.Duration+time.Minute)
	defer cancel()
	latencies := make([][]time.Duration, l.Connections)
	sizes := make([]int64, l.Connections)
	errs := make([]error, l.Connections)
	started := time.Now()
	var wg sync.WaitGroup
	for c := range l.Connections {
		wg.Go(func() { errs[c] = l.user(ctx, c, started, &latencies[c], &sizes[c]) })
	}
	wg.Wait()
	elapsed := time.Since(started)
	if err := errors.Join(errs...); err != nil {
		return Result{}, err
	}
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return Result{}, errors.New("nothing was answered")
	}
	slices.Sort(all)
	var total int64
	for _, size := range sizes {
		total += size
	}
	return Result{
		Requests: len(all), PerSec: float64(len(all)) / elapsed.Seconds(),
		P50: all[len(all)/2], P99: all[len(all)*99/100], Bytes: total / int64(len(all)),
	}, nil
}

func (l Load) user(ctx context.Context, c int, started time.Time, latencies *[]time.Duration, size *int64) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // A connection knows deadlines.
	}
	reader := bufio.NewReaderSize(conn, 64<<10)
	share := len(l.Requests) / l.Connections
	for i := 0; time.Since(started) < l.Duration && (!l.Once || i < share); i++ {
		request := l.Requests[(c*share+i)%len(l.Requests)]
		begin := time.Now()
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		status, n, err := readAnswer(reader)
		if err != nil {
			return err
		}
		if status != l.Status {
			line, _, _ := strings.Cut(request, "\r\n")
			return fmt.Errorf("status %d for %s", status, line)
		}
		*latencies = append(*latencies, time.Since(begin))
		*size += int64(n)
	}
	return nil
}

// readAnswer reads an answer and throws its body away.
func readAnswer(r *bufio.Reader) (status, size int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, 0, fmt.Errorf("not HTTP: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	length, chunked := 0, false
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := header(line, "content-length:"); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, err
			}
		}
		if value, ok := header(line, "transfer-encoding:"); ok {
			chunked = string(value) == "chunked"
		}
	}
	if !chunked {
		_, err = r.Discard(length)
		return status, length, err
	}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return 0, 0, err
		}
		if _, err := r.Discard(int(n) + 2); err != nil {
			return 0, 0, err
		}
		if n == 0 {
			return status, size, nil
		}
		size += int(n)
	}
}

func header(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}
