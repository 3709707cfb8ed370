package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"

	entsession "github.com/picaspot/picaspot/ent/session"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/policy"
)

// point makes faults of the text that a request led to point into the request. Faults
// of the policy in force, when there is no such text yet, stay as they are.
func point(err error, text string, sent authz.Sent) error {
	if text == "" {
		return err
	}
	return sent.Point(err, text)
}

// rolesOf returns the roles that a policy text speaks of.
func rolesOf(text string) ([]string, error) {
	snapshot, err := authz.NewSnapshot(0, policy.Model, text)
	if err != nil {
		return nil, err
	}
	return snapshot.Roles(), nil
}

// checkParents names the roles of which the policy knows nothing. That a role inherits
// from itself is a circle, which the validation names.
func checkParents(name string, parents, known []string) error {
	unknown := fault.New(fault.Unprocessable, "role_unknown", "The policy knows no such role.")
	for i, parent := range parents {
		if parent != name && !slices.Contains(known, parent) {
			unknown = unknown.With(fault.Field{
				Pointer: fmt.Sprintf("/inherits/%d", i), Code: "unknown", Message: "The policy knows " + strings.Join(known, ", ") + ".",
			})
		}
	}
	if len(unknown.Fields) > 0 {
		return unknown
	}
	return nil
}

// checkOwnSession keeps callers from shutting themselves out: nobody requires a second
// factor of their own role in a session that none has proven. Operators have no session.
func checkOwnSession(ctx context.Context, tx *store.Tx, name string) error {
	caller, ok := authz.CallerFrom(ctx)
	if !ok || caller.Role != name {
		return nil
	}
	proven, err := tx.Session.Query().Where(entsession.ID(caller.SessionID), entsession.SecondFactor(true)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("read the session: %w", err)
	}
	if !proven {
		return errUnproven
	}
	return nil
}
