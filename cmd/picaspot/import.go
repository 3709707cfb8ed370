package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
	"github.com/schollz/progressbar/v3"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/importer/source"
)

type importCmd struct {
	File string `arg:"" help:"File to import; - is standard input."`

	Area       string `help:"Area at the top that takes the landmarks; the file's name by default. Without it, paths of areas begin at the top."`
	Owner      string `help:"E-mail address of the account that becomes the creator." default:"admin@picaspot.example"`
	Verified   bool   `help:"Mark what is new as verified, unless its row says otherwise."`
	Namespace  string `help:"Keeps the ids of different sources apart; the file's name by default."`
	DryRun     bool   `help:"Show the first rows as they would be taken, and the report of a run, without writing."`
	Strict     bool   `help:"End at the first row that can't be taken, with exit code 3. The batches of ${batch} rows before its own stay."`
	Rejects    string `help:"File for the rows that can't be taken, one JSON object a line."`
	ShowReject int    `name:"show-rejects" default:"10" help:"How many of them to print."`

	Format    string   `enum:"${formats}" default:"auto" help:"${formats}."`
	Entry     string   `help:"File to read within a zip archive that has several."`
	Columns   []string `help:"Names of the columns of a CSV or TSV file without a header."`
	Encoding  string   `help:"Encoding of the file, as shift_jis; by default that of its byte order mark, or UTF-8."`
	Polygons  bool     `help:"Take the middle of polygons; they are rejected otherwise."`
	ID        string   `name:"id-field" help:"Column or property of the id."`
	Name      string   `name:"name-field" help:"Column or property of the name."`
	Descr     string   `name:"description-field" help:"Column or property of the description."`
	Hint      string   `name:"hint-field" help:"Column or property of the hint."`
	AreaField string   `name:"area-field" help:"Column or property of the area's name."`
	Latitude  string   `name:"latitude-field" help:"Column or property of the latitude."`
	Longitude string   `name:"longitude-field" help:"Column or property of the longitude."`

	AreaPath       string `name:"area-path-field" help:"Column or property of the names of the areas down to the landmark's, a JSON array. As with all of these flags, - is none."`
	Difficulty     string `name:"difficulty-field" help:"Column or property of the difficulty, 1 to 5."`
	UnlockRadius   string `name:"unlock-radius-field" help:"Column or property of the unlock radius in metres."`
	PhotoLatitude  string `name:"photo-latitude-field" help:"Column or property of the latitude of the photo's spot."`
	PhotoLongitude string `name:"photo-longitude-field" help:"Column or property of its longitude."`
	PhotoRadius    string `name:"photo-radius-field" help:"Column or property of its radius in metres."`
	VerifiedField  string `name:"verified-field" help:"Column or property that tells whether it is verified."`
	CreatedAt      string `name:"created-at-field" help:"Column or property of the time of its creation (RFC 3339)."`
	UpdatedAt      string `name:"updated-at-field" help:"Column or property of the time of its last change."`
}

// importVars are what the flags' help refers to.
func importVars() kong.Vars {
	var names []string
	for _, format := range source.Formats() {
		names = append(names, string(format))
	}
	return kong.Vars{"formats": strings.Join(names, ","), "batch": strconv.Itoa(importer.DefaultBatch)}
}

// Help is what --help says of the command beside its flags.
func (importCmd) Help() string {
	return `Formats: GeoJSON (RFC 7946) and its sequences (RFC 8142, or a feature a line), JSON arrays of objects and objects a line, ` +
		`the JSON of Overpass, GPX waypoints, KML and KMZ, CSV and TSV; gzip or zip around any of them.

Columns: ` + importer.UsualColumns() + `

Exit codes: 0 all rows were taken; 3 some were rejected; 1 none was taken, or the file could not be read to its end.`
}

// Exit codes of an import beside 0.
const (
	exitFailed   = 1
	exitRejected = 3
)

// exitError is an error with the exit code of the process.
type exitError struct {
	error
	code int
}

func (e exitError) ExitCode() int { return e.code }

func (e exitError) Unwrap() error { return e.error }

