// Package rbac keeps roles and the policy that says what each may do. The policy is kept
// in versions in the database, of which the newest is live; policy/policy.csv is the first
// one. An edit is one transaction, validated and audited; every replica takes it whole,
// within a second.
package rbac

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/policyversion"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/policy"
)

// channel is what a new version is announced on.
const channel = "picaspot_policy"

// managePolicy is what makes the next edit possible.
const managePolicy authz.Permission = "policy:manage"

var errNoVersion = fault.New(fault.NotFound, "not_found", "The policy has no such version.")

// Policy keeps the live policy: versions in the database, of which the newest is in force.
type Policy struct {
	store      *store.Store
	authorizer *authz.Authorizer
	known      []authz.Permission
	cursors    *page.Codec
	health     atomic.Pointer[health]
	failures   atomic.Int64
}

// health is what became of the last look for a newer version.
type health struct {
	at  time.Time
	err error
}

// OpenPolicy loads the live policy, and makes the built-in one the first version of a new
// installation. known are the permissions that operations ask for. Without a
// policy that loads nothing starts.
func OpenPolicy(ctx context.Context, s *store.Store, known []authz.Permission, cursors *page.Codec) (*Policy, error) {
	builtIn, err := authz.NewSnapshot(0, policy.Model, policy.CSV)
	if err != nil {
		return nil, fmt.Errorf("built-in policy: %w", err)
	}
	known = slices.Concat(known, builtIn.Permissions())
	slices.Sort(known)
	service := &Policy{store: s, authorizer: authz.New(builtIn), known: slices.Compact(known), cursors: cursors}
	if err := service.seed(ctx); err != nil {
		return nil, err
	}
	return service, service.Reload(ctx)
}

// Authorizer decides by the live policy.
func (s *Policy) Authorizer() *authz.Authorizer { return s.authorizer }

// Known returns the permissions that a policy may speak of, sorted.
func (s *Policy) Known() []authz.Permission { return slices.Clone(s.known) }

func (s *Policy) seed(ctx context.Context) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.LockPolicy(ctx); err != nil {
			return err
		}
		exists, err := tx.PolicyVersion.Query().Exist(ctx)
		if err != nil || exists {
			return err
		}
		_, err = s.add(ctx, tx, 1, "", policy.CSV, "The policy that PicASpot comes with.")
		return err
	})
}

// add writes a version, with its record, and announces it.
func (s *Policy) add(ctx context.Context, tx *store.Tx, number int64, before, text, comment string) (*ent.PolicyVersion, error) {
	create := tx.PolicyVersion.Create().SetVersion(number).SetText(text).SetComment(comment)
	if caller, ok := authz.CallerFrom(ctx); ok {
		create.SetCreatedBy(caller.UserID)
	}
	added, err := create.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("add a version of the policy: %w", err)
	}
	diff, err := json.Marshal(authz.Diff(before, text))
	if err != nil {
		return nil, fmt.Errorf("record the change of the policy: %w", err)
	}
	err = audit.Insert(ctx, tx, audit.Event{
		Action: audit.PolicyChanged, EntityType: "policy", EntityID: added.ID,
		Changes: map[string]audit.Change{
			"version": {Before: json.RawMessage(strconv.FormatInt(number-1, 10)), After: json.RawMessage(strconv.FormatInt(number, 10))},
			"lines":   {After: diff},
		},
	})
	if err != nil {
		return nil, err
	}
	// It is sent when the transaction commits, and not if it does not.
	if _, err := tx.ExecContext(ctx, "-- name: rbac_announce_policy\nSELECT pg_notify($1, $2)", channel, strconv.FormatInt(number, 10)); err != nil {
		return nil, fmt.Errorf("announce the policy: %w", err)
	}
	return added, nil
}

// PolicyETag is the entity tag of a version of the policy.
func PolicyETag(number int64) string { return `"v` + strconv.FormatInt(number, 10) + `"` }

// Live returns the version that is in force here.
func (s *Policy) Live() *authz.Snapshot { return s.authorizer.Current() }

