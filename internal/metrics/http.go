package metrics

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requestBuckets are in seconds: from what is answered from memory to what the
// limit of an operation ends.
var requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// What stands for a request that is for no operation of the contract: one that
// nothing answers, whatever its address, and a page.
const (
	Unmatched = "unmatched"
	Page      = "page"
)

// Operation is an operation of the contract.
type Operation struct {
	// Pattern is what a router knows it by, as "GET /api/v1/areas".
	Pattern string
	Method  string
	// Name is its operationId.
	Name string
	// IsPaced says that the client decides how long it takes, as for an upload.
	IsPaced bool
}

// HTTP measures requests. It may be used concurrently.
type HTTP struct {
	requests  *prometheus.CounterVec
	inFlight  prometheus.Gauge
	endpoints map[route]*endpoint
}

// route is how an endpoint is found. The pattern of pages is Page, of what nothing
// answers it is empty.
type route struct{ pattern, method string }

// endpoint has the time series of one method of one operation.
type endpoint struct {
	Operation
	duration prometheus.Observer
	bytes    prometheus.Counter
	// counters are made when a status is first seen.
	counters [maxStatus - minStatus + 1]atomic.Pointer[prometheus.Counter]
}

// The statuses that there are; all others count as aborted.
const (
	minStatus = 100
	maxStatus = 599
	aborted   = "aborted"
)

// methods are those that a request may have; all others are "other".
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

const otherMethod = "other"

// NewHTTP makes the meter for the operations of a contract, and registers it.
func NewHTTP(registry prometheus.Registerer, operations []Operation) *HTTP {
	m := &HTTP{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picaspot_http_requests_total", Help: "Requests that were answered.",
		}, []string{"operation", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "picaspot_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		endpoints: map[route]*endpoint{},
	}
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "picaspot_http_request_duration_seconds", Help: "Time from a request's headers to the last byte of its answer.", Buckets: requestBuckets,
	}, []string{"operation"})
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "picaspot_http_response_bytes_total", Help: "Bytes of the bodies of answers.",
	}, []string{"operation"})
	registry.MustRegister(m.requests, m.inFlight, durations, bytes)

	add := func(op Operation, methods ...string) {
		for _, method := range methods {
			of := op
			of.Method = method
			m.endpoints[route{op.Pattern, method}] = &endpoint{
				Operation: of, duration: durations.WithLabelValues(op.Name), bytes: bytes.WithLabelValues(op.Name),
			}
		}
	}
	for _, op := range operations {
		add(op, op.Method)
		if op.Method == http.MethodGet {
			add(op, http.MethodHead) // The router answers it with the same operation.
		}
	}
	add(Operation{Name: Unmatched}, append(methods, otherMethod)...)
	add(Operation{Name: Page, Pattern: Page}, append(methods, otherMethod)...)
	return m
}

// Begin counts a request that is being answered from now on. [HTTP.End] has to follow.
func (m *HTTP) Begin() { m.inFlight.Inc() }

// End takes in a request that was answered, by the pattern that the router matched,
// which is empty for none. A status of 0 says that it was cut off before its
// headers. It returns the operation that the request was for.
func (m *HTTP) End(pattern, method string, status int, bytes int64, took time.Duration) *Operation {
	m.inFlight.Dec()
	e := m.endpoint(pattern, method)
	e.duration.Observe(took.Seconds())
	e.bytes.Add(float64(bytes))
	m.counter(e, status).Inc()
	return &e.Operation
}

func (m *HTTP) endpoint(pattern, method string) *endpoint {
	if e, ok := m.endpoints[route{pattern, method}]; ok {
		return e
	}
	if pattern != "" {
		pattern = Page
	}
	if e, ok := m.endpoints[route{pattern, method}]; ok {
		return e
	}
	return m.endpoints[route{pattern, otherMethod}]
}

func (m *HTTP) counter(e *endpoint, status int) prometheus.Counter {
	if status < minStatus || status > maxStatus {
		return m.requests.WithLabelValues(e.Name, e.Method, aborted)
	}
	kept := &e.counters[status-minStatus]
	if counter := kept.Load(); counter != nil {
		return *counter
	}
	counter := m.requests.WithLabelValues(e.Name, e.Method, strconv.Itoa(status))
	kept.Store(&counter)
	return counter
}