// Run imports a file, shows how far it is, and reports what became of its rows.
func (i importCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.Complete(); err != nil {
		return err
	}
	src, err := importer.Open(i.File, i.sourceOptions())
	if err != nil {
		return err
	}
	defer src.Close()
	a, err := app.New(ctx, *c)
	if err != nil {
		return err
	}
	defer a.Close()
	owner, err := a.Accounts.FindByEmail(ctx, i.Owner)
	if err != nil {
		return fmt.Errorf("owner %s: %w", i.Owner, err)
	}
	if c.RedisURL == "" && !i.DryRun {
		warnf("PICASPOT_REDIS_URL is not set: servers that have a Redis are not told of the import, and may go on showing what was before\n")
	}
	rejects := io.Discard
	if i.Rejects != "" {
		file, err := os.Create(i.Rejects)
		if err != nil {
			return err
		}
		defer file.Close()
		rejects = file
	}
	title := strings.TrimSuffix(src.Name, filepath.Ext(src.Name))
	if i.Namespace == "" {
		i.Namespace = title
	}
	isRooted := i.Area == ""
	if isRooted {
		i.Area = title
	}
	size := src.Size
	if size == 0 {
		size = -1
	}
	bar := progressbar.NewOptions64(size, progressbar.OptionSetWriter(stderr), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("importing"), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true))
	encoder := json.NewEncoder(rejects)
	var writeErr error
	var first []importer.Row
	shown := 0
	report, err := importer.Import(ctx, a.Store, src, importer.Options{
		Namespace: i.Namespace, Area: i.Area, Owner: owner.ID, IsVerified: i.Verified, MayVerify: true, IsRooted: isRooted, IsStrict: i.Strict, IsDryRun: i.DryRun,
		Progress: func(importer.Report) { _ = bar.Set64(src.BytesRead()) }, // It is only shown.
		Accepted: func(row importer.Row) {
			if i.DryRun && len(first) < shownRows {
				first = append(first, row)
			}
		},
		Rejected: func(r importer.Rejected) {
			if err := encoder.Encode(r); err != nil && writeErr == nil {
				writeErr = err
			}
			if shown++; shown <= i.ShowReject {
				_ = bar.Clear()
				warnf("line %d \"%s\": %s\n", r.Line, r.Name, strings.Join(r.Reasons, "; "))
			}
		},
	})
	_ = bar.Finish()
	if shown > i.ShowReject {
		warnf("… and %d more rows that can't be taken\n", shown-i.ShowReject)
	}
	if i.DryRun {
		printRows(stdout, src.Format, i.Area, first)
	}
	printf("read %d, created %d, updated %d, unchanged %d, rejected %d\n",
		report.Read, report.Created, report.Updated, report.Unchanged, report.Rejected)
	return outcome(report, errors.Join(err, writeErr))
}

// sourceOptions say how the file is read.
func (i importCmd) sourceOptions() importer.SourceOptions {
	return importer.SourceOptions{
		Options:  source.Options{Format: source.Format(i.Format), Columns: i.Columns, Encoding: i.Encoding, Entry: i.Entry},
		Polygons: i.Polygons,
		Mapping: importer.Mapping{
			ID: i.ID, Name: i.Name, Description: i.Descr, Hint: i.Hint, Area: i.AreaField, Latitude: i.Latitude, Longitude: i.Longitude,
			AreaPath: i.AreaPath, Difficulty: i.Difficulty, UnlockRadius: i.UnlockRadius, PhotoLatitude: i.PhotoLatitude,
			PhotoLongitude: i.PhotoLongitude, PhotoRadius: i.PhotoRadius, Verified: i.VerifiedField, CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
		},
	}
}

// outcome is the error that an import ends with, which says by its exit code what
// became of the rows.
func outcome(report importer.Report, err error) error {
	switch {
	case errors.Is(err, importer.ErrRejected):
		return exitError{err, exitRejected}
	case err != nil:
		return exitError{err, exitFailed}
	case report.Read == 0:
		return exitError{errors.New("the file has no rows"), exitFailed}
	case report.Rejected == report.Read:
		return exitError{errors.New("no row could be taken"), exitFailed}
	case report.Rejected > 0:
		return exitError{fmt.Errorf("%d of %d rows were rejected", report.Rejected, report.Read), exitRejected}
	default:
		return nil
	}
}

// shownRows is how many rows a dry run shows.
const shownRows = 5

// printRows shows rows as they would be taken.
func printRows(w io.Writer, format source.Format, top string, rows []importer.Row) {
	fprintf(w, "This is a dry run: nothing was written. The file was read as %s.\n", format)
	if len(rows) == 0 {
		return
	}
	fprintf(w, "Its first rows would become:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fprintf(table, "line\texternal id\tname\tlatitude\tlongitude\tarea\tdescription\thint\n")
	for _, row := range rows {
		in := top
		if len(row.AreaPath) > 0 {
			in = strings.Join(row.AreaPath, " / ")
		} else if row.Area != "" {
			in += " / " + row.Area
		}
		fprintf(table, "%d\t%s\t%s\t%v\t%v\t%s\t%s\t%s\n", row.Line, row.ExternalID, cell(row.Name),
			row.Location.Latitude, row.Location.Longitude, cell(in), cell(row.Description), cell(row.Hint))
	}
	_ = table.Flush() // What could not be printed is not missed.
}

// cell is a text on one line, cut to the width of a table's cell.
func cell(text string) string {
	const width = 40
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > width {
		return string(line[:width-1]) + "…"
	}
	return string(line)
}
