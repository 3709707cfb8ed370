package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/policy"
)

type policyCmd struct {
	Export  policyExportCmd  `cmd:"" help:"Print the live policy."`
	Diff    policyDiffCmd    `cmd:"" help:"Print what applying a file would change."`
	Apply   policyApplyCmd   `cmd:"" help:"Make a file the live policy, once it was validated."`
	Check   policyCheckCmd   `cmd:"" help:"Say whether a role or a user may do something by the live policy, and why. Exit code 0: yes; 1: no; 2: there is no such permission."`
	Test    policyTestCmd    `cmd:"" help:"Hold a policy against a table of who may do what."`
	History policyHistoryCmd `cmd:"" help:"List the versions of the policy, with what each changed."`
	Revert  policyRevertCmd  `cmd:"" help:"Go back to a version of the policy."`
}

type policyExportCmd struct{}

// Run prints the policy as it is kept, comments included.
func (policyExportCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		return printFile(a.Policy.Live().Text())
	})
}

type policyDiffCmd struct {
	File string `arg:"" type:"existingfile" help:"Policy file."`
}

// Run prints lines that would go behind a minus, and lines that would come behind a plus.
func (p policyDiffCmd) Run(ctx context.Context, c *config.Config) error {
	text, err := os.ReadFile(p.File)
	if err != nil {
		return err
	}
	return withApp(ctx, c, func(a *app.App) error {
		for _, line := range authz.Diff(a.Policy.Live().Text(), string(text)) {
			printf("%s\n", line)
		}
		return explained(authz.Validate(string(text), a.Policy.Known()))
	})
}

type policyApplyCmd struct {
	File    string `arg:"" type:"existingfile" help:"Policy file."`
	Comment string `help:"Why, for those who read the history."`
	Version int64  `help:"Version that the file was made from; refuses when somebody changed the policy since."`
}

// Run applies the file; every replica goes by it within a second.
func (p policyApplyCmd) Run(ctx context.Context, c *config.Config) error {
	text, err := os.ReadFile(p.File)
	if err != nil {
		return err
	}
	return withApp(ctx, c, func(a *app.App) error {
		pre := version.Precondition{}
		if p.Version > 0 {
			tag := rbac.PolicyETag(p.Version)
			pre = version.IfMatch(&tag)
		}
		before := a.Policy.Live().Version()
		made, err := a.Policy.Replace(ctx, pre, p.Comment, string(text))
		if err != nil {
			return explained(err)
		}
		if made.Version == before {
			printf("The policy says that already; it stays at version %d.\n", made.Version)
			return nil
		}
		printf("The policy is at version %d.\n", made.Version)
		return nil
	})
}

// explained puts the faulty lines of a policy into the error that the shell shows.
func explained(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	lines := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		lines[i] = f.Message
	}
	return errors.New(e.Message + "\n" + strings.Join(lines, "\n"))
}

