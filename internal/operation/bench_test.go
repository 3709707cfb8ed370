package operation_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// What stands around an operation, from the match to the handler: no look-up of
// an account, a decision of the policy that is kept, validation and binding.

func BenchmarkNearby(b *testing.B) {
	s := newServer(b)
	require.Equal(b, http.StatusOK, s.send(ask("GET", nearby, "", "")).Code)
	request := ask("GET", nearby, "", "")
	b.ReportAllocs()
	for b.Loop() {
		s.router.ServeHTTP(httptest.NewRecorder(), request)
	}
}

func BenchmarkCreateLandmark(b *testing.B) {
	s := newServer(b)
	body := landmarkWith(`"description": "White with a red lantern.", "hint": "Look where the pier ends.", "difficulty": 2, "photo_location": {"latitude": 53.8669, "longitude": 8.7211}`)
	require.Equal(b, http.StatusOK, s.send(ask("POST", landmarks, jsonType, body)).Code)
	b.ReportAllocs()
	for b.Loop() {
		s.router.ServeHTTP(httptest.NewRecorder(), ask("POST", landmarks, jsonType, body))
	}
}

// The most faults that a body of the default limit can hold must not cost more
// than it took to send.
func BenchmarkManyFaults(b *testing.B) {
	s := newServer(b)
	body := []byte(`{`)
	for len(body) < 19_000 {
		body = append(body, `"`+string(rune('a'+len(body)%26))+http.StatusText(200+len(body)%5)+string(rune(0x4e00+len(body)))+`":1,`...)
	}
	body = append(body, `"end":1}`...)
	require.Equal(b, http.StatusBadRequest, s.send(ask("POST", landmarks, jsonType, string(body))).Code)
	for b.Loop() {
		s.router.ServeHTTP(httptest.NewRecorder(), ask("POST", landmarks, jsonType, string(body)))
	}
}
