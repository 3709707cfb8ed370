// Package idempotency lets clients send a request that creates something again,
// without creating it again (draft-ietf-httpapi-idempotency-key-header): under the
// same key of the same user, the same request gets the answer of the first one.
//
// A request first claims its key, for as long as it may take. What it creates and
// its answer are then one transaction, which commits only while the claim is still
// its own: whatever dies when, either both are there or neither. Answers other
// than successes are not kept, for nothing was created: the key is free again.
// PostgreSQL alone knows of keys.
package idempotency

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
)

// Headers of requests under a key, and of answers that were given before.
const (
	Header         = "Idempotency-Key"
	ReplayedHeader = "Idempotency-Replayed"
)

// Retention is how long an answer is kept, from its request's arrival on.
const Retention = 24 * time.Hour

const (
	// claimMargin is by how much a claim outlasts the time that its request has.
	claimMargin = 5 * time.Second
	// releaseTimeout bounds how long a request that failed takes to free its key.
	releaseTimeout = 5 * time.Second
	// retryAfter is what a client is told to wait while the first request is under way.
	retryAfter = time.Second
)

var (
	errMalformed = fault.New(fault.Invalid, "invalid_request", "The request has 1 fault.").
			With(fault.Field{Parameter: Header, Code: "format", Message: Expected})
	errReused     = fault.New(fault.Unprocessable, "idempotency_key_reused", "The idempotency key belongs to another request. Use a new key for each.")
	errInProgress = fault.New(fault.Conflict, "idempotency_key_in_use", "A request under this idempotency key is under way. Send yours again in a moment.").
			After(retryAfter)
)

// Service keeps keys and answers.
type Service struct {
	store  *store.Store
	secret []byte
}

// NewService makes the service; answers are sealed under the installation's secret.
func NewService(s *store.Store, secret []byte) *Service {
	return &Service{store: s, secret: secret}
}

// Request is who sends a request, under which key.
type Request struct {
	UserID uuid.UUID
	// Key is the header's value.
	Key string
	// Timeout is how long the request may take.
	Timeout time.Duration
}

// Serve answers a request under a key: from what is kept, or through next. Its
// body is either still to be read, once, or r.GetBody gives it each time.
//
// An error stands for an answer that is still to be written: a [fault.Unprocessable]
// when the key belongs to another request, a [fault.Conflict] while one under it is
// under way, an [fault.Invalid] when it is no key.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, in Request, next http.Handler) error {
	key, ok := ParseKey(in.Key)
	if !ok {
		return errMalformed
	}
	c := newClaim(in.UserID, key)
	// The body of an upload is not read before it is known that it has to be.
	var asked []byte
	if !isUpload(r) {
		var err error
		if asked, err = fingerprint(r); err != nil {
			return err
		}
	}
	found, err := s.claim(r.Context(), c, asked, in.Timeout+claimMargin)
	if err != nil {
		return err
	}
	if found.claimed {
		return s.first(w, r, c, asked, next)
	}
	if asked == nil && found.answer != nil {
		if asked, err = fingerprint(r); err != nil {
			return err
		}
	}
	switch {
	case asked != nil && found.fingerprint != nil && !bytes.Equal(asked, found.fingerprint):
		return errReused
	case found.answer == nil:
		return errInProgress
	}
	kept, err := s.open(c, found.answer)
	if err != nil {
		return err
	}
	kept.Header.Set(ReplayedHeader, "true")
	kept.send(r.Context(), w)
	return nil
}

// first answers the request that has the key. asked is nil for an upload.
func (s *Service) first(w http.ResponseWriter, r *http.Request, c claim, asked []byte, next http.Handler) error {
	ctx, held := store.Hold(r.Context())
	recorded := false
	end := func() {
		held.Rollback()
		if !recorded {
			s.release(r.Context(), c)
		}
	}
	panicked := true
	defer func() {
		if panicked {
			end()
		}
	}()
	made, err := s.make(r.WithContext(ctx), asked, next)
	if err == nil && made.isSuccess() {
		err = s.keep(r.Context(), held, c, made)
		recorded = err == nil
	}
	panicked = false
	// The key is free before the client can know that it is.
	end()
	if err != nil {
		return store.Classify(err)
	}
	made.send(r.Context(), w)
	return nil
}

// make has next answer, and tells what it was asked.
func (s *Service) make(r *http.Request, asked []byte, next http.Handler) (*made, error) {
	m := &made{answer: answer{Header: http.Header{}}, fingerprint: asked}
	if asked != nil {
		next.ServeHTTP(m, r)
		return m, nil
	}
	passing := watch(r)
	defer passing.close()
	next.ServeHTTP(m, r)
	if !m.isSuccess() {
		return m, nil
	}
	var err error
	m.fingerprint, err = passing.fingerprint()
	return m, err
}

// keep writes an answer into the transaction that it tells of, and commits it.
func (s *Service) keep(ctx context.Context, held *store.Held, c claim, m *made) error {
	sealed, err := s.seal(c, &m.answer)
	if err != nil {
		return err
	}
	record := func(ctx context.Context, tx *store.Tx) error { return c.record(ctx, tx, m.fingerprint, sealed) }
	if held.Began() {
		return held.Commit(ctx, record)
	}
	return s.store.InTx(ctx, record)
}

// release frees a key under which nothing was created. A key that can't be freed
// is free once its claim ends.
func (s *Service) release(ctx context.Context, c claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if _, err := s.store.Pool.Exec(ctx, releaseSQL, c.userID, c.keyHash, c.id); err != nil {
		slog.WarnContext(ctx, "idempotency key not freed yet", "error", fmt.Errorf("release the key: %w", err))
	}
}