type policyCheckCmd struct {
	Who        string `arg:"" help:"A role, or the e-mail address of a user."`
	Permission string `arg:"" help:"A permission, as area:update."`
	Object     string `help:"An object, as area:01932c07-209c-7f7e-8d0a-7e1b5f1f0c11; for a user."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

const (
	errDenied             = silentError(1)
	exitUnknownPermission = 2
)

// Run prints the decision, the line that it is by, and the way there.
func (p policyCheckCmd) Run(ctx context.Context, c *config.Config) error {
	permission, err := authz.ParsePermission(p.Permission)
	if err != nil {
		return exitError{err, exitUnknownPermission}
	}
	q := rbac.AccessQuestion{Role: p.Who, Permission: permission}
	if p.Object != "" {
		kind, text, _ := strings.Cut(p.Object, ":")
		id, err := uuid.Parse(text)
		if err != nil {
			return fmt.Errorf("--object: %w", err)
		}
		q.EntityType, q.EntityID = kind, &id
	}
	return withApp(ctx, c, func(a *app.App) error {
		if !slices.Contains(a.Policy.Known(), permission) {
			return exitError{fmt.Errorf("no operation asks for %s", permission), exitUnknownPermission}
		}
		if strings.Contains(p.Who, "@") {
			user, err := a.Accounts.FindByEmail(ctx, p.Who)
			if err != nil {
				return err
			}
			q.UserID = &user.ID
		} else if q.EntityID != nil {
			return errors.New("--object: whose object it is matters for a user only")
		}
		answer, err := a.Roles.Check(ctx, q)
		if err != nil {
			return err
		}
		if err := p.print(answer); err != nil {
			return err
		}
		if !answer.Allowed {
			return errDenied
		}
		return nil
	})
}

func (p policyCheckCmd) print(answer rbac.Access) error {
	if p.JSON {
		type line struct {
			Number int    `json:"number"`
			Text   string `json:"text"`
		}
		printed := struct {
			Allowed    bool     `json:"allowed"`
			Decision   string   `json:"decision"`
			Reason     string   `json:"reason"`
			Line       *line    `json:"line"`
			Path       []string `json:"path"`
			Considered []line   `json:"considered"`
		}{Allowed: answer.Allowed, Decision: answer.Decision.String(), Reason: answer.Reason, Path: answer.Path, Considered: []line{}}
		if answer.Line != nil {
			printed.Line = &line{answer.Line.Number, answer.Line.Text}
		}
		for _, l := range answer.Considered {
			printed.Considered = append(printed.Considered, line{l.Number, l.Text})
		}
		return printJSON(printed)
	}
	verdict := "no"
	if answer.Allowed {
		verdict = "yes, " + answer.Decision.String()
	}
	printf("%s\n%s\n", verdict, answer.Reason)
	if answer.Line != nil {
		printf("  line %d: %s\n  by way of: %s\n", answer.Line.Number, answer.Line.Text, strings.Join(answer.Path, " > "))
	}
	for _, line := range answer.Considered {
		printf("  also line %d: %s\n", line.Number, line.Text)
	}
	return nil
}

type policyTestCmd struct {
	Policy string `arg:"" optional:"" type:"existingfile" help:"Policy file; the built-in one by default."`
	Table  string `type:"existingfile" help:"Table of who may do what; the built-in one by default."`
}

// Run prints what the policy decides otherwise than the table says.
func (p policyTestCmd) Run() error {
	text, table := policy.CSV, policy.Table
	if p.Policy != "" {
		content, err := os.ReadFile(p.Policy)
		if err != nil {
			return err
		}
		text = string(content)
	}
	if p.Table != "" {
		content, err := os.ReadFile(p.Table)
		if err != nil {
			return err
		}
		table = content
	}
	snapshot, err := authz.NewSnapshot(1, policy.Model, text)
	if err != nil {
		return err
	}
	failures, err := authz.RunTable(snapshot, table)
	if err != nil {
		return err
	}
	for _, failure := range failures {
		printf("%s\n", failure)
	}
	if len(failures) > 0 {
		return fmt.Errorf("the policy decides %d cases otherwise than the table says", len(failures))
	}
	printf("The policy decides as the table says.\n")
	return nil
}

type policyHistoryCmd struct {
	Limit int  `default:"20" help:"How many versions."`
	JSON  bool `name:"json" help:"Print JSON."`
}

// Run prints the newest versions first.
func (p policyHistoryCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		versions, err := a.Policy.Versions(ctx, page.Params{Size: min(max(p.Limit, 1), page.MaxSize)})
		if err != nil {
			return err
		}
		if p.JSON {
			return printVersions(versions.Items())
		}
		table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		for _, v := range versions.Items() {
			by := "operator"
			if v.CreatedBy != nil {
				by = v.CreatedBy.String()
			}
			fprintf(table, "%d\t%s\t%s\t%s\n", v.Version, v.CreatedAt.UTC().Format(time.RFC3339), by, v.Comment)
			if v.Version == 1 {
				continue // All of it came.
			}
			for _, line := range v.Diff {
				fprintf(table, "\t%s\n", line)
			}
		}
		return table.Flush()
	})
}

func printVersions(versions []rbac.PolicyVersion) error {
	type version struct {
		Version   int64      `json:"version"`
		CreatedAt time.Time  `json:"created_at"`
		CreatedBy *uuid.UUID `json:"created_by"`
		Comment   string     `json:"comment"`
		Diff      []string   `json:"diff"`
	}
	list := make([]version, len(versions))
	for i, v := range versions {
		list[i] = version{v.Version, v.CreatedAt, v.CreatedBy, v.Comment, v.Diff}
	}
	return printJSON(list)
}

type policyRevertCmd struct {
	Version int64 `arg:"" help:"Version to go back to."`
}

// Run makes the text of an earlier version the newest one.
func (p policyRevertCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		made, err := a.Policy.Revert(ctx, version.Precondition{}, p.Version)
		if err != nil {
			return explained(err)
		}
		printf("The policy is at version %d, with the text of version %d.\n", made.Version, p.Version)
		return nil
	})
}
