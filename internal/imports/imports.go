// Package imports takes files of landmarks that users hand in: it keeps the file, and a
// job imports it, with progress, and a report of the rows that were rejected. Package
// importer does the work.
package imports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent"
	entrun "github.com/picaspot/picaspot/ent/importrun"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/audit"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/importfile"
	"github.com/picaspot/picaspot/internal/object"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	entityType = "import"
	fileType   = "application/octet-stream"
	reportType = "text/csv"
	// unpackedFactor is how many times larger than it may be sent a file may unpack to.
	unpackedFactor = 20
)

var (
	errNotFound   = fault.New(fault.NotFound, "not_found", "There is no such import.")
	errRunning    = fault.New(fault.Conflict, "import_running", "Another import of yours is under way. Wait for it, or cancel it.")
	errFinished   = fault.New(fault.Conflict, "import_finished", "The import has ended.")
	errNoReport   = fault.New(fault.NotFound, "not_found", "There is no report: no row was rejected, the import has not ended, or the report was removed.")
	errUnreadable = fault.New(fault.Unprocessable, "import_unreadable", "The file can't be imported.")
)

// Parts are what the service works with.
type Parts struct {
	Store    *store.Store
	Files    *storage.Store
	Pictures *picture.Gallery
	Policy   *rbac.Policy
	Cursors  *page.Codec
}

// Config of the service.
type Config struct {
	// MaxBytes is how large a file may be.
	MaxBytes int64
	// Retention is how long a report is kept.
	Retention time.Duration
}

// Service looks after imports. It may be used concurrently.
type Service struct {
	Parts
	config Config
}

// NewService makes the service.
func NewService(p Parts, c Config) *Service { return &Service{Parts: p, config: c} }

// Submit is a file that is handed in.
type Submit struct {
	// File is of the size in bytes that Options say, and at its beginning.
	File *os.File
	// Options with an empty area or namespace have the file's name.
	Options importfile.Options
}

// Submit keeps a file and enqueues its import, in one transaction with the row that tells
// of it. A file of which nothing can be read is unprocessable; while another import of
// the caller has not ended it is a conflict.
func (s *Service) Submit(ctx context.Context, in Submit) (*ent.ImportRun, error) {
	caller, _ := authz.CallerFrom(ctx)
	opts := in.Options
	title := title(opts.Name)
	if opts.Rooted = opts.Area == ""; opts.Rooted {
		opts.Area = title
	}
	if opts.Namespace == "" {
		opts.Namespace = title
	}
	if active, err := s.Store.Ent.ImportRun.Query().Where(entrun.UserID(caller.UserID), entrun.FinishedAtIsNil()).Exist(ctx); err != nil || active {
		if err == nil {
			err = errRunning
		}
		return nil, err
	}
	src, err := importer.New(opts.Name, in.File, s.sourceOptions(opts))
	if err != nil {
		return nil, unreadable(err)
	}
	if err := src.Close(); err != nil {
		return nil, fmt.Errorf("close the file: %w", err)
	}
	if _, err := in.File.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind the file: %w", err)
	}
	id := mixin.NewID()
	file := &object.Ref{Key: folder(caller.UserID, id) + "/file", Bytes: opts.Bytes}
	if err := s.Files.Put(ctx, file.Key, in.File, fileType); err != nil {
		return nil, err
	}
	var made *ent.ImportRun
	err = s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		made, err = tx.ImportRun.Create().SetID(id).SetUserID(caller.UserID).SetKind(entrun.KindLandmarks).
			SetOptions(opts).SetFile(file).Save(ctx)
		if store.IsUnique(err, "importrun_active") {
			return errRunning
		}
		if err != nil {
			return fmt.Errorf("create the import: %w", err)
		}
		changes := map[string]audit.Change{"file": after(opts.Name), "area": after(opts.Area), "namespace": after(opts.Namespace)}
		if err := audit.Insert(ctx, tx, audit.Event{Action: audit.Create, EntityType: entityType, EntityID: id, Changes: changes}); err != nil {
			return err
		}
		return tx.Enqueue(ctx, Args{ID: id}, nil)
	})
	if err != nil {
		s.Pictures.Undo(ctx, file.Key, err)
		return nil, err
	}
	return made, nil
}

// folder is where the files of an import are: beneath its user, so that their purge
// finds them.
func folder(user, id uuid.UUID) string {
	return picture.UserPrefix(user) + "/imports/" + id.String()
}

// title is a file's name without its folder and extensions.
func title(name string) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	for _, packer := range []string{".gz", ".gzip", ".zip"} {
		base = strings.TrimSuffix(base, packer)
	}
	return strings.TrimSuffix(base, path.Ext(base))
}

func after(value string) audit.Change {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("imports: encode a text: %v", err)) // A text can always be encoded.
	}
	return audit.Change{After: data}
}

