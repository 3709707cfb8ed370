package mixin

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"
	"github.com/google/uuid"

	gen "github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/hook"
	"github.com/picaspot/picaspot/ent/intercept"
	"github.com/picaspot/picaspot/internal/authz"
)

// SoftDelete turns a deletion into an update and hides what was deleted: from
// queries and eager loading by an interceptor, from updates by a guard.
//
// HasX predicates and ordering by counts of edges do not pass through the
// interceptor (ent issue 4450): say deleted_at there.
type SoftDelete struct{ mixin.Schema }

type (
	withDeletedKey struct{}
	deletionKey    struct{}
)

// WithDeleted returns a context whose queries and updates see deleted rows too.
func WithDeleted(ctx context.Context) context.Context {
	return context.WithValue(ctx, withDeletedKey{}, true)
}

// WithDeletion returns a context whose deletions carry the same deletion id,
// which is how a cascade becomes one deletion that can be undone as one.
func WithDeletion(ctx context.Context) context.Context {
	return context.WithValue(ctx, deletionKey{}, NewID())
}

func seesDeleted(ctx context.Context) bool {
	sees, _ := ctx.Value(withDeletedKey{}).(bool)
	return sees
}

func deletionID(ctx context.Context) uuid.UUID {
	if id, ok := ctx.Value(deletionKey{}).(uuid.UUID); ok {
		return id
	}
	return NewID()
}

const deletedAt = "deleted_at"

// Fields of the mixin.
func (SoftDelete) Fields() []ent.Field {
	return []ent.Field{
		field.Time(deletedAt).Optional().Nillable(),
		field.UUID("deleted_by", uuid.UUID{}).Optional().Nillable(),
		field.UUID("deletion_id", uuid.UUID{}).Optional().Nillable().
			Comment("Shared by all that one deletion took; a restore brings back exactly these."),
	}
}

// Indexes of the mixin serve the trash: what was deleted, by time, and all that
// one deletion took. Living rows cost them nothing.
func (SoftDelete) Indexes() []ent.Index {
	deleted := entsql.IndexWhere("deleted_at IS NOT NULL")
	return []ent.Index{
		index.Fields(deletedAt, "id").Annotations(deleted),
		index.Fields("deleted_by", deletedAt, "id").Annotations(deleted),
		index.Fields("deletion_id").Annotations(deleted),
	}
}

// Interceptors of the mixin hide deleted rows.
func (SoftDelete) Interceptors() []ent.Interceptor {
	return []ent.Interceptor{
		intercept.TraverseFunc(func(ctx context.Context, q intercept.Query) error {
			if !seesDeleted(ctx) {
				q.WhereP(sql.FieldIsNull(deletedAt))
			}
			return nil
		}),
	}
}

// softDeleted is what ent generates on the mutation of an entity with this mixin.
type softDeleted interface {
	ent.Mutation
	Client() *gen.Client
	SetOp(ent.Op)
	SetDeletedAt(time.Time)
	SetDeletedBy(uuid.UUID)
	SetDeletionID(uuid.UUID)
	WhereP(...func(*sql.Selector))
}

// Hooks of the mixin turn deletions into updates, and keep updates away from
// what is deleted.
func (SoftDelete) Hooks() []ent.Hook {
	return []ent.Hook{
		hook.On(softDelete, ent.OpDelete|ent.OpDeleteOne),
		hook.On(guardUpdate, ent.OpUpdate|ent.OpUpdateOne),
	}
}

func softDelete(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		if seesDeleted(ctx) {
			return next.Mutate(ctx, m)
		}
		sd, ok := m.(softDeleted)
		if !ok {
			return nil, fmt.Errorf("soft delete: %s lacks the mixin's fields", m.Type())
		}
		sd.WhereP(sql.FieldIsNull(deletedAt))
		sd.SetOp(ent.OpUpdate)
		sd.SetDeletedAt(Now())
		sd.SetDeletionID(deletionID(ctx))
		if caller, ok := authz.CallerFrom(ctx); ok {
			sd.SetDeletedBy(caller.UserID)
		}
		return sd.Client().Mutate(ctx, m)
	})
}

func guardUpdate(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		if sd, ok := m.(softDeleted); ok && !seesDeleted(ctx) {
			sd.WhereP(sql.FieldIsNull(deletedAt))
		}
		return next.Mutate(ctx, m)
	})
}
