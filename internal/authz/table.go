package authz

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Failure is one expectation of a policy table that the policy does not meet.
type Failure struct {
	// Line in the table, counted from 1.
	Line int
	// Case is the name of the case that the expectation stands in.
	Case       string
	Role       string
	Permission Permission
	Want, Got  Decision
}

// String returns the failure as a line for the reader of the table.
func (f Failure) String() string {
	return fmt.Sprintf("line %d: %s: %s %s: want %s, got %s", f.Line, f.Case, f.Role, f.Permission, f.Want, f.Got)
}

// tableCase is one entry of a table. Permissions stay nodes for their lines.
type tableCase struct {
	Name   string      `yaml:"name"`
	Role   string      `yaml:"role"`
	Any    []yaml.Node `yaml:"any"`
	Own    []yaml.Node `yaml:"own"`
	Denied []yaml.Node `yaml:"denied"`
}

// RunTable holds a policy against a table of what it is meant to say: a YAML
// list of cases with name, role, and the permissions that the role is to hold
// on any object, on its own, and not at all. It returns every expectation that
// is not met, in the order of the table. A table that can't be read, or that
// expects nothing, is an error.
func RunTable(s *Snapshot, table []byte) ([]Failure, error) {
	var cases []tableCase
	decoder := yaml.NewDecoder(bytes.NewReader(table))
	decoder.KnownFields(true)
	if err := decoder.Decode(&cases); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("policy table: %w", err)
	}
	var (
		failures []Failure
		checked  int
	)
	for i, c := range cases {
		if c.Name == "" || c.Role == "" {
			return nil, fmt.Errorf("policy table: case %d has no name or no role", i+1)
		}
		for _, group := range []struct {
			want  Decision
			nodes []yaml.Node
		}{{Any, c.Any}, {Own, c.Own}, {Denied, c.Denied}} {
			for _, node := range group.nodes {
				p, err := ParsePermission(node.Value)
				if err != nil {
					return nil, fmt.Errorf("policy table: line %d: %w", node.Line, err)
				}
				checked++
				if got := s.Decide(c.Role, p); got != group.want {
					failures = append(failures, Failure{node.Line, c.Name, c.Role, p, group.want, got})
				}
			}
		}
	}
	if checked == 0 {
		return nil, errors.New("policy table: it expects nothing")
	}
	return failures, nil
}
