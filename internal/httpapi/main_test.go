package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// request is one HTTP request with what matters to a test.
type request struct {
	by           *apptest.Client
	method, path string
	contentType  string
	header       map[string]string
	body         string
}

// send sends it as it stands, for what the generated client can't say.
func send(t *testing.T, s *apptest.Server, in request) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), in.method, s.URL+strings.TrimPrefix(in.path, s.URL), strings.NewReader(in.body))
	require.NoError(t, err)
	if in.contentType != "" {
		r.Header.Set("Content-Type", in.contentType)
	}
	if in.by != nil {
		r.Header.Set("Authorization", "Bearer "+in.by.Token)
	}
	for name, value := range in.header {
		r.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, data
}
