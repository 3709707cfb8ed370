// Package importer takes landmarks in from files: streaming, in batches, with a
// report of what it could not take. A second run of the same file changes nothing.
// Package source reads the files' formats.
package importer

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/store"
)

// Options say where landmarks go.
type Options struct {
	// Namespace keeps the ids of different files apart; usually the file's name.
	Namespace string
	// Area is the name of the area at the top that takes the landmarks; it is made
	// if it is missing. A row that names an area goes to that one, beneath it. Areas
	// that an earlier import of the namespace used are found after they were renamed or
	// moved, too.
	Area string
	// Owner becomes the creator.
	Owner uuid.UUID
	// IsVerified marks what is new as checked, unless its row says otherwise.
	IsVerified bool
	// MayVerify tells that the owner may verify landmarks: what rows say of that is taken.
	// Otherwise it is not, and a verified landmark that a row renames or moves is so no more.
	MayVerify bool
	// IsRooted has the rows' paths of areas begin at the top of the tree, and not beneath
	// Area.
	IsRooted bool
	// BatchSize is how many rows one transaction takes; 0 is [DefaultBatch].
	BatchSize int
	// IsStrict ends the import at the first row that can't be taken, with
	// [ErrRejected]. The batch it belongs to is not written.
	IsStrict bool
	// IsDryRun writes nothing: each batch is rolled back, and the report is what a
	// run would have done.
	IsDryRun bool
	// Accepted is called for each row of the file that can be taken, before it is
	// written.
	Accepted func(Row)
	// Rejected is called for each row that can't be taken.
	Rejected func(Rejected)
	// Progress is called after each batch.
	Progress func(Report)
}

