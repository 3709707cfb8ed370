package authz

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// maxDecisions is how many decisions a snapshot keeps. Real questions are a few
// roles times a few dozen permissions; the bound is for questions that an admin
// makes up.
const maxDecisions = 4096

// Snapshot is the policy of one version, compiled and immutable. casbin decides
// each question once; the decision is kept. It may be used concurrently.
type Snapshot struct {
	version  int64
	text     string
	rules    rules
	enforcer *casbin.Enforcer
	// kept is replaced, never written to, so that reading it takes no lock.
	kept atomic.Pointer[map[question]Decision]
	// keeping lets one writer at a time replace kept.
	keeping sync.Mutex
}

type question struct {
	role       string
	permission Permission
}

// NewSnapshot compiles a policy text under a casbin model. A text with faults
// that can be told from the text alone is refused as [fault.Invalid] with all
// of them; what only [Validate] checks (permissions that nobody asks for, a
// policy that locks everybody out) is taken.
func NewSnapshot(version int64, modelText, csvText string) (*Snapshot, error) {
	rs, found := parse(csvText)
	if err := found.err(); err != nil {
		return nil, err
	}
	m, err := model.NewModelFromString(modelText)
	if err != nil {
		return nil, fmt.Errorf("casbin model: %w", err)
	}
	enforcer, err := casbin.NewEnforcer(m, rs)
	if err != nil {
		return nil, fmt.Errorf("casbin policy: %w", err)
	}
	s := &Snapshot{version: version, text: csvText, rules: rs, enforcer: enforcer}
	s.kept.Store(&map[question]Decision{})
	// Faults of a matcher show at the first question: let it be this one.
	if _, err := s.ask(DefaultRole, managePolicy); err != nil {
		return nil, err
	}
	return s, nil
}

// Version returns the version that the snapshot was made for.
func (s *Snapshot) Version() int64 { return s.version }

// Text returns the policy as it was written.
func (s *Snapshot) Text() string { return s.text }

// Roles returns every role that the policy speaks of, sorted.
func (s *Snapshot) Roles() []string { return s.rules.roles() }

// Permissions returns every permission that the policy speaks of, sorted.
func (s *Snapshot) Permissions() []Permission { return s.rules.permissions() }

// Holders returns the roles that may do p on any object, sorted.
func (s *Snapshot) Holders(p Permission) []string {
	return slices.DeleteFunc(s.Roles(), func(role string) bool { return s.Decide(role, p) != Any })
}

// Exceeding returns the permissions, sorted, with which a role may go further than
// another one: those that the other lacks, or holds for its own objects only. It is
// empty when the other may do all that the role may.
func (s *Snapshot) Exceeding(role, other string) []Permission {
	return slices.DeleteFunc(s.Permissions(), func(p Permission) bool { return s.Decide(role, p) <= s.Decide(other, p) })
}

// Decide tells how far a role may go with a permission; a role or permission
// that the policy does not know is [Denied]. The first time a question is asked
// casbin answers it; from then on it is one look-up in a map.
//
// A "deny" takes the permission away altogether, whatever its scope: there is
// no decision that means everybody's objects except one's own.
func (s *Snapshot) Decide(role string, p Permission) Decision {
	q := question{role, p}
	if d, ok := (*s.kept.Load())[q]; ok {
		return d
	}
	d, err := s.ask(role, p)
	if err != nil {
		// Not kept, and refused: an answer that can't be had is a no.
		slog.Error("policy can't be evaluated", "role", role, "permission", string(p), "version", s.version, "error", err)
		return Denied
	}
	s.keep(q, d)
	return d
}

func (s *Snapshot) ask(role string, p Permission) (Decision, error) {
	for _, step := range []struct {
		scope   string
		instead Decision
	}{{"own", Denied}, {"any", Own}} {
		ok, err := s.enforcer.Enforce(role, p.Resource(), p.Action(), step.scope)
		if err != nil {
			return Denied, fmt.Errorf("casbin: %w", err)
		}
		if !ok {
			return step.instead, nil
		}
	}
	return Any, nil
}

// keep adds a decision to a copy of those kept; a full one starts anew.
func (s *Snapshot) keep(q question, d Decision) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	next := map[question]Decision{}
	if old := *s.kept.Load(); len(old) < maxDecisions {
		next = maps.Clone(old)
	}
	next[q] = d
	s.kept.Store(&next)
}
