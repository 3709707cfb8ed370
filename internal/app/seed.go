package app

import (
	"context"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/seed"
)

// Seed fills in the default accounts and a small world, for trying things out.
func (a *App) Seed(ctx context.Context) error {
	seeder := a.seeder()
	return seeder.Fill(ctx, a.config.DevPassword)
}

// SeedWorld fills in a large world that is made up, and the default accounts. It
// refuses where there is other data, unless it is told to add to it.
func (a *App) SeedWorld(ctx context.Context, size seed.Size, add bool) error {
	hash, err := password.NewHasher(a.config.PasswordHashes).Hash(ctx, a.config.DevPassword)
	if err != nil {
		return err
	}
	inventor := seed.Inventor{
		Store: a.Store, Storage: a.storage, Pictures: picture.NewGallery(a.storage, photo.NewDecoder(photo.DefaultLimits(), nil)),
		PasswordHash: hash, Role: authz.DefaultRole,
	}
	if err := inventor.Fill(ctx, size, add); err != nil {
		return err
	}
	seeder := a.seeder()
	_, err = seeder.FillAccounts(ctx, a.config.DevPassword)
	return err
}

func (a *App) seeder() seed.Seeder {
	return seed.Seeder{Store: a.Store, Accounts: a.Accounts, Areas: a.Areas, Landmarks: a.Landmarks}
}
