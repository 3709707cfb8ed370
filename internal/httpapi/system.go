package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picaspot/picaspot/api"
)

// probeTimeout bounds what one dependency may take to say that it is there.
const probeTimeout = 2 * time.Second

// Probe asks one service whether it is there.
type Probe func(context.Context) error

// Readiness asks the services that requests depend on; a key names its service.
type Readiness struct {
	// Required services have to be up; without Optional ones everything works, slower.
	Required, Optional map[string]Probe
	draining           atomic.Bool
}

// Drain makes the process not ready, so that nobody sends it new requests while
// it finishes the ones that it has.
func (r *Readiness) Drain() { r.draining.Store(true) }

// Draining reports whether the process is about to stop.
func (r *Readiness) Draining() bool { return r.draining.Load() }

func (r *Readiness) ask(ctx context.Context) api.Readiness {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	answer := api.Readiness{Status: api.ReadinessStatusReady, Dependencies: map[string]api.DependencyState{}}
	if r.Draining() {
		answer.Status = api.ReadinessStatusUnavailable
	}
	probe := func(name string, probe Probe, required bool) {
		err := probe(ctx)
		mu.Lock()
		defer mu.Unlock()
		answer.Dependencies[name] = api.DependencyStateUp
		if err == nil {
			return
		}
		slog.WarnContext(ctx, "dependency down", "dependency", name, "error", err)
		answer.Dependencies[name] = api.DependencyStateDown
		if required {
			answer.Status = api.ReadinessStatusUnavailable
		}
	}
	for name, p := range r.Required {
		wg.Go(func() { probe(name, p, true) })
	}
	for name, p := range r.Optional {
		wg.Go(func() { probe(name, p, false) })
	}
	wg.Wait()
	return answer
}

// ServeHTTP answers as GET /readyz does, for the private listener: a worker has
// no other one.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	answer := r.ask(request.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if answer.Status != api.ReadinessStatusReady {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		slog.DebugContext(request.Context(), "readiness not written", "error", err)
	}
}

// GetHealth implements GET /healthz.
func (s *Server) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return api.GetHealth200JSONResponse{Status: api.HealthStatusOk}, nil
}

// GetReadiness implements GET /readyz.
func (s *Server) GetReadiness(ctx context.Context, _ api.GetReadinessRequestObject) (api.GetReadinessResponseObject, error) {
	answer := s.Readiness.ask(ctx)
	if answer.Status != api.ReadinessStatusReady {
		return api.GetReadiness503JSONResponse(answer), nil
	}
	return api.GetReadiness200JSONResponse(answer), nil
}

// GetJSONWebKeySet implements GET /.well-known/jwks.json.
func (s *Server) GetJSONWebKeySet(context.Context, api.GetJSONWebKeySetRequestObject) (api.GetJSONWebKeySetResponseObject, error) {
	var set api.JSONWebKeySet
	if err := json.Unmarshal(s.Keys.Keys().JWKS(), &set); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return api.GetJSONWebKeySet200JSONResponse{
		Body: set, Headers: api.GetJSONWebKeySet200ResponseHeaders{CacheControl: ptr("public, max-age=300")},
	}, nil
}

// GetOpenAPIYAML implements GET /openapi.yaml.
func (s *Server) GetOpenAPIYAML(ctx context.Context, _ api.GetOpenAPIYAMLRequestObject) (api.GetOpenAPIYAMLResponseObject, error) {
	contract, err := s.Docs.contract()
	return served{request: requestFrom(ctx), document: contract.yaml}, err
}

// GetOpenAPIJSON implements GET /openapi.json.
func (s *Server) GetOpenAPIJSON(ctx context.Context, _ api.GetOpenAPIJSONRequestObject) (api.GetOpenAPIJSONResponseObject, error) {
	contract, err := s.Docs.contract()
	return served{request: requestFrom(ctx), document: contract.json}, err
}

// GetDocs implements GET /docs.
func (s *Server) GetDocs(ctx context.Context, _ api.GetDocsRequestObject) (api.GetDocsResponseObject, error) {
	return served{request: requestFrom(ctx), document: s.Docs.page, policy: docsPolicy}, nil
}
