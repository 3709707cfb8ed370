// Package webhook tells other systems of what happens: addresses that admins name
// get signed requests (Standard Webhooks 1.0, https://www.standardwebhooks.com).
//
// An event is written in the transaction of the change that it tells of, as one
// delivery for each webhook that is for it, with a job. It reaches a receiver once
// or more, always under the same id, in no certain order.
package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"code.dny.dev/ssrf"
	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/mixin"
	entwebhook "github.com/picaspot/picaspot/ent/webhook"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/seal"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
)

// MaxWebhooks bounds how many there are: each change asks all of them, and each has a
// queue to itself.
const MaxWebhooks = 50

const (
	secretPrefix = "whsec_"
	// secretLength is that of a secret, in bytes, of the 24 to 64 that the standard allows.
	secretLength = 32
)

var (
	errNotFound = fault.New(fault.NotFound, "not_found", "There is no such webhook.")
	errLimit    = fault.New(fault.Conflict, "webhook_limit", fmt.Sprintf("There are %d webhooks, which is as many as there can be.", MaxWebhooks))
	errDisabled = fault.New(fault.Conflict, "webhook_disabled", "The webhook is disabled. Enable it first.")
)

// Service looks after webhooks and delivers to them.
type Service struct {
	store        *store.Store
	sealer       *seal.Sealer
	cursors      *page.Codec
	client       *http.Client
	guardian     *ssrf.Guardian
	allowPrivate bool
}

// Config of the service.
type Config struct {
	// Secret is the installation's, which secrets of webhooks are sealed under.
	Secret []byte
	// AllowPrivate delivers to addresses that only this machine or its network
	// reaches too, and without TLS.
	AllowPrivate bool
}

// NewService makes the service.
func NewService(s *store.Store, cursors *page.Codec, c Config) (*Service, error) {
	sealer, err := seal.New(c.Secret, "picaspot webhook secret")
	if err != nil {
		return nil, err
	}
	guardian := ssrf.New(ssrf.WithAnyPort())
	return &Service{
		store: s, sealer: sealer, cursors: cursors, allowPrivate: c.AllowPrivate,
		guardian: guardian, client: newClient(guardian, c.AllowPrivate),
	}, nil
}

// Create is what a new webhook is made of.
type Create struct {
	URL         string
	Description string
	Events      []Event
}

// Create adds a webhook of the caller's and returns its secret, which is not to be
// had again. An address that can't be one of a receiver is unprocessable.
func (s *Service) Create(ctx context.Context, in Create) (_ *ent.Webhook, secret string, err error) {
	if err := s.checkURL(in.URL); err != nil {
		return nil, "", err
	}
	caller, _ := authz.CallerFrom(ctx)
	id, secret := mixin.NewID(), newSecret()
	var made *ent.Webhook
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// One at a time, or two at once would both be the last one.
		if _, err := tx.ExecContext(ctx, "-- name: webhook_lock\nSELECT pg_advisory_xact_lock(hashtextextended('webhooks', 0))"); err != nil {
			return fmt.Errorf("lock the webhooks: %w", err)
		}
		taken, err := tx.Webhook.Query().Select(entwebhook.FieldLane).Ints(ctx)
		if err != nil {
			return fmt.Errorf("find the lanes of the webhooks: %w", err)
		}
		lane := 0
		for slices.Contains(taken, lane) {
			lane++
		}
		if lane == Lanes {
			return errLimit
		}
		made, err = tx.Webhook.Create().SetID(id).SetURL(in.URL).SetDescription(in.Description).SetEvents(names(in.Events)).SetLane(lane).
			SetSecret(s.sealer.Seal(id.String(), []byte(secret))).SetCreatedBy(caller.UserID).Save(ctx)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return made, secret, nil
}

