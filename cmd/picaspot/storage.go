package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/sweep"
)

type storageCmd struct {
	Check storageCheckCmd `cmd:"" help:"Find files that no row names, and rows whose file is missing. Changes nothing unless told to."`
}

type storageCheckCmd struct {
	Age      time.Duration `default:"24h" help:"How old a file that no row names has to be; at least 1h, since younger ones may belong to a request."`
	Remove   bool          `help:"Remove files that no row names, as a job does once a day; ten thousand at a time."`
	JSON     bool          `name:"json" help:"Print JSON."`
	AnyShare bool          `help:"Remove them also when they are more than a tenth of all files."`
}

// Run prints what it found. Rows whose file is missing are an error, and so are files
// without a row that stay.
func (s storageCheckCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		report, err := a.Sweep.Check(ctx, sweep.Options{Age: s.Age, Remove: s.Remove, AnyShare: s.AnyShare})
		if err := errors.Join(err, printStorage(report, s)); err != nil {
			return err
		}
		switch {
		case report.MissingCount > 0:
			return fmt.Errorf("%d rows name a file that is missing", report.MissingCount)
		case report.OrphanCount > report.Removed:
			return errors.New("files that no row names are left; --remove removes them")
		}
		return nil
	})
}

func printStorage(r sweep.Report, s storageCheckCmd) error {
	if s.JSON {
		return printJSON(r)
	}
	for _, key := range r.Orphans {
		printf("orphan %q\n", key)
	}
	for _, row := range r.Missing {
		printf("missing %q, the %s of %s in %s\n", row.Key, row.Column, row.ID, row.Table)
	}
	printf("# %d files and %d rows that name one were compared.\n", r.Files, r.Rows)
	printf("# %d files that no row names are older than %s, and %d younger. %d were removed.\n", r.OrphanCount, s.Age, r.Young, r.Removed)
	printf("# %d rows name a file that is missing.\n", r.MissingCount)
	if r.UploadCount > 0 {
		printf("# %d uploads were begun before that and never ended. %d were removed.\n", r.UploadCount, r.UploadsRemoved)
	}
	return nil
}
