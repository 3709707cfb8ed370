package auditlog_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/auditlog"
)

// What the owner of the tables can do to them, with every trigger off.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	const (
		// A row of the middle of a chain that has four rows or more, and its link.
		middle = "SELECT l.audit_id FROM audit_links l JOIN audit_chain_heads h USING (chain) WHERE h.seq >= 4 AND l.seq = 2 ORDER BY chain LIMIT 1"
		chain  = "(SELECT min(chain) FROM audit_chain_heads WHERE seq >= 4)"
		last   = "SELECT max(seq) FROM audit_links WHERE chain = " + chain
	)
	for name, test := range map[string]struct {
		tamper []string
		want   []auditlog.FaultKind
	}{
		"a changed row":         {[]string{"UPDATE audit_logs SET action = 'nothing' WHERE id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.RowChanged}},
		"a changed before":      {[]string{`UPDATE audit_logs SET changes = '{"name": {"after": "x"}}' WHERE id = (` + middle + ")"}, []auditlog.FaultKind{auditlog.RowChanged}},
		"a changed actor":       {[]string{"UPDATE audit_logs SET actor_id = gen_random_uuid() WHERE id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.RowChanged}},
		"a changed last row":    {[]string{"UPDATE audit_logs SET request_id = 'x' WHERE id = (SELECT audit_id FROM audit_links WHERE chain = " + chain + " ORDER BY seq DESC LIMIT 1)"}, []auditlog.FaultKind{auditlog.RowChanged}},
		"a changed time":        {[]string{"UPDATE audit_logs SET created_at = created_at - interval '1 microsecond' WHERE id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.RowMissing, auditlog.RowUnlinked}},
		"a removed row":         {[]string{"DELETE FROM audit_logs WHERE id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.RowMissing}},
		"a removed link":        {[]string{"DELETE FROM audit_links WHERE audit_id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.LinkMissing, auditlog.RowUnlinked}},
		"a row with its link":   {[]string{"CREATE TEMPORARY TABLE gone AS " + middle, "DELETE FROM audit_links WHERE audit_id IN (TABLE gone)", "DELETE FROM audit_logs WHERE id IN (TABLE gone)"}, []auditlog.FaultKind{auditlog.LinkMissing}},
		"a changed link":        {[]string{"UPDATE audit_links SET hash = sha256('') WHERE audit_id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.LinkChanged}},
		"a changed first link":  {[]string{"UPDATE audit_links SET hash = sha256('') WHERE seq = 1 AND chain = " + chain}, []auditlog.FaultKind{auditlog.LinkChanged}},
		"a changed last link":   {[]string{"UPDATE audit_links SET hash = sha256('') WHERE chain = " + chain + " AND seq = (" + last + ")"}, []auditlog.FaultKind{auditlog.LinkChanged, auditlog.HeadMismatch}},
		"two changed links":     {[]string{"UPDATE audit_links SET hash = sha256('') WHERE seq IN (1, 3) AND chain = " + chain}, []auditlog.FaultKind{auditlog.LinkChanged, auditlog.LinkChanged}},
		"a link of another row": {[]string{"UPDATE audit_links SET audit_id = gen_random_uuid() WHERE audit_id = (" + middle + ")"}, []auditlog.FaultKind{auditlog.RowMissing, auditlog.RowUnlinked}},
		"a link elsewhere":      {[]string{"UPDATE audit_links SET chain = 99 WHERE chain = " + chain + " AND seq = (" + last + ")"}, []auditlog.FaultKind{auditlog.HeadMismatch, auditlog.RowUnlinked}},
		"a tail cut off":        {[]string{"CREATE TEMPORARY TABLE gone AS SELECT audit_id FROM audit_links WHERE chain = " + chain + " AND seq > 2", "DELETE FROM audit_links WHERE audit_id IN (TABLE gone)", "DELETE FROM audit_logs WHERE id IN (TABLE gone)"}, []auditlog.FaultKind{auditlog.HeadMismatch}},
		"a chain cut off":       {[]string{"CREATE TEMPORARY TABLE gone AS SELECT audit_id FROM audit_links WHERE chain = " + chain, "DELETE FROM audit_links WHERE audit_id IN (TABLE gone)", "DELETE FROM audit_logs WHERE id IN (TABLE gone)"}, []auditlog.FaultKind{auditlog.HeadMismatch}},
		"a changed head":        {[]string{"UPDATE audit_chain_heads SET hash = sha256('') WHERE chain = " + chain}, []auditlog.FaultKind{auditlog.HeadMismatch}},
		"a removed head":        {[]string{"DELETE FROM audit_chain_heads WHERE chain = " + chain}, []auditlog.FaultKind{auditlog.HeadMismatch}},
		"a row put in":          {[]string{"INSERT INTO audit_logs (id, created_at, action, entity_type, changes) VALUES (gen_random_uuid(), now(), 'x', 'y', '{}')"}, []auditlog.FaultKind{auditlog.RowUnlinked}},
		"a dropped month":       {[]string{"DROP TABLE audit_logs_" + month(0)}, nil},
		"a made-up pruning": {
			[]string{"DELETE FROM audit_logs WHERE id = (" + middle + ")", "INSERT INTO audit_prunings VALUES (gen_random_uuid(), now() + interval '1 day', now())"},
			[]auditlog.FaultKind{auditlog.PruningUnrecorded, auditlog.RowMissing},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.areas(70)
			b.intact(70)
			conn, err := b.store.Pool.Acquire(context.Background())
			require.NoError(t, err)
			_, err = conn.Exec(context.Background(), "SET session_replication_role = replica") // No trigger fires.
			require.NoError(t, err)
			for _, statement := range test.tamper {
				tag, err := conn.Exec(context.Background(), statement)
				require.NoError(t, err)
				require.True(t, tag.RowsAffected() > 0 || tag.String() == "DROP TABLE", statement)
			}
			require.NoError(t, conn.Conn().Close(context.Background()))
			conn.Release()

			report := b.verify()
			if test.want == nil {
				require.Equal(t, 70, report.FaultCount)
				require.Equal(t, auditlog.RowMissing, report.Faults[0].Kind)
				return
			}
			found := make([]auditlog.FaultKind, len(report.Faults))
			for i, fault := range report.Faults {
				found[i] = fault.Kind
				require.NotEmpty(t, fault.Detail)
			}
			require.Equal(t, test.want, found)
		})
	}
}

// The triggers come off as an owner takes them off who is no superuser.
func TestVerifyFindsWhatTheOwnerDid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.areas(3)
	b.exec("ALTER TABLE audit_logs DISABLE TRIGGER ALL", "UPDATE audit_logs SET ip_address = '203.0.113.1'", "ALTER TABLE audit_logs ENABLE TRIGGER ALL")
	report := b.verify()
	require.Equal(t, 3, report.FaultCount)
	require.Zero(t, report.Rows)
	b.areas(2) // What follows is chained to what was.
	require.Equal(t, 3, b.verify().FaultCount)
	require.EqualValues(t, 2, b.verify().Rows)
}

// A log that was cut off, heads and all, looks true; heads kept elsewhere tell.
func TestVerifyKeptHeads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.areas(40)
	early := b.intact(40).Heads
	b.area("later")
	kept := b.intact(41).Heads
	require.Empty(t, b.verify(early...).Faults, "the chains grew")
	require.Empty(t, b.verify(kept...).Faults)

	cut := kept[0]
	for i, head := range kept {
		if head.Seq != early[i].Seq {
			cut = head
		}
	}
	b.exec("ALTER TABLE audit_logs DISABLE TRIGGER ALL", "ALTER TABLE audit_links DISABLE TRIGGER ALL", "ALTER TABLE audit_chain_heads DISABLE TRIGGER ALL")
	_, err := b.store.Pool.Exec(t.Context(), "DELETE FROM audit_logs WHERE id = (SELECT audit_id FROM audit_links WHERE chain = $1 AND seq = $2)", cut.Chain, cut.Seq)
	require.NoError(t, err)
	_, err = b.store.Pool.Exec(t.Context(), "DELETE FROM audit_links WHERE chain = $1 AND seq = $2", cut.Chain, cut.Seq)
	require.NoError(t, err)
	_, err = b.store.Pool.Exec(t.Context(), "UPDATE audit_chain_heads SET seq = $2, hash = $3 WHERE chain = $1", cut.Chain, cut.Seq-1, early[cut.Chain].Hash)
	require.NoError(t, err)
	b.intact(40)
	require.Empty(t, b.verify(early...).Faults)
	report := b.verify(kept...)
	require.Len(t, report.Faults, 1)
	require.Equal(t, auditlog.HeadLost, report.Faults[0].Kind)
	require.Equal(t, cut.Chain, report.Faults[0].Chain)

	rewritten := auditlog.Head{Chain: cut.Chain, Seq: 0, Hash: []byte("x")}
	require.Equal(t, auditlog.HeadLost, b.verify(rewritten).Faults[0].Kind)
	other := early[(cut.Chain+1)%16]
	other.Hash = cut.Hash
	require.Equal(t, auditlog.HeadLost, b.verify(other).Faults[0].Kind)
	require.Equal(t, auditlog.HeadLost, b.verify(auditlog.Head{Chain: 99, Seq: 1}).Faults[0].Kind)
}

// Verification sees one moment, while others write.
func TestVerifyWhileOthersWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.areas(200)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(time.Millisecond):
		}
		require.Empty(t, b.verify().Faults)
	}
	b.intact(200)
}

func TestVerifyEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Verify(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	b.exec("DROP TABLE audit_prunings")
	_, err = b.Verify(t.Context(), nil)
	require.Error(t, err)
}
