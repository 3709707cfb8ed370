// Package seed fills an installation with a small world and with the accounts
// to look at it with, for trying things out. What is there already stays as it is.
package seed

import (
	"bytes"
	"context"
	_ "embed" // The world is in the binary.
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/store"
)

//go:embed world.csv
var world []byte

// The accounts, one of each role of the default policy.
var accounts = []struct{ username, email, role string }{
	{"user", "user@picaspot.example", authz.DefaultRole},
	{"moderator", "moderator@picaspot.example", authz.ModeratorRole},
	{"admin", "admin@picaspot.example", authz.AdminRole},
}

// Seeder fills an installation.
type Seeder struct {
	Store     *store.Store
	Accounts  *account.Service
	Areas     *area.Service
	Landmarks *landmark.Service
}

// FillAccounts makes the accounts with a password, and returns the admin.
func (s *Seeder) FillAccounts(ctx context.Context, password string) (admin *ent.User, err error) {
	for _, a := range accounts {
		user, err := s.Accounts.FindByEmail(ctx, a.email)
		if fault.KindOf(err) == fault.NotFound {
			user, err = s.Accounts.Create(ctx, account.Registration{Username: a.username, Email: a.email, Password: password}, a.role)
		}
		if err != nil {
			return nil, fmt.Errorf("seed account %s: %w", a.username, err)
		}
		admin = user
	}
	return admin, nil
}

// Fill makes the accounts with a password, and the world as the admin's.
func (s *Seeder) Fill(ctx context.Context, password string) error {
	admin, err := s.FillAccounts(ctx, password)
	if err != nil {
		return err
	}
	places, err := readWorld()
	if err != nil {
		return err
	}
	ctx = authz.WithCaller(ctx, authz.Caller{UserID: admin.ID, Role: admin.Role, Scope: authz.Any})
	areas := map[string]uuid.UUID{}
	for _, p := range places {
		root, err := s.area(ctx, areas, p.root, nil)
		if err != nil {
			return err
		}
		in, err := s.area(ctx, areas, p.area, &root)
		if err != nil {
			return err
		}
		if err := s.landmark(ctx, p, in); err != nil {
			return err
		}
	}
	return nil
}

// area returns the seeded area of a name, and makes it if it never was there.
func (s *Seeder) area(ctx context.Context, known map[string]uuid.UUID, name string, parent *uuid.UUID) (uuid.UUID, error) {
	external := "seed:" + name
	if id, ok := known[external]; ok {
		return id, nil
	}
	found, err := s.Store.Ent.Area.Query().Where(entarea.ExternalID(external)).First(mixin.WithDeleted(ctx))
	if ent.IsNotFound(err) {
		found, err = s.Areas.Create(ctx, area.Create{Name: name, ParentID: parent, ExternalID: external})
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("seed area %s: %w", name, err)
	}
	known[external] = found.ID
	return found.ID, nil
}

func (s *Seeder) landmark(ctx context.Context, p place, in uuid.UUID) error {
	external := "seed:" + p.name
	exists, err := s.Store.Ent.Landmark.Query().Where(entlandmark.ExternalID(external)).Exist(mixin.WithDeleted(ctx))
	if err != nil {
		return fmt.Errorf("seed landmark %s: %w", p.name, err)
	}
	if exists {
		return nil
	}
	_, err = s.Landmarks.Create(ctx, landmark.Create{
		AreaID: in, Name: p.name, Description: p.description, Hint: p.hint, Difficulty: p.difficulty,
		Location: p.location, AllowDuplicate: true, ExternalID: external,
	})
	// Its area was deleted by somebody who did not want it.
	if fault.KindOf(err) == fault.Unprocessable {
		return nil
	}
	return err
}

type place struct {
	root, area, name, description, hint string
	difficulty                          int
	location                            geo.Point
}

func readWorld() ([]place, error) {
	rows, err := csv.NewReader(bytes.NewReader(world)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the world: %w", err)
	}
	places := make([]place, 0, len(rows))
	for _, row := range rows[1:] {
		latitude, errLat := strconv.ParseFloat(row[3], 64)
		longitude, errLon := strconv.ParseFloat(row[4], 64)
		difficulty, errDiff := strconv.Atoi(row[5])
		at, err := geo.New(latitude, longitude)
		for _, err := range []error{errLat, errLon, errDiff, err} {
			if err != nil {
				return nil, fmt.Errorf("read the world: %s: %w", row[2], err)
			}
		}
		places = append(places, place{
			root: row[0], area: row[1], name: row[2], location: at, difficulty: difficulty, description: row[6], hint: row[7],
		})
	}
	return places, nil
}
