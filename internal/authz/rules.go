package authz

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/casbin/casbin/v2/model"

	"github.com/picaspot/picaspot/internal/fault"
)

const (
	// maxPolicyBytes and maxPolicyLines bound what a policy text may cost:
	// casbin is linear in its lines for each new question.
	maxPolicyBytes = 1 << 20
	maxPolicyLines = 5_000
	// maxInheritance is how far casbin's role manager looks; beyond it,
	// inheritance would silently have no effect.
	maxInheritance = 10
)

// rule is one line of a policy: a permission ("p") or an inheritance ("g").
type rule struct {
	line int
	// kind is "p" or "g".
	kind string
	role string
	// parent is what the role inherits from; empty for a permission.
	parent     string
	permission Permission
	scope      string
	effect     string
}

// tokens are the rule as casbin keeps it, without its kind.
func (r rule) tokens() []string {
	if r.kind == "g" {
		return []string{r.role, r.parent}
	}
	return []string{r.role, r.permission.Resource(), r.permission.Action(), r.scope, r.effect}
}

// rules are the lines of a policy in their order. As a casbin adapter they load
// themselves into a model: casbin's own text adapter drops the lines that it
// can't read without a word, which for a "deny" would be fatal.
type rules []rule

// LoadPolicy puts the rules into a model.
func (rs rules) LoadPolicy(m model.Model) error {
	for _, r := range rs {
		if err := m.AddPolicy(r.kind, r.kind, r.tokens()); err != nil {
			return fmt.Errorf("line %d: %w", r.line, err)
		}
	}
	return nil
}

var errReadOnly = errors.New("a snapshot of the policy does not change")

// SavePolicy refuses: a snapshot does not change.
func (rules) SavePolicy(model.Model) error { return errReadOnly }

// AddPolicy refuses: a snapshot does not change.
func (rules) AddPolicy(string, string, []string) error { return errReadOnly }

// RemovePolicy refuses: a snapshot does not change.
func (rules) RemovePolicy(string, string, []string) error { return errReadOnly }

// RemoveFilteredPolicy refuses: a snapshot does not change.
func (rules) RemoveFilteredPolicy(string, string, int, ...string) error { return errReadOnly }

// roles returns every role that a line speaks of, sorted.
func (rs rules) roles() []string {
	var names []string
	for _, r := range rs {
		names = append(names, r.role)
		if r.kind == "g" {
			names = append(names, r.parent)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// permissions returns every permission that a line speaks of, sorted.
func (rs rules) permissions() []Permission {
	var all []Permission
	for _, r := range rs {
		if r.kind == "p" {
			all = append(all, r.permission)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// codeInvalid is the code of a policy with faults, and linePointer what is in front of
// the number of a line in the pointer of one.
const (
	codeInvalid = "invalid_policy"
	linePointer = "/lines/"
)

// linePrefix begins the message of a fault in a line.
func linePrefix(number int) string { return fmt.Sprintf("Line %d: ", number) }

// faults collects what is wrong with a policy text, by line.
type faults []lineFault

type lineFault struct {
	line          int
	code, message string
}

func (f *faults) add(line int, code, format string, args ...any) {
	*f = append(*f, lineFault{line, code, fmt.Sprintf(format, args...)})
}

// err returns all faults as one [fault.Invalid], in the order of the lines, or
// nil. A fault of the text as a whole is at line 0.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b lineFault) int { return a.line - b.line })
	fields := make([]fault.Field, len(f))
	for i, one := range f {
		fields[i] = fault.Field{Code: one.code, Message: one.message}
		if one.line > 0 {
			fields[i].Pointer = linePointer + strconv.Itoa(one.line)
			fields[i].Message = linePrefix(one.line) + one.message
		}
	}
	message := "The policy has a fault."
	if len(f) > 1 {
		message = fmt.Sprintf("The policy has %d faults.", len(f))
	}
	return fault.New(fault.Invalid, codeInvalid, message).With(fields...)
}

// parse reads a policy text as casbin does, one rule a line, and reports every
// fault that can be told from the text alone. The rules hold lines with a faulty
// word too, so that one misspelt scope does not make its role unknown: they are
// for use only when there are no faults, or to find further ones.
func parse(text string) (rules, faults) {
	var (
		rs    rules
		found faults
	)
	if len(text) > maxPolicyBytes || strings.Count(text, "\n") >= maxPolicyLines {
		found.add(0, "too_long", "A policy has fewer than %d lines and %d bytes at most.", maxPolicyLines, maxPolicyBytes)
		return nil, found
	}
	first := map[string]int{}
	// Spreadsheets put a byte order mark in front.
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		number := i + 1
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r, ok := parseLine(number, line, &found)
		if !ok {
			continue
		}
		same := r.kind + "," + strings.Join(r.tokens(), ",")
		if earlier, seen := first[same]; seen {
			found.add(number, "duplicate", "says the same as line %d.", earlier)
			continue
		}
		first[same] = number
		rs = append(rs, r)
	}
	checkInheritance(rs, &found)
	return rs, found
}

func parseLine(number int, line string, found *faults) (rule, bool) {
	reader := csv.NewReader(strings.NewReader(line))
	reader.TrimLeadingSpace = true
	tokens, err := reader.Read()
	if err != nil {
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			err = syntax.Err
		}
		found.add(number, "syntax", "is not valid CSV: %v.", err)
		return rule{}, false
	}
	for i := range tokens {
		tokens[i] = strings.TrimSpace(tokens[i])
	}
	switch tokens[0] {
	case "p":
		return parsePermissionLine(number, tokens, found)
	case "g":
		return parseInheritance(number, tokens, found)
	default:
		found.add(number, "unknown_kind", "begins with %q; a line begins with p (a permission) or g (an inheritance).", tokens[0])
		return rule{}, false
	}
}

func parsePermissionLine(number int, tokens []string, found *faults) (rule, bool) {
	if len(tokens) == 5 {
		tokens = append(tokens, "allow")
	}
	if len(tokens) != 6 {
		found.add(number, "columns", "has %d columns; a permission reads p, role, resource, action, scope, effect (the effect may be left out).", len(tokens))
		return rule{}, false
	}
	r := rule{line: number, kind: "p", role: tokens[1], scope: tokens[4], effect: tokens[5]}
	checkRoleName(number, r.role, found)
	permission, err := ParsePermission(tokens[2] + ":" + tokens[3])
	if err != nil {
		found.add(number, "bad_permission", "resource %q and action %q have to be words in lower case.", tokens[2], tokens[3])
	}
	r.permission = permission
	if r.scope != "any" && r.scope != "own" {
		found.add(number, "bad_scope", "has the scope %q; it has to be any or own.", r.scope)
	}
	if r.effect != "allow" && r.effect != "deny" {
		found.add(number, "bad_effect", "has the effect %q; it has to be allow or deny.", r.effect)
	}
	return r, true
}

func parseInheritance(number int, tokens []string, found *faults) (rule, bool) {
	if len(tokens) != 3 {
		found.add(number, "columns", "has %d columns; an inheritance reads g, role, inherited role.", len(tokens))
		return rule{}, false
	}
	checkRoleName(number, tokens[1], found)
	checkRoleName(number, tokens[2], found)
	return rule{line: number, kind: "g", role: tokens[1], parent: tokens[2]}, true
}

func checkRoleName(number int, name string, found *faults) {
	if !roleName.MatchString(name) {
		found.add(number, "bad_role", "%q is no name for a role: lower-case letters, digits, - and _, beginning with a letter, 64 at most.", name)
	}
}
