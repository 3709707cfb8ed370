// Package policy embeds the authorisation policy that an empty database starts
// with: casbin's own two files, and a table of what they are meant to say. The
// files are for admins to read; package authz gives them their meaning.
package policy

import _ "embed"

var (
	// Model is model.conf: how casbin reads a line of the policy. It belongs to
	// the code and does not change while the program runs.
	//
	//go:embed model.conf
	Model string

	// CSV is policy.csv: the default roles and what they may do.
	//
	//go:embed policy.csv
	CSV string

	// Table is policy_test.yaml: what CSV is meant to say.
	//
	//go:embed policy_test.yaml
	Table []byte
)
