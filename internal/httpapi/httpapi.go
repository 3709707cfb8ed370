// Package httpapi implements the operations of the contract, one file for each
// tag: it translates what the spec says to what the domain says, calls it, and
// translates back. Handlers return the success or an error, never a problem:
// those are written in one place.
package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/imports"
	"github.com/picaspot/picaspot/internal/keyring"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/moderation"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/problem"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/tile"
	"github.com/picaspot/picaspot/internal/trash"
	"github.com/picaspot/picaspot/internal/unlock"
	"github.com/picaspot/picaspot/internal/upload"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/internal/webhook"
)

// Server has what the operations call.
type Server struct {
	Accounts   *account.Service
	Roles      *rbac.Roles
	Policy     *rbac.Policy
	Areas      *area.Service
	Landmarks  *landmark.Service
	Tiles      *tile.Service
	Unlocks    *unlock.Service
	Followers  *unlock.Followers
	Moderation *moderation.Service
	Trash      *trash.Service
	Audit      *auditlog.Service
	Webhooks   *webhook.Service
	Imports    *imports.Service
	Uploads    *upload.Service
	Keys       *keyring.Keyring
	Addresses  *picture.Addresses
	Readiness  *Readiness
	Docs       *Docs
	// Cache has copies of lists; nil keeps none.
	Cache *cache.Cache
	// EventHeartbeat is how often a stream of events says that it goes on.
	EventHeartbeat time.Duration
	// Operations are those that ask for a permission, by their operationId.
	Operations map[authz.Permission][]string
}

var _ api.StrictServerInterface = (*Server)(nil)

// Mount adds all operations of the contract to the router.
func (s *Server) Mount(router *operation.Router) {
	strict := api.NewStrictHandlerWithOptions(s, []api.StrictMiddlewareFunc{withRequest, s.withAddresses}, api.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  badRequest,
		ResponseErrorHandlerFunc: writeError,
	})
	api.HandlerWithOptions(strict, api.StdHTTPServerOptions{BaseRouter: router, ErrorHandlerFunc: operation.BindingError})
	s.Docs.mount(router)
	s.mountPages(router)
}

// withAddresses has pictures named by addresses that browsers can fetch.
func (s *Server) withAddresses(next api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		return next(picture.WithAddresses(ctx, s.Addresses), w, r, request)
	}
}

// writeError is the exit of every handler that failed.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	problem.Write(w, r, store.Classify(err))
}

// badRequest is the exit of a body that passed validation and still can't be read.
func badRequest(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	if !errors.As(err, &tooLarge) {
		err = fault.New(fault.Invalid, "body_malformed", "The body can't be read.").Wrap(err)
	}
	problem.Write(w, r, err)
}

// etag is the entity tag of a row, and whether the client has that version already.
func etag(version string, ifNoneMatch *string) (tag *string, notModified bool) {
	return &version, ifNoneMatch != nil && matches(*ifNoneMatch, version)
}

// cleared is a text of a merge patch: nil when it is absent, empty when it is null.
func cleared(text nullable.Nullable[string]) *string {
	if !text.IsSpecified() {
		return nil
	}
	value, _ := text.Get() // Empty when it is null.
	return &value
}

func matches(list, tag string) bool { return version.Matches(list, tag, true) }

func ptr[T any](value T) *T { return &value }

func deref[T any](value *T, fallback T) T {
	if value == nil {
		return fallback
	}
	return *value
}
