package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/importer/source"
)

type importCmd struct {
	File string `arg:"" help:"GeoJSON or CSV, gzipped or not; - is standard input."`

	Area       string `help:"Area at the top that takes the landmarks; the file's name by default."`
	Owner      string `help:"E-mail address of the account that becomes the creator." default:"admin@picaspot.example"`
	Verified   bool   `help:"Mark what is new as verified."`
	Namespace  string `help:"Keeps the ids of different sources apart; the file's name by default."`
	Rejects    string `help:"File for the rows that can't be taken, one JSON object a line."`
	ShowReject int    `name:"show-rejects" default:"10" help:"How many of them to print."`

	Format    string   `enum:"auto,geojson,csv,tsv" default:"auto" help:"auto, geojson, csv or tsv."`
	Columns   []string `help:"Names of the columns of a CSV file without a header."`
	Encoding  string   `help:"Encoding of the file, as shift_jis; UTF-8 by default."`
	Polygons  bool     `help:"Take the middle of polygons; they are rejected otherwise."`
	ID        string   `name:"id-field" help:"Column or property of the id."`
	Name      string   `name:"name-field" help:"Column or property of the name."`
	Descr     string   `name:"description-field" help:"Column or property of the description."`
	Hint      string   `name:"hint-field" help:"Column or property of the hint."`
	AreaField string   `name:"area-field" help:"Column or property of the area's name."`
	Latitude  string   `name:"latitude-field" help:"Column of the latitude."`
	Longitude string   `name:"longitude-field" help:"Column of the longitude."`
}

// Run imports a file, shows how far it is, and reports what became of its rows.
func (i importCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.Complete(); err != nil {
		return err
	}
	a, err := app.New(ctx, *c)
	if err != nil {
		return err
	}
	defer a.Close()
	owner, err := a.Accounts.FindByEmail(ctx, i.Owner)
	if err != nil {
		return fmt.Errorf("owner %s: %w", i.Owner, err)
	}
	src, err := importer.Open(i.File, importer.SourceOptions{
		Options:  source.Options{Format: source.Format(i.Format), Columns: i.Columns, Encoding: i.Encoding},
		Polygons: i.Polygons,
		Mapping: importer.Mapping{
			ID: i.ID, Name: i.Name, Description: i.Descr, Hint: i.Hint, Area: i.AreaField, Latitude: i.Latitude, Longitude: i.Longitude,
		},
	})
	if err != nil {
		return err
	}
	defer src.Close()
	rejects := io.Discard
	if i.Rejects != "" {
		file, err := os.Create(i.Rejects)
		if err != nil {
			return err
		}
		defer file.Close()
		rejects = file
	}
	title := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(i.File), ".gz"), filepath.Ext(strings.TrimSuffix(i.File, ".gz")))
	if i.Namespace == "" {
		i.Namespace = title
	}
	if i.Area == "" {
		i.Area = title
	}
	size := src.Size
	if size == 0 {
		size = -1
	}
	bar := progressbar.NewOptions64(size, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("importing"), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true))
	encoder := json.NewEncoder(rejects)
	var writeErr error
	shown := 0
	report, err := importer.Import(ctx, a.Store, src, importer.Options{
		Namespace: i.Namespace, Area: i.Area, Owner: owner.ID, IsVerified: i.Verified,
		Progress: func(importer.Report) { _ = bar.Set64(src.BytesRead()) }, // It is only shown.
		Rejected: func(r importer.Rejected) {
			if err := encoder.Encode(r); err != nil && writeErr == nil {
				writeErr = err
			}
			if shown++; shown <= i.ShowReject {
				_ = bar.Clear()
				fmt.Fprintf(os.Stderr, "line %d %q: %s\n", r.Line, r.Name, strings.Join(r.Reasons, "; "))
			}
		},
	})
	_ = bar.Finish()
	if shown > i.ShowReject {
		fmt.Fprintf(os.Stderr, "… and %d more rows that can't be taken\n", shown-i.ShowReject)
	}
	fmt.Printf("read %d, created %d, updated %d, unchanged %d, rejected %d\n",
		report.Read, report.Created, report.Updated, report.Unchanged, report.Rejected)
	if err != nil {
		return err
	}
	return writeErr
}
