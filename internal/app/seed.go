package app

import (
	"context"

	"github.com/picaspot/picaspot/internal/seed"
)

// Seed fills in the default accounts and a small world, for trying things out.
func (a *App) Seed(ctx context.Context) error {
	seeder := seed.Seeder{Store: a.Store, Accounts: a.Accounts, Areas: a.Areas, Landmarks: a.Landmarks}
	return seeder.Fill(ctx, a.config.DevPassword)
}