// newSecret makes a secret in the form of the standard.
func newSecret() string {
	secret := make([]byte, secretLength)
	_, _ = rand.Read(secret) // It never fails.
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// names are the events as they are kept, each once.
func names(events []Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = string(e)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkURL refuses addresses that nothing is ever delivered to. What a name stands
// for is known only when it is dialled, and checked then.
func (s *Service) checkURL(text string) error {
	unfit := func(code, message string) error {
		return fault.New(fault.Unprocessable, "webhook_url_unfit", "Nothing can be delivered to this address.").
			With(fault.Field{Pointer: "/url", Code: code, Message: message})
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return unfit("format", "It has to be a URL with a host, as https://hooks.example.org/picaspot.")
	case u.Scheme != "https" && (u.Scheme != "http" || !s.allowPrivate):
		return unfit("scheme", "It has to begin with https://.")
	case u.User != nil:
		return unfit("credentials", "It must not hold a user name or password. Receivers verify the signature.")
	case u.Fragment != "":
		return unfit("fragment", "It must not have a part behind #.")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !s.allowPrivate && s.guardian.SafeAddr(ip.Unmap()) != nil {
		return unfit("address", "It has to be an address on the public internet.")
	}
	return nil
}

var list = page.List{
	Name: "webhooks", Default: "created_at",
	SortBy: map[string]page.Column{"created_at": {Name: entwebhook.FieldCreatedAt, Type: page.Time, Order: page.Asc}},
}

// List returns a page of the webhooks, oldest first.
func (s *Service) List(ctx context.Context, params page.Params) (page.Result[*ent.Webhook], error) {
	q, err := list.Resolve(params, s.cursors, nil)
	if err != nil {
		return page.Result[*ent.Webhook]{}, err
	}
	return page.Fetch(ctx, q, page.Source[*ent.Webhook]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.Webhook, error) {
			return s.store.Ent.Webhook.Query().Where(q.Where).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) { return s.store.Ent.Webhook.Query().Count(ctx) },
		Key: func(w *ent.Webhook, column string) any {
			if column == entwebhook.FieldID {
				return w.ID
			}
			return w.CreatedAt
		},
	})
}

// Get returns a webhook or [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.Webhook, error) {
	found, err := s.store.Ent.Webhook.Get(ctx, id)
	return found, missing(err)
}

// Update is a change of a webhook; nil leaves a field as it is.
type Update struct {
	URL         *string
	Description *string
	Events      *[]Event
	Enabled     *bool
}

// Update changes a webhook. One that is enabled again is told of what happens from
// then on; what was on its way when it was disabled is cancelled.
func (s *Service) Update(ctx context.Context, id uuid.UUID, in Update, pre version.Precondition) (*ent.Webhook, error) {
	if in.URL != nil {
		if err := s.checkURL(*in.URL); err != nil {
			return nil, err
		}
	}
	var changed *ent.Webhook
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := lock(ctx, tx, id, pre)
		if err != nil {
			return err
		}
		update := tx.Webhook.UpdateOne(found).SetNillableURL(in.URL).SetNillableDescription(in.Description)
		if in.Events != nil {
			update.SetEvents(names(*in.Events))
		}
		switch {
		case in.Enabled == nil || *in.Enabled == (found.DisabledReason == nil):
		case *in.Enabled:
			update.ClearDisabledReason().ClearDisabledAt().ClearFailingSince()
		default:
			update.SetDisabledReason(entwebhook.DisabledReasonAdmin).SetDisabledAt(mixin.Now())
		}
		if m := update.Mutation(); len(m.Fields()) == 0 && len(m.ClearedFields()) == 0 {
			changed = found
			return nil
		}
		changed, err = update.Save(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// Delete removes a webhook. What is on its way to it is cancelled; its deliveries are
// removed with time.
func (s *Service) Delete(ctx context.Context, id uuid.UUID, pre version.Precondition) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := lock(ctx, tx, id, pre); err != nil {
			return err
		}
		return tx.Webhook.DeleteOneID(id).Exec(ctx)
	})
}

// ReplaceSecret gives a webhook another secret and returns it. The one before signs
// along for the overlap, which may be zero.
func (s *Service) ReplaceSecret(ctx context.Context, id uuid.UUID, overlap time.Duration) (_ *ent.Webhook, secret string, err error) {
	secret = newSecret()
	var changed *ent.Webhook
	err = s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		found, err := lock(ctx, tx, id, version.Precondition{})
		if err != nil {
			return err
		}
		update := tx.Webhook.UpdateOne(found).SetSecret(s.sealer.Seal(id.String(), []byte(secret)))
		if overlap > 0 {
			update.SetPreviousSecret(found.Secret).SetPreviousUntil(mixin.Now().Add(overlap))
		} else {
			update.ClearPreviousSecret().ClearPreviousUntil()
		}
		changed, err = update.Save(ctx)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return changed, secret, nil
}

// lock reads a webhook for a change.
func lock(ctx context.Context, tx *store.Tx, id uuid.UUID, pre version.Precondition) (*ent.Webhook, error) {
	found, err := tx.Webhook.Query().Where(entwebhook.ID(id)).ForUpdate().Only(ctx)
	if err != nil {
		return nil, missing(err)
	}
	return found, pre.Check(found.UpdatedAt)
}

func missing(err error) error {
	if store.IsNotFound(err) {
		return errNotFound
	}
	return err
}