// Edit changes the policy: fn gets the present text and returns the next one. The
// result is validated: syntax, unknown permissions and roles, circles, the last
// role that may manage the policy, roles that somebody has, and the last account
// that may change the policy again. When the precondition does not hold, because somebody else was faster, the error says
// what they changed. An edit that changes nothing makes no version.
func (s *Policy) Edit(ctx context.Context, pre version.Precondition, comment string, fn func(text string) (string, error)) (*ent.PolicyVersion, error) {
	return s.EditWith(ctx, pre, comment, func(_ context.Context, _ *store.Tx, text string) (string, error) { return fn(text) })
}

// EditWith is [Policy.Edit] with what else belongs into the transaction. fn runs
// under the policy lock, and its context has the caller with the role that the database
// has for them.
func (s *Policy) EditWith(
	ctx context.Context, pre version.Precondition, comment string,
	fn func(ctx context.Context, tx *store.Tx, text string) (string, error),
) (*ent.PolicyVersion, error) {
	var made *ent.PolicyVersion
	err := s.store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Here it is in force before the answer, elsewhere within a second. It is made in
		// any case: a look that fails is repeated, and on record.
		tx.AfterCommit(func(ctx context.Context) { _ = s.Reload(ctx) })
		g, err := s.Govern(ctx, tx)
		if err != nil {
			return err
		}
		if err := g.Require(managePolicy); err != nil {
			return err
		}
		ctx, present := g.asCaller(ctx), g.newest
		switch err := pre.CheckETag(PolicyETag(present.Version)); {
		case errors.Is(err, version.ErrChanged):
			return s.overtaken(ctx, tx, pre, present)
		case err != nil:
			return err
		}
		text, err := fn(ctx, tx, present.Text)
		if err != nil {
			return err
		}
		// As spreadsheets write it; it means nothing.
		text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
		if text == present.Text {
			made = present
			return nil
		}
		if err := s.validate(ctx, tx, text); err != nil {
			return err
		}
		made, err = s.add(ctx, tx, present.Version+1, present.Text, text, comment)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// maxNamed bounds how many changed lines an error names.
const maxNamed = 50

// overtaken says what changed since the version that the caller saw.
func (s *Policy) overtaken(ctx context.Context, tx *store.Tx, pre version.Precondition, present *ent.PolicyVersion) error {
	changed := fault.New(fault.PreconditionFailed, "policy_changed", fmt.Sprintf("The policy is at version %d by now.", present.Version))
	for _, tag := range pre.Tags() {
		number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(tag, `"v`), `"`), 10, 64)
		if err != nil {
			continue
		}
		seen, err := tx.PolicyVersion.Query().Where(policyversion.Version(number)).Only(ctx)
		if store.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the policy: %w", err)
		}
		diff := authz.Diff(seen.Text, present.Text)
		changed.Message = fmt.Sprintf("The policy is at version %d by now; since version %d %d lines have changed.", present.Version, number, len(diff))
		for _, line := range diff[:min(len(diff), maxNamed)] {
			changed = changed.With(fault.Field{Code: "changed", Message: line})
		}
		break
	}
	return changed
}

// validate holds a text against the rules for policies, and against those who live
// by it: a role that somebody has stays, and so does an account that may change it.
func (s *Policy) validate(ctx context.Context, tx *store.Tx, text string) error {
	if err := authz.Validate(text, s.known); err != nil {
		return err
	}
	next, err := authz.NewSnapshot(0, policy.Model, text)
	if err != nil {
		return err
	}
	// A few roles, from an index on them alone.
	used, err := tx.User.Query().Unique(true).Select(entuser.FieldRole).Strings(ctx)
	if err != nil {
		return fmt.Errorf("read the roles in use: %w", err)
	}
	inUse := fault.New(fault.Conflict, "role_in_use", "Somebody has a role that the policy would not know any more.")
	known := next.Roles()
	for _, role := range used {
		if !slices.Contains(known, role) {
			inUse = inUse.With(fault.Field{Code: "in_use", Message: fmt.Sprintf("Give those who have the role %s another one first.", role)})
		}
	}
	if len(inUse.Fields) > 0 {
		return inUse
	}
	if _, ok := authz.CallerFrom(ctx); !ok {
		return nil // Operators need no account to change it again.
	}
	manageable, err := tx.User.Query().Where(managers(next)).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("look for an account that manages the policy: %w", err)
	case !manageable:
		return errLastManager
	}
	return nil
}