func (s *Service) sourceOptions(o importfile.Options) importer.SourceOptions {
	f := o.Fields
	return importer.SourceOptions{
		Options: source.Options{
			Format: source.Format(o.Format), Columns: o.Columns, Encoding: o.Encoding, Entry: o.Entry,
			MaxBytes: unpackedFactor * s.config.MaxBytes,
		},
		Polygons: o.Polygons,
		Mapping: importer.Mapping{
			ID: f["id"], Name: f["name"], Description: f["description"], Hint: f["hint"], Area: f["area"],
			Latitude: f["latitude"], Longitude: f["longitude"],
			AreaPath: f["area_path"], Difficulty: f["difficulty"], UnlockRadius: f["unlock_radius"],
			PhotoLatitude: f["photo_latitude"], PhotoLongitude: f["photo_longitude"], PhotoRadius: f["photo_radius"],
			Verified: f["verified"], CreatedAt: f["created_at"], UpdatedAt: f["updated_at"],
		},
	}
}

// unreadable is the error of a file that can't be read. A fault of the disk is none of it.
func unreadable(err error) error {
	var disk *os.PathError
	if errors.As(err, &disk) {
		return storage.Unavailable(err)
	}
	return errUnreadable.With(fault.Field{Pointer: "/file", Code: "unreadable", Message: explained(err)})
}

// Get returns an import that the caller may see, or [fault.NotFound].
func (s *Service) Get(ctx context.Context, id uuid.UUID) (*ent.ImportRun, error) {
	return s.get(ctx, s.Store.Ent, id)
}

func (s *Service) get(ctx context.Context, client *ent.Client, id uuid.UUID) (*ent.ImportRun, error) {
	found, err := client.ImportRun.Get(ctx, id)
	if store.IsNotFound(err) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find the import: %w", err)
	}
	return found, authz.RequireOwner(ctx, found.UserID, false)
}

// Cancel ends an import. What was taken by then stays. One that has ended, or was
// cancelled before, is a conflict.
func (s *Service) Cancel(ctx context.Context, id uuid.UUID) (run *ent.ImportRun, err error) {
	err = s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if run, err = s.get(ctx, tx.Client, id); err != nil {
			return err
		}
		if run, err = tx.ImportRun.Query().Where(entrun.ID(id)).ForUpdate().Only(ctx); err != nil {
			return fmt.Errorf("lock the import: %w", err)
		}
		switch run.Status {
		case entrun.StatusPending, entrun.StatusRunning:
		default:
			return errFinished
		}
		before := run
		run, err = tx.ImportRun.UpdateOne(run).SetStatus(entrun.StatusCancelled).SetFinishedAt(mixin.Now()).ClearFile().Save(ctx)
		if err != nil {
			return fmt.Errorf("cancel the import: %w", err)
		}
		return s.ended(ctx, tx, before, entrun.StatusCancelled)
	})
	return run, err
}

// ended records that an import has ended, and has its file removed.
func (s *Service) ended(ctx context.Context, tx *store.Tx, before *ent.ImportRun, status entrun.Status) error {
	change := after(string(status))
	change.Before = after(string(before.Status)).After
	event := audit.Event{Action: audit.Update, EntityType: entityType, EntityID: before.ID, Changes: map[string]audit.Change{"status": change}}
	if err := audit.Insert(ctx, tx, event); err != nil {
		return err
	}
	if before.File == nil {
		return nil
	}
	return tx.Enqueue(ctx, storage.RemovalArgs{Keys: []string{before.File.Key}}, nil)
}

// Report opens the report of an import, which the caller closes: CSV with the lines that
// were rejected, and why.
func (s *Service) Report(ctx context.Context, id uuid.UUID) (io.ReadCloser, int64, error) {
	run, err := s.Get(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	if run.Report == nil {
		return nil, 0, errNoReport
	}
	body, size, _, err := s.Files.Get(ctx, run.Report.Key)
	return body, size, err
}

var list = page.List{
	Name: "imports", Default: "created_at",
	SortBy: map[string]page.Column{"created_at": {Name: entrun.FieldCreatedAt, Type: page.Time}},
}

// List returns a page of the imports that the caller may see, the newest first.
func (s *Service) List(ctx context.Context, params page.Params) (page.Result[*ent.ImportRun], error) {
	caller, _ := authz.CallerFrom(ctx)
	query := s.Store.Ent.ImportRun.Query()
	if caller.Scope != authz.Any {
		query.Where(entrun.UserID(caller.UserID))
	}
	q, err := list.Resolve(params, s.Cursors, []any{caller.Scope == authz.Any, caller.UserID})
	if err != nil {
		return page.Result[*ent.ImportRun]{}, err
	}
	return page.Fetch(ctx, q, page.Source[*ent.ImportRun]{
		List: func(ctx context.Context, limit, offset int) ([]*ent.ImportRun, error) {
			return query.Clone().Where(q.Where).Order(q.Order).Limit(limit).Offset(offset).All(ctx)
		},
		Count: func(ctx context.Context) (int, error) { return query.Clone().Count(ctx) },
		Key: func(r *ent.ImportRun, column string) any {
			if column == entrun.FieldID {
				return r.ID
			}
			return r.CreatedAt
		},
	})
}
