package main

import (
	"context"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/config"
)

type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List the keys that sign access tokens."`
	Rotate keysRotateCmd `cmd:"" help:"Bring in the next key, and retire the present ones once their tokens have expired."`
}

type keysListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints when each key signs and retires.
func (k keysListCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		if !k.JSON {
			return printKeys(ctx, a)
		}
		keys, err := a.Keys.List(ctx)
		if err != nil {
			return err
		}
		type key struct {
			ID          uuid.UUID  `json:"id"`
			ActivatesAt time.Time  `json:"activates_at"`
			RetiresAt   *time.Time `json:"retires_at"`
		}
		list := make([]key, len(keys))
		for i, k := range keys {
			list[i] = key{k.ID, k.ActivatesAt, k.RetiresAt}
		}
		return printJSON(list)
	})
}

func printKeys(ctx context.Context, a *app.App) error {
	keys, err := a.Keys.List(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fprintf(table, "KEY\tSIGNS FROM\tREFUSED FROM\n")
	for _, key := range keys {
		retires := "-"
		if key.RetiresAt != nil {
			retires = key.RetiresAt.UTC().Format(time.RFC3339)
		}
		fprintf(table, "%s\t%s\t%s\n", key.ID, key.ActivatesAt.UTC().Format(time.RFC3339), retires)
	}
	return table.Flush()
}

type keysRotateCmd struct {
	Compromised bool `help:"Somebody else may have the present keys: refuse their tokens within seconds, instead of letting them expire."`
}

// Run rotates; running processes take the key in by themselves.
func (k keysRotateCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		var (
			added uuid.UUID
			err   error
		)
		if k.Compromised {
			added, err = a.Keys.Replace(ctx)
		} else {
			added, err = a.Keys.Rotate(ctx, c.AccessTokenTTL)
		}
		if err != nil {
			return err
		}
		printf("Added %s\n", added)
		return printKeys(ctx, a)
	})
}
