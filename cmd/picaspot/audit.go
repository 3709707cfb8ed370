package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/store"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Prove that nobody has changed the audit log since it was written."`
}

type auditVerifyCmd struct {
	JSON  bool   `name:"json" help:"Print JSON."`
	Heads string `type:"existingfile" help:"What an earlier verification printed, kept where the database's owner can't change it: each of its heads has to be in its chain still."`
}

// Run prints the head of each chain and what is wrong. It needs the database alone,
// and no more there than to read the tables that are called audit_….
func (v auditVerifyCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.CheckDatabase(); err != nil {
		return err
	}
	var kept []auditlog.Head
	if v.Heads != "" {
		file, err := os.Open(v.Heads)
		if err != nil {
			return err
		}
		defer file.Close()
		if kept, err = readHeads(file); err != nil {
			return fmt.Errorf("%s: %w", v.Heads, err)
		}
	}
	s, err := store.Open(ctx, c.DatabaseURL, store.Options{MaxConns: 1, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("PICASPOT_DATABASE_URL: %w", err)
	}
	defer s.Close()
	report, err := auditlog.NewService(s, nil, 0).Verify(ctx, kept)
	if err != nil {
		return err
	}
	if v.JSON {
		err = printReportJSON(report)
	} else {
		printReport(stdout, report, len(kept))
	}
	if err != nil {
		return err
	}
	if report.FaultCount > 0 {
		return fmt.Errorf("the audit log is not as it was written: %d faults", report.FaultCount)
	}
	return nil
}

func printReport(w io.Writer, report auditlog.Report, kept int) {
	for _, head := range report.Heads {
		fprintf(w, "head %d %d %s\n", head.Chain, head.Seq, hex.EncodeToString(head.Hash))
	}
	fprintf(w, "# %d rows are as they were written.\n", report.Rows)
	if !report.PrunedBefore.IsZero() {
		fprintf(w, "# %d rows from before %s were dropped, as retention has it.\n", report.Pruned, report.PrunedBefore.UTC().Format(time.DateOnly))
	}
	if kept > 0 {
		fprintf(w, "# %d heads that were kept were looked for.\n", kept)
	}
	for _, fault := range report.Faults {
		fprintf(w, "%s\n", describe(fault))
	}
	if more := report.FaultCount - len(report.Faults); more > 0 {
		fprintf(w, "fault: and %d more\n", more)
	}
}

// printReportJSON prints what printReport does. Heads that are to be kept are in its
// text form, which --heads reads.
func printReportJSON(report auditlog.Report) error {
	type head struct {
		Chain int    `json:"chain"`
		Seq   int64  `json:"seq"`
		Hash  string `json:"hash"`
	}
	printed := struct {
		Rows       int64    `json:"rows"`
		Pruned     int64    `json:"pruned"`
		Heads      []head   `json:"heads"`
		FaultCount int      `json:"fault_count"`
		Faults     []string `json:"faults"`
	}{Rows: report.Rows, Pruned: report.Pruned, Heads: []head{}, FaultCount: report.FaultCount, Faults: []string{}}
	for _, h := range report.Heads {
		printed.Heads = append(printed.Heads, head{h.Chain, h.Seq, hex.EncodeToString(h.Hash)})
	}
	for _, f := range report.Faults {
		printed.Faults = append(printed.Faults, describe(f))
	}
	return printJSON(printed)
}

func describe(f auditlog.Fault) string {
	var b strings.Builder
	fprintf(&b, "fault: %s", f.Kind)
	if f.Chain >= 0 {
		fprintf(&b, ", chain %d, link %d", f.Chain, f.Seq)
	}
	if f.EntryID != uuid.Nil {
		fprintf(&b, ", row %s", f.EntryID)
	}
	if !f.CreatedAt.IsZero() {
		fprintf(&b, " of %s", f.CreatedAt.UTC().Format(time.RFC3339Nano))
	}
	return b.String() + ": " + f.Detail
}

// readHeads reads the heads of what printReport wrote.
func readHeads(r io.Reader) ([]auditlog.Head, error) {
	var heads []auditlog.Head
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "head ") {
			continue
		}
		var (
			head auditlog.Head
			hash string
			err  error
		)
		if _, err = fmt.Sscanf(lines.Text(), "head %d %d %s", &head.Chain, &head.Seq, &hash); err == nil {
			head.Hash, err = hex.DecodeString(hash)
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no head: %w", lines.Text(), err)
		}
		heads = append(heads, head)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(heads) == 0 {
		return nil, errors.New("no heads are in it")
	}
	return heads, nil
}
