package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/namecheck"
	"github.com/picaspot/picaspot/internal/store"
)

type namesCmd struct {
	JSON bool `help:"Print one JSON object a line."`
}

// Run lists names from before there was a rule for them. It reads the database alone.
func (n namesCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.CheckDatabase(); err != nil {
		return err
	}
	s, err := store.Open(ctx, c.DatabaseURL, store.Options{MaxConns: 1})
	if err != nil {
		return fmt.Errorf("PICASPOT_DATABASE_URL: %w", err)
	}
	defer s.Close()
	encoder := json.NewEncoder(stdout)
	return namecheck.Find(ctx, s.Pool, func(f namecheck.Finding) error {
		if n.JSON {
			return encoder.Encode(f)
		}
		said := f.Reason
		switch {
		case f.ClashesWith != nil:
			said = "has the name of " + f.ClashesWith.String()
		case f.Becomes != "":
			said = fmt.Sprintf("would become %+q", f.Becomes)
		}
		printf("%s\t%s\t%+q\t%s\n", f.Kind, f.ID, f.Name, said)
		return nil
	})
}
