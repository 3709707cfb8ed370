package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
	AnyShare bool          `help:"Remove them also when they are more than a tenth of all files."`
}

// Run prints what it found. Rows whose file is missing are an error, and so are files
// without a row that stay.
func (s storageCheckCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		report, err := a.Sweep.Check(ctx, sweep.Options{Age: s.Age, Remove: s.Remove, AnyShare: s.AnyShare})
		printStorage(os.Stdout, report, s)
		switch {
		case err != nil:
			return err
		case report.MissingCount > 0:
			return fmt.Errorf("%d rows name a file that is missing", report.MissingCount)
		case report.OrphanCount > report.Removed:
			return errors.New("files that no row names are left; --remove removes them")
		}
		return nil
	})
}

func printStorage(w io.Writer, r sweep.Report, s storageCheckCmd) {
	for _, key := range r.Orphans {
		fmt.Fprintf(w, "orphan %q\n", key)
	}
	for _, row := range r.Missing {
		fmt.Fprintf(w, "missing %q, the %s of %s in %s\n", row.Key, row.Column, row.ID, row.Table)
	}
	fmt.Fprintf(w, "# %d files and %d rows that name one were compared.\n", r.Files, r.Rows)
	fmt.Fprintf(w, "# %d files that no row names are older than %s, and %d younger. %d were removed.\n", r.OrphanCount, s.Age, r.Young, r.Removed)
	fmt.Fprintf(w, "# %d rows name a file that is missing.\n", r.MissingCount)
	if r.UploadCount > 0 {
		fmt.Fprintf(w, "# %d uploads were begun before that and never ended. %d were removed.\n", r.UploadCount, r.UploadsRemoved)
	}
}
