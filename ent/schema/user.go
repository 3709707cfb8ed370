package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/picaspot/picaspot/ent/mixin"
	"github.com/picaspot/picaspot/internal/photo"
)

// User is an account: an explorer, a creator, a moderator or an admin. Its
// role is a name that only the policy gives a meaning.
type User struct{ ent.Schema }

// Mixin gives users their id, times, soft deletion and audit trail.
func (User) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.ID{}, mixin.Time{}, mixin.SoftDelete{}, mixin.Audit{
		Table: "users", Entity: "user", Secret: []string{"password_hash"},
		Personal: []string{"username", "email", "display_name", "bio", "avatar"},
	}}
}

// Fields of a user.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("username").
			SchemaType(citext).
			MinLen(3).MaxLen(32),
		field.String("email").
			SchemaType(citext).
			MaxRuneLen(254),
		field.Time("email_verified_at").Optional().Nillable(),
		field.String("password_hash").Sensitive().
			Comment("Argon2id in PHC string format."),
		field.Time("password_changed_at").Default(mixin.Now),
		field.String("role").
			MaxLen(64),
		field.Enum("status").Values("active", "suspended").Default("active"),
		field.String("display_name").MaxRuneLen(64).Optional().Nillable().
			Comment("What others see instead of the user name; it need not be unique."),
		field.String("bio").MaxRuneLen(500).Default(""),
		field.JSON("avatar", &photo.Image{}).SchemaType(jsonb).Optional(),
	}
}

// Edges of a user.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("sessions", Session.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("mail_tokens", MailToken.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("authenticators", Authenticator.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("recovery_codes", RecoveryCode.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("reports", Report.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("import_runs", ImportRun.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("uploads", Upload.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("attempts", Attempt.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("unlocks", Unlock.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a user: names and addresses are unique among the living.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("username").Unique().Annotations(living),
		index.Fields("email").Unique().Annotations(living),
		index.Fields("username").Annotations(deleted).StorageKey("user_deleted_username"),
		index.Fields("email").Annotations(deleted).StorageKey("user_deleted_email"),
		index.Fields("created_at", "id").Annotations(living),
		index.Fields("updated_at", "id").Annotations(living),
		index.Fields("role", "created_at", "id").Annotations(living),
		index.Fields("status", "created_at", "id").Annotations(living),
	}
}