// Report counts what became of the rows.
type Report struct {
	Read      int `json:"read"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Rejected  int `json:"rejected"`
}

// DefaultBatch is how many rows one transaction takes.
const DefaultBatch = 1000

// ErrRejected ends a strict import.
var ErrRejected = errors.New("a row can't be taken, and the import is strict")

// WriteError is that of rows which were read and could not be written.
type WriteError struct {
	// First and Last are the lines of the batch that they belong to.
	First, Last int
	err         error
}

// Error names the lines and the cause.
func (e *WriteError) Error() string { return fmt.Sprintf("lines %d to %d: %v", e.First, e.Last, e.err) }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.err }

// reasonTooDeep is why a row is rejected whose areas nest too deep.
var reasonTooDeep = fmt.Sprintf("its areas would lie more than %d levels deep", area.MaxDepth)

// errDryRun rolls a batch of a dry run back.
var errDryRun = errors.New("nothing is written in a dry run")

// Import takes all rows of a source in. Each batch is one transaction, so an
// import that was killed goes on where it was when it is run again. Of a landmark
// that an earlier import made, only what the file says otherwise than it did then is
// changed: edits that people made since stay, and so does what the file has no column
// for. Rows that were deleted since an earlier import stay deleted and are reported as
// rejected.
func Import(ctx context.Context, s *store.Store, src *Source, opts Options) (Report, error) {
	if opts.BatchSize == 0 {
		opts.BatchSize = DefaultBatch
	}
	clean, err := name.Clean("", opts.Area, name.MaxCharacters)
	if err != nil {
		return Report{}, fmt.Errorf("the area's name: %w", err)
	}
	opts.Area = clean
	run := &run{store: s, opts: opts, areas: map[string]uuid.UUID{}, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	ctx = authz.WithCaller(ctx, authz.Caller{UserID: opts.Owner})
	batch := make([]Row, 0, opts.BatchSize)
	for {
		row, rejected, err := src.Next()
		if errors.Is(err, io.EOF) {
			err := run.write(ctx, batch)
			return run.report, err
		}
		if errors.Is(err, source.ErrReferenceSystem) {
			return run.report, err
		}
		if err != nil {
			// What was read before the fault is taken.
			return run.report, errors.Join(err, run.write(ctx, batch))
		}
		run.report.Read++
		if rejected == nil && len(row.AreaPath) == area.MaxDepth && !opts.IsRooted {
			rejected = &Rejected{Line: row.Line, Name: row.Name, Reasons: []string{reasonTooDeep}}
		}
		if rejected == nil {
			row.ExternalID = row.externalID(opts.Namespace)
			row.id = mixin.NewID()
			if !run.isNew(row.ExternalID) {
				rejected = &Rejected{Line: row.Line, Name: row.Name, Reasons: []string{fmt.Sprintf("an earlier row has the same id, %q", row.ExternalID)}}
			}
		}
		if rejected != nil {
			if run.reject(*rejected); opts.IsStrict {
				return run.report, ErrRejected
			}
			continue
		}
		if opts.Accepted != nil {
			opts.Accepted(row)
		}
		if batch = append(batch, row); len(batch) == opts.BatchSize {
			if err := run.write(ctx, batch); err != nil {
				return run.report, err
			}
			batch = batch[:0]
		}
	}
}

type run struct {
	store  *store.Store
	opts   Options
	report Report
	areas  map[string]uuid.UUID // by [place.id]
	// seen has the hashes of the ids, 8 bytes for each row of the file.
	seen map[uint64]struct{}
	seed maphash.Seed
}

func (r *run) isNew(externalID string) bool {
	hash := maphash.String(r.seed, externalID)
	_, seen := r.seen[hash]
	r.seen[hash] = struct{}{}
	return !seen
}

func (r *run) reject(rejected Rejected) {
	r.report.Rejected++
	if r.opts.Rejected != nil {
		r.opts.Rejected(rejected)
	}
}

func (r *run) write(ctx context.Context, batch []Row) error {
	if len(batch) == 0 {
		return nil
	}
	// The same order in every import: two at once wait for each other, and no more.
	slices.SortFunc(batch, func(a, b Row) int { return strings.Compare(a.ExternalID, b.ExternalID) })
	var outcome Report
	var rejected []Rejected
	known := r.areas
	try := func(ctx context.Context, tx *store.Tx) (err error) {
		// Areas that an attempt made are not there when it was rolled back.
		r.areas = maps.Clone(known)
		outcome, rejected, err = r.writeBatch(ctx, tx, batch)
		switch {
		case err != nil:
			return err
		case r.opts.IsStrict && len(rejected) > 0:
			return ErrRejected
		case r.opts.IsDryRun:
			return errDryRun
		default:
			return nil
		}
	}
	err := r.store.InTx(ctx, try)
	// Another import made the same area or landmark meanwhile, and has committed it: the
	// next attempt finds it. Each has one more of what the batch needs, so it ends.
	for range 2 * len(batch) {
		if !isMadeMeanwhile(err) {
			break
		}
		err = r.store.InTx(ctx, try)
	}
	if err != nil {
		r.areas = known
	}
	switch {
	case err == nil, errors.Is(err, errDryRun):
		r.report.Created += outcome.Created
		r.report.Updated += outcome.Updated
		r.report.Unchanged += outcome.Unchanged
	case errors.Is(err, ErrRejected):
		rejected = rejected[:1]
	default:
		first, last := batch[0].Line, batch[0].Line
		for _, row := range batch {
			first, last = min(first, row.Line), max(last, row.Line)
		}
		return &WriteError{First: first, Last: last, err: err}
	}
	slices.SortFunc(rejected, func(a, b Rejected) int { return a.Line - b.Line })
	for _, row := range rejected {
		r.reject(row)
	}
	if errors.Is(err, ErrRejected) {
		return ErrRejected
	}
	if r.opts.Progress != nil {
		r.opts.Progress(r.report)
	}
	return nil
}

// isMadeMeanwhile reports whether a batch failed since another transaction made what it
// was about to make.
func isMadeMeanwhile(err error) bool {
	return slices.ContainsFunc([]string{"area_root_name", "area_parent_name", "landmark_external_id"}, func(index string) bool {
		return store.IsUnique(err, index)
	})
}
