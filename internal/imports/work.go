package imports

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/picaspot/picaspot/ent"
	entrun "github.com/picaspot/picaspot/ent/importrun"
	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/object"
	"github.com/picaspot/picaspot/internal/store"
)

const (
	// beat is how often the progress of an import is written, by which others know that
	// its worker lives, and asked whether it was cancelled.
	beat = time.Second
	// maxReported bounds the rows of a report; all are counted.
	maxReported = 100_000
	// maxError bounds the text of an import's error, in characters.
	maxError = 500
)

// errLost ends the work on an import that was cancelled, or that another worker has.
var errLost = errors.New("the import was cancelled, or another worker has it")

// Args are the job that imports a file.
type Args struct {
	ID uuid.UUID `json:"id"`
}

// Kind names the job.
func (Args) Kind() string { return "import" }

// Queue is where the jobs wait.
const Queue = "imports"

// InsertOpts implements river.JobArgsWithInsertOpts.
func (Args) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: Queue} }

// progress is how far an import is.
type progress struct {
	mu     sync.Mutex
	report importer.Report
	bytes  int64
}

func (p *progress) set(report importer.Report, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report, p.bytes = report, bytes
}

func (p *progress) write(update *ent.ImportRunUpdate) *ent.ImportRunUpdate {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.report
	return update.SetBytesRead(p.bytes).SetRowsRead(r.Read).SetCreated(r.Created).SetUpdated(r.Updated).
		SetUnchanged(r.Unchanged).SetRejected(r.Rejected)
}

// Run imports the file of an import from its beginning, which changes nothing of what an
// earlier try took. It does nothing if another worker has the import, or if it has ended.
// When it fails because of what may pass, another try may follow, unless it is the last.
func (s *Service) Run(ctx context.Context, id uuid.UUID, isLast bool) error {
	run, err := s.claim(ctx, id)
	if err != nil || run == nil {
		return err
	}
	working, end := context.WithCancelCause(ctx)
	defer end(nil)
	p := &progress{}
	var beating sync.WaitGroup
	beating.Go(func() { s.beat(working, end, run, p) })
	report, err := s.take(working, run, p)
	lost := errors.Is(context.Cause(working), errLost)
	end(nil)
	beating.Wait()
	defer report.close()
	switch {
	case lost:
		_, err := p.write(s.Store.Ent.ImportRun.Update().Where(entrun.ID(id), entrun.Claim(*run.Claim))).Save(ctx)
		return err
	case isPassing(ctx, err) && !isLast:
		return errors.Join(err, s.release(ctx, run))
	default:
		return s.finish(ctx, run, p, report, err)
	}
}

// claim takes an import that waits, and returns nil if there is none.
func (s *Service) claim(ctx context.Context, id uuid.UUID) (*ent.ImportRun, error) {
	claim := uuid.New()
	n, err := s.Store.Ent.ImportRun.Update().Where(entrun.ID(id), entrun.StatusEQ(entrun.StatusPending)).
		SetStatus(entrun.StatusRunning).SetClaim(claim).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("claim the import: %w", err)
	}
	if n == 0 {
		return nil, nil //nolint:nilnil // There is nothing to do.
	}
	run, err := s.Store.Ent.ImportRun.Query().Where(entrun.ID(id), entrun.Claim(claim)).Only(ctx)
	if store.IsNotFound(err) {
		return nil, nil //nolint:nilnil // Its user was removed.
	}
	return run, err
}

// release lets another worker have an import.
func (s *Service) release(ctx context.Context, run *ent.ImportRun) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := s.Store.Ent.ImportRun.Update().Where(entrun.ID(run.ID), entrun.Claim(*run.Claim), entrun.StatusEQ(entrun.StatusRunning)).
		SetStatus(entrun.StatusPending).ClearClaim().Save(ctx)
	return err
}

// beat writes the progress every so often, and ends the work on an import that is not the
// worker's any more.
func (s *Service) beat(ctx context.Context, end context.CancelCauseFunc, run *ent.ImportRun, p *progress) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mine := s.Store.Ent.ImportRun.Update().Where(entrun.ID(run.ID), entrun.Claim(*run.Claim), entrun.StatusEQ(entrun.StatusRunning))
		n, err := p.write(mine).Save(ctx)
		if err != nil {
			if ctx.Err() == nil {
				slog.WarnContext(ctx, "progress of an import not written", "import_id", run.ID, "error", err)
			}
			continue
		}
		if n == 0 {
			end(errLost)
			return
		}
	}
}

