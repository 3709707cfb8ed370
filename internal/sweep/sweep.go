// Package sweep compares the files of the storage with the rows that name them, and
// removes files that no row names.
//
// A file is stored before the row that names it is committed. A process that dies in
// between, a commit that did not arrive, and a write that was cut off leave a file
// that nothing else removes. Keys are never written twice, and no request lives for
// an hour, so a file that is older and that no row names will not be named any more.
//
// A column that names files is listed in columns, and whoever stores a file without a
// row gives it a name beneath one of the reserved prefixes.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	// MinAge is the least age at which a file without a row may be removed; a request
	// that stores one has ended by then.
	MinAge = time.Hour
	// DefaultAge is the age at which the periodic job removes such a file.
	DefaultAge = 24 * time.Hour

	// maxTries is how often a sweep that fails is tried.
	maxTries = 3

	// maxListed bounds the files and the rows that a report lists, and so what one sweep
	// removes.
	maxListed = 10_000
	// fewOrphans is how many files may be removed whatever their share.
	fewOrphans = 100
	// maxShare is the part of all files beyond which they are not removed: 1 in so many.
	// So many orphans mean another database than the one that the files belong to.
	maxShare = 10
)

// What keeps a sweep from removing files.
var (
	ErrShared   = errors.New("another installation keeps files in the same storage")
	ErrTooLarge = errors.New("no row names more than a tenth of the files: is it the right database?")
)

// markers is where each installation leaves its mark.
const markers = "installations"

// column names files in JSON, under the property key.
type column struct{ Table, Name string }

// columns are all that name files.
var columns = []column{
	{"areas", "image"}, {"attempts", "image"}, {"attempts", "photo"}, {"import_runs", "file"}, {"import_runs", "report"},
	{"landmarks", "image"}, {"upload_parts", "file"}, {"users", "avatar"},
}

// Service compares and removes.
type Service struct {
	store        *store.Store
	files        *storage.Store
	installation string
}

// NewService makes the service of an installation, which a name stands for that no
// other installation has and that is part of a key of the storage.
func NewService(s *store.Store, files *storage.Store, installation string) *Service {
	return &Service{store: s, files: files, installation: installation}
}

// Args are the periodic job that removes files that no row names.
type Args struct{}

// Kind names the job.
func (Args) Kind() string { return "storage_sweep" }

// InsertOpts implements river.JobArgsWithInsertOpts. A sweep that failed lists all files
// again, so it is tried a few times only; the next day has another one.
func (Args) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: maxTries} }

// Options of a check.
type Options struct {
	// Age is how old a file without a row has to be; at least [MinAge].
	Age time.Duration
	// Remove removes such files; without it nothing is changed.
	Remove bool
	// AnyShare removes them also when they are more than a tenth of all.
	AnyShare bool
}

// Row is one that names a file.
type Row struct {
	Table, Column string
	ID            uuid.UUID
	Key           string
}

// Report is what a check found. Lists are cut at ten thousand, counts are not.
type Report struct {
	// Files and Rows are how many were compared.
	Files int `json:"files"`
	Rows  int `json:"rows"`
	// OrphanCount is how many files no row names, and that are old enough.
	OrphanCount int      `json:"orphan_count"`
	Orphans     []string `json:"orphans"`
	// Young is how many files no row names yet.
	Young int `json:"young"`
	// MissingCount is how many rows name a file that is not there.
	MissingCount int   `json:"missing_count"`
	Missing      []Row `json:"missing"`
	// UploadCount is how many uploads to S3 were begun and never ended.
	UploadCount int `json:"upload_count"`
	// Removed and UploadsRemoved are how many of them are gone now.
	Removed        int `json:"removed"`
	UploadsRemoved int `json:"uploads_removed"`
}

// Sweep is the work of an [Args] job: it removes files that no row names, says in the
// log what it found, and may run any number of times.
func (s *Service) Sweep(ctx context.Context) error {
	report, err := s.Check(ctx, Options{Age: DefaultAge, Remove: true})
	for _, row := range report.Missing[:min(len(report.Missing), 20)] {
		slog.ErrorContext(ctx, "file missing", "table", row.Table, "column", row.Column, "id", row.ID, "key", row.Key)
	}
	slog.InfoContext(ctx, "storage swept", "files", report.Files, "rows", report.Rows, "orphans", report.OrphanCount,
		"removed", report.Removed, "missing", report.MissingCount, "unfinished_uploads_removed", report.UploadsRemoved)
	return err
}

// Register leaves the mark of the installation in the storage, by which others see
// that files there are not theirs alone.
func (s *Service) Register(ctx context.Context) error {
	return s.files.Put(ctx, markers+"/"+s.installation, strings.NewReader("An installation of PicASpot keeps files here.\n"), "text/plain")
}