// Replace takes a whole policy text.
func (s *Policy) Replace(ctx context.Context, pre version.Precondition, comment, text string) (*ent.PolicyVersion, error) {
	return s.Edit(ctx, pre, comment, func(string) (string, error) { return text, nil })
}

// Revert makes the text of an earlier version the newest one.
func (s *Policy) Revert(ctx context.Context, pre version.Precondition, number int64) (*ent.PolicyVersion, error) {
	return s.EditWith(ctx, pre, fmt.Sprintf("Back to version %d.", number), func(ctx context.Context, tx *store.Tx, _ string) (string, error) {
		found, err := tx.PolicyVersion.Query().Where(policyversion.Version(number)).Only(ctx)
		switch {
		case store.IsNotFound(err):
			return "", errNoVersion
		case err != nil:
			return "", fmt.Errorf("read the policy: %w", err)
		}
		return found.Text, nil
	})
}

// PolicyVersion is a version with what it changed.
type PolicyVersion struct {
	*ent.PolicyVersion
	Diff []string
}

var versionList = page.List{
	Name: "policy versions", Default: "version", ID: page.Column{Name: policyversion.FieldVersion, Type: page.Integer},
	SortBy: map[string]page.Column{"version": {Name: policyversion.FieldVersion, Type: page.Integer, Order: page.Desc}},
}

// Versions returns a page of the history.
func (s *Policy) Versions(ctx context.Context, params page.Params) (page.Result[PolicyVersion], error) {
	q, err := versionList.Resolve(params, s.cursors, nil)
	if err != nil {
		return page.Result[PolicyVersion]{}, err
	}
	found, err := page.Fetch(ctx, q, page.Source[*ent.PolicyVersion]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.PolicyVersion, error) {
			return s.store.Ent.PolicyVersion.Query().Where(q.Where).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) { return s.store.Ent.PolicyVersion.Query().Count(ctx) },
		Key:   func(v *ent.PolicyVersion, _ string) any { return v.Version },
	})
	if err != nil {
		return page.Result[PolicyVersion]{}, err
	}
	before, err := s.textsBefore(ctx, found.Items())
	if err != nil {
		return page.Result[PolicyVersion]{}, err
	}
	return page.Map(found, func(v *ent.PolicyVersion) PolicyVersion {
		return PolicyVersion{v, authz.Diff(before[v.Version], v.Text)}
	}), nil
}

// WithDiff returns a version with what it changed.
func (s *Policy) WithDiff(ctx context.Context, v *ent.PolicyVersion) (PolicyVersion, error) {
	before, err := s.textsBefore(ctx, []*ent.PolicyVersion{v})
	return PolicyVersion{v, authz.Diff(before[v.Version], v.Text)}, err
}

// textsBefore returns the text of the version before each.
func (s *Policy) textsBefore(ctx context.Context, of []*ent.PolicyVersion) (map[int64]string, error) {
	numbers := make([]int64, len(of))
	for i, v := range of {
		numbers[i] = v.Version - 1
	}
	found, err := s.store.Ent.PolicyVersion.Query().Where(policyversion.VersionIn(numbers...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	texts := make(map[int64]string, len(found))
	for _, v := range found {
		texts[v.Version+1] = v.Text
	}
	return texts, nil
}

// Owner tells whose object something is: who may do with it what they hold for
// their own objects only. It is a [fault.NotFound] when there is none.
func (s *Policy) Owner(ctx context.Context, entityType string, id uuid.UUID) (owner uuid.UUID, err error) {
	switch entityType {
	case "area":
		found, e := s.store.Ent.Area.Get(ctx, id)
		if err = e; e == nil {
			owner = found.CreatedBy
		}
	case "landmark":
		found, e := s.store.Ent.Landmark.Get(ctx, id)
		if err = e; e == nil {
			owner = found.CreatedBy
		}
	case "attempt":
		found, e := s.store.Ent.Attempt.Get(ctx, id)
		if err = e; e == nil {
			owner = found.UserID
		}
	case "unlock":
		found, e := s.store.Ent.Unlock.Get(ctx, id)
		if err = e; e == nil {
			owner = found.UserID
		}
	default:
		return uuid.Nil, fmt.Errorf("objects of the kind %q have no owner", entityType)
	}
	if store.IsNotFound(err) {
		return uuid.Nil, fault.New(fault.NotFound, "not_found", "There is no such object.")
	}
	return owner, err
}