// reading ends with its context, also where nothing is written for long.
type reading struct {
	io.Reader
	ctx context.Context //nolint:containedctx // It is that of the reading.
	// err is what the storage failed with.
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// storageError is that of a file that could not be read from the storage.
type storageError struct{ error }

func (e storageError) Unwrap() error { return e.error }

// take imports the file of an import.
func (s *Service) take(ctx context.Context, run *ent.ImportRun, p *progress) (*rejects, error) {
	owner, err := s.Store.Ent.User.Get(ctx, run.UserID)
	if store.IsNotFound(err) {
		return nil, fault.New(fault.Forbidden, "forbidden", "The account is gone.")
	}
	if err != nil {
		return nil, storageError{err}
	}
	policy := s.Policy.Live()
	if policy.Decide(owner.Role, "landmark:import") == authz.Denied || owner.Status != "active" {
		return nil, fault.New(fault.Forbidden, "forbidden", "The account may not import landmarks any more.")
	}
	opts := run.Options
	namespace := opts.Namespace
	if policy.Decide(owner.Role, "landmark:update") != authz.Any {
		// An import changes what earlier ones of its namespace made.
		namespace = run.UserID.String() + "/" + namespace
	}
	body, _, _, err := s.Files.Get(ctx, run.File.Key)
	if err != nil {
		return nil, storageError{err}
	}
	defer body.Close()
	from := &reading{Reader: body, ctx: ctx}
	src, err := importer.New(opts.Name, from, s.sourceOptions(opts))
	if err != nil {
		return nil, from.explain(err)
	}
	defer src.Close()
	mayVerify := policy.Decide(owner.Role, "landmark:verify") == authz.Any
	report, err := newRejects()
	if err != nil {
		return nil, storageError{err}
	}
	outcome, err := importer.Import(ctx, s.Store, src, importer.Options{
		Namespace: namespace, Area: opts.Area, Owner: run.UserID, IsStrict: opts.Strict, IsDryRun: opts.DryRun,
		IsRooted: opts.Rooted, IsVerified: mayVerify, MayVerify: mayVerify,
		Progress: func(r importer.Report) { p.set(r, src.BytesRead()) },
		Rejected: report.add,
	})
	p.set(outcome, src.BytesRead())
	switch {
	case err != nil:
		return report, from.explain(err)
	case outcome.Read == 0:
		return report, errors.New("the file has no rows")
	case outcome.Rejected == outcome.Read:
		return report, errors.New("no row could be taken")
	}
	return report, report.err
}

func (r *reading) explain(err error) error {
	if r.err != nil {
		return storageError{errors.Join(r.err, err)}
	}
	return err
}

// isPassing reports whether an import failed because of what is none of its file's.
func isPassing(ctx context.Context, err error) bool {
	var away storageError
	var writing *importer.WriteError
	switch {
	case err == nil:
		return false
	case ctx.Err() != nil, errors.As(err, &away):
		return true
	case errors.As(err, &writing):
		kind := fault.KindOf(err)
		return kind == fault.Internal || kind == fault.Unavailable
	default:
		var disk *os.PathError
		return errors.As(err, &disk)
	}
}

// finish writes the end of an import.
func (s *Service) finish(ctx context.Context, run *ent.ImportRun, p *progress, report *rejects, cause error) error {
	var file *object.Ref
	if report != nil && report.rows > 0 {
		var err error
		if file, err = s.keep(ctx, run, report); err != nil {
			return errors.Join(err, s.release(ctx, run))
		}
	}
	status, message := entrun.StatusSucceeded, ""
	if cause != nil {
		status, message = entrun.StatusFailed, explained(cause)
		if isPassing(ctx, cause) {
			message = "It could not be imported for a reason that is not the file's."
		}
		slog.InfoContext(ctx, "import failed", "import_id", run.ID, "error", cause)
	}
	lost := false
	err := s.Store.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		ctx = authz.WithCaller(ctx, authz.Caller{UserID: run.UserID})
		update := p.write(tx.ImportRun.Update().Where(entrun.ID(run.ID), entrun.Claim(*run.Claim), entrun.StatusEQ(entrun.StatusRunning))).
			SetStatus(status).SetError(message).SetFinishedAt(mixin.Now()).ClearFile()
		if file != nil {
			update.SetReport(file)
		}
		n, err := update.Save(ctx)
		if err != nil {
			return fmt.Errorf("end the import: %w", err)
		}
		if lost = n == 0; lost {
			return nil
		}
		return s.ended(ctx, tx, run, status)
	})
	if file != nil && (err != nil || lost) {
		s.Pictures.Undo(ctx, file.Key, err)
	}
	if err != nil {
		return errors.Join(err, s.release(ctx, run))
	}
	return nil
}

// keep stores the report of an import under a key that no other try has.
func (s *Service) keep(ctx context.Context, run *ent.ImportRun, report *rejects) (*object.Ref, error) {
	size, err := report.rewind()
	if err != nil {
		return nil, err
	}
	file := &object.Ref{Key: folder(run.UserID, run.ID) + "/report-" + run.Claim.String(), Bytes: size}
	return file, s.Files.Put(ctx, file.Key, report.file, reportType)
}

var flag = regexp.MustCompile(`--[a-z]+(-[a-z]+)*`)

// explained is the text of an error for its user: flags of the command line are fields of
// the form here.
func explained(err error) string {
	var known *fault.Error
	text := err.Error()
	if errors.As(err, &known) {
		text = known.Message
	}
	text = flag.ReplaceAllStringFunc(strings.ToValidUTF8(text, "?"), func(name string) string {
		return strings.ReplaceAll(strings.TrimPrefix(name, "--"), "-", "_")
	})
	if runes := []rune(text); len(runes) > maxError {
		text = string(runes[:maxError-1]) + "…"
	}
	return text
}

// rejects are the rows that were rejected, in a file without a name.
type rejects struct {
	file *os.File
	csv  *csv.Writer
	rows int
	err  error
}

func newRejects() (*rejects, error) {
	file, err := os.CreateTemp("", "picaspot-rejects-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &rejects{file: file, csv: csv.NewWriter(file)}
	r.err = r.csv.Write([]string{"line", "reason"})
	return r, nil
}

func (r *rejects) add(row importer.Rejected) {
	if r.rows++; r.rows > maxReported || r.err != nil {
		return
	}
	r.err = r.csv.Write([]string{strconv.Itoa(row.Line), explained(errors.New(strings.Join(row.Reasons, "; ")))})
}

// rewind goes to the beginning of the file, and returns its size in bytes.
func (r *rejects) rewind() (int64, error) {
	r.csv.Flush()
	if err := r.csv.Error(); err != nil {
		return 0, err
	}
	size, err := r.file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = r.file.Seek(0, io.SeekStart)
	return size, err
}

func (r *rejects) close() {
	if r != nil {
		_ = r.file.Close() // It has no name.
	}
}
