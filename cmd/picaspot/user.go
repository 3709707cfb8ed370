package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/term"

	"github.com/picaspot/picaspot/ent"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/email"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/version"
)

type userCmd struct {
	Create   userCreateCmd   `cmd:"" help:"Create an account that can log in at once, as the first admin of an installation."`
	SetRole  userSetRoleCmd  `cmd:"" help:"Give an account another role; it holds from the next request on."`
	Suspend  userSuspendCmd  `cmd:"" help:"Suspend an account and end its sessions."`
	Activate userActivateCmd `cmd:"" help:"Let a suspended account log in again."`
}

type userCreateCmd struct {
	Username string `required:"" help:"User name."`
	Email    string `required:"" help:"E-mail address; it counts as proven."`
	Role     string `default:"user" help:"Role, as the policy names it."`
}

// username is what the contract demands of one.
var username = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{1,30}[A-Za-z0-9])$`)

// Run creates the account. The password comes from standard input, so that it is
// in no list of processes and no history.
func (u userCreateCmd) Run(ctx context.Context, c *config.Config) error {
	if !username.MatchString(u.Username) {
		return errors.New("--username: 3 to 32 letters, digits, dots, dashes and underscores are expected")
	}
	if err := email.Check(u.Email); err != nil {
		return fmt.Errorf("--email is not an address: %w", err)
	}
	plain, err := readPassword()
	if err != nil {
		return err
	}
	if faults := password.Check("", plain, u.Username, u.Email); len(faults) > 0 {
		return errors.New(faults[0].Message)
	}
	return withApp(ctx, c, func(a *app.App) error {
		created, err := a.Accounts.Create(ctx, account.Registration{Username: u.Username, Email: u.Email, Password: plain}, u.Role)
		if err != nil {
			return err
		}
		printf("Created %s <%s> with the role %s: %s\n", created.Username, created.Email, created.Role, created.ID)
		return nil
	})
}

func readPassword() (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", errors.Join(errors.New("the password is expected on standard input"), err)
		}
		return line, nil
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		warnf("%s", prompt)
		read, err := term.ReadPassword(int(os.Stdin.Fd()))
		warnf("\n")
		if err != nil {
			return "", err
		}
		typed[i] = string(read)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}

type userSetRoleCmd struct {
	Email string `arg:"" help:"The account's e-mail address."`
	Role  string `arg:"" help:"Role, as the policy names it."`
}

// Run changes the role.
func (u userSetRoleCmd) Run(ctx context.Context, c *config.Config) error {
	return manage(ctx, c, u.Email, account.Change{Role: &u.Role})
}

type userSuspendCmd struct {
	Email string `arg:"" help:"The account's e-mail address."`
}

// Run suspends the account.
func (u userSuspendCmd) Run(ctx context.Context, c *config.Config) error {
	status := entuser.StatusSuspended
	return manage(ctx, c, u.Email, account.Change{Status: &status})
}

type userActivateCmd struct {
	Email string `arg:"" help:"The account's e-mail address."`
}

// Run ends the suspension.
func (u userActivateCmd) Run(ctx context.Context, c *config.Config) error {
	status := entuser.StatusActive
	return manage(ctx, c, u.Email, account.Change{Status: &status})
}

func manage(ctx context.Context, c *config.Config, address string, change account.Change) error {
	return withApp(ctx, c, func(a *app.App) error {
		found, err := a.Accounts.FindByEmail(ctx, address)
		if err != nil {
			return err
		}
		var changed *ent.User
		if changed, err = a.Accounts.Manage(ctx, found.ID, change, version.Precondition{}); err != nil {
			return err
		}
		printf("%s has the role %s and is %s.\n", changed.Username, changed.Role, changed.Status)
		return nil
	})
}

// withApp runs fn on the application, without serving anything. It acts for the
// operator, whom the audit log knows as nobody.
func withApp(ctx context.Context, c *config.Config, fn func(*app.App) error) error {
	if err := c.Complete(); err != nil {
		return err
	}
	a, err := app.New(ctx, *c)
	if err != nil {
		return err
	}
	defer a.Close()
	return fn(a)
}