// Check compares both sides. It reads each once, in the order of the keys, so it needs
// little memory for any number of files. With an error the report says what was found
// until then.
func (s *Service) Check(ctx context.Context, o Options) (Report, error) {
	report := Report{}
	if o.Age < MinAge {
		return report, fmt.Errorf("files have to be %s old: younger ones may belong to a request", MinAge)
	}
	if o.Remove {
		if err := s.requireAlone(ctx); err != nil {
			return report, err
		}
	}
	before := time.Now().Add(-o.Age)
	if err := s.compare(ctx, before, &report); err != nil {
		return report, err
	}
	if err := s.recheckMissing(ctx, &report); err != nil {
		return report, err
	}
	if o.Remove {
		if !o.AnyShare && report.OrphanCount > fewOrphans && report.OrphanCount > report.Files/maxShare {
			return report, ErrTooLarge
		}
		if err := s.remove(ctx, before, &report); err != nil {
			return report, err
		}
	}
	uploads, err := s.files.UnfinishedUploads(ctx, before, o.Remove)
	report.UploadCount = uploads
	if o.Remove {
		report.UploadsRemoved = uploads
	}
	return report, err
}

// requireAlone returns [ErrShared] when another installation left its mark.
func (s *Service) requireAlone(ctx context.Context) error {
	if err := s.Register(ctx); err != nil {
		return err
	}
	for file, err := range s.files.ListBeneath(ctx, markers) {
		if err != nil {
			return err
		}
		if file.Key != markers+"/"+s.installation {
			return fmt.Errorf("%w: %s; give it a storage of its own, or delete this file when it is no more", ErrShared, file.Key)
		}
	}
	return nil
}

// isReserved reports whether a file is there without a row on purpose.
func isReserved(key string) bool {
	return key == storage.ProbeKey || strings.HasPrefix(key, markers+"/")
}

// compare merges the files and the rows, both in the byte order of the keys.
func (s *Service) compare(ctx context.Context, before time.Time, report *Report) error {
	named, err := s.named(ctx)
	if err != nil {
		return err
	}
	defer named.close()
	if err := named.next(); err != nil {
		return err
	}
	last := ""
	for file, err := range s.files.List(ctx) {
		switch {
		case err != nil:
			return err
		case file.Key <= last:
			return fmt.Errorf("the storage lists %q after %q: it has to list files in the byte order of their keys", file.Key, last)
		}
		last = file.Key
		if isReserved(file.Key) {
			continue
		}
		report.Files++
		found, err := named.skipTo(file.Key, report)
		if err != nil {
			return err
		}
		if found {
			continue
		}
		if err := s.orphan(ctx, file, before, report); err != nil {
			return err
		}
	}
	_, err = named.skipTo("", report)
	return err
}

// orphan counts a file that no row names.
func (s *Service) orphan(ctx context.Context, file storage.File, before time.Time, report *Report) error {
	written := file.ModTime
	if written.IsZero() {
		var err error
		if written, err = s.files.ModTime(ctx, file.Key); err != nil {
			if fault.KindOf(err) == fault.NotFound {
				return nil // It was removed since it was listed.
			}
			return err
		}
	}
	if !written.Before(before) {
		report.Young++
		return nil
	}
	report.OrphanCount++
	if len(report.Orphans) < maxListed {
		report.Orphans = append(report.Orphans, file.Key)
	}
	return nil
}

// remove removes the orphans that are listed, unless one was written again: workers of
// releases before this package wrote pictures under the same key at each try.
func (s *Service) remove(ctx context.Context, before time.Time, report *Report) error {
	for _, key := range report.Orphans {
		written, err := s.files.ModTime(ctx, key)
		if fault.KindOf(err) == fault.NotFound && err != nil {
			continue
		}
		if err != nil {
			return err
		}
		if !written.Before(before) {
			continue
		}
		if err := s.files.Delete(ctx, key); err != nil {
			return err
		}
		slog.InfoContext(ctx, "file without a row removed", "key", key, "written", written)
		report.Removed++
	}
	return nil
}

// recheckMissing leaves out of the report the rows that changed, or whose file came,
// since they were read.
func (s *Service) recheckMissing(ctx context.Context, report *Report) error {
	missing := report.Missing[:0]
	for _, row := range report.Missing {
		still, err := s.isMissing(ctx, row)
		if err != nil {
			return err
		}
		if still {
			missing = append(missing, row)
		} else {
			report.MissingCount--
		}
	}
	report.Missing = missing
	return nil
}

// isMissing looks at a row again. The primary keys serve it.
func (s *Service) isMissing(ctx context.Context, row Row) (bool, error) {
	var named bool
	table, name := pgx.Identifier{row.Table}.Sanitize(), pgx.Identifier{row.Column}.Sanitize()
	err := s.store.Pool.QueryRow(ctx, "-- name: sweep_is_named\nSELECT EXISTS (SELECT FROM "+table+" WHERE id = $1 AND "+name+"->>'key' = $2)",
		row.ID, row.Key).Scan(&named)
	if err != nil {
		return false, fmt.Errorf("look at a row again: %w", err)
	}
	if !named {
		return false, nil
	}
	_, err = s.files.ModTime(ctx, row.Key)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return true, nil
	}
	return false, err
}
