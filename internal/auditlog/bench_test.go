package auditlog_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/store"
)

// What an audited change costs with and without the chain.
func BenchmarkChain(b *testing.B) {
	for _, chained := range []bool{true, false} {
		name := "chained"
		if !chained {
			name = "unchained"
		}
		prepare := func(b *testing.B) bundle {
			b.Helper()
			made := setup(b)
			if !chained {
				made.exec("ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_chain")
			}
			return made
		}
		b.Run("create/"+name, func(b *testing.B) {
			log := prepare(b)
			for b.Loop() {
				log.area(uuid.NewString())
			}
		})
		b.Run("parallel/"+name, func(b *testing.B) {
			log := prepare(b)
			b.SetParallelism(4)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					log.area(uuid.NewString())
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
		b.Run("bulk1000/"+name, func(b *testing.B) {
			log := prepare(b)
			log.landmarks(1000)
			verified := false
			for b.Loop() {
				verified = !verified
				if err := log.store.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
					return tx.Landmark.Update().SetIsVerified(verified).Exec(ctx)
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
