package mixin_test

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/ent/importrun"
	"github.com/picaspot/picaspot/ent/mailtoken"
	"github.com/picaspot/picaspot/ent/migrate"
	"github.com/picaspot/picaspot/ent/mixin"
	entreport "github.com/picaspot/picaspot/ent/report"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importfile"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/store"
)

// edge leads from one entity to another that has the soft deletion.
type edge struct{ from, name, to string }

func (e edge) String() string { return e.from + "." + e.name }

// pascal is how the generated code spells a name.
func (e edge) pascal() string {
	words := strings.Split(e.name, "_")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// softDeleted reads the snapshot that ent keeps of the schema: the entities with
// the soft deletion, and all edges that lead to one.
func softDeleted(t *testing.T) (entities []string, edges []edge) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/schema.go", nil, 0)
	require.NoError(t, err)
	var snapshot struct {
		Schemas []struct {
			Name   string
			Fields []struct{ Name string }
			Edges  []struct {
				Name, Type string
				Ref        *struct{ Name, Type string }
			}
		}
	}
	for _, declaration := range file.Decls {
		value := declaration.(*ast.GenDecl).Specs[0].(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value
		content, err := strconv.Unquote(value)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(content), &snapshot))
	}
	is := map[string]bool{}
	for _, schema := range snapshot.Schemas {
		for _, field := range schema.Fields {
			if field.Name == "deleted_at" {
				is[schema.Name] = true
				entities = append(entities, schema.Name)
			}
		}
	}
	for _, schema := range snapshot.Schemas {
		for _, e := range schema.Edges {
			if is[e.Type] {
				edges = append(edges, edge{schema.Name, e.Name, e.Type})
			}
			if e.Ref != nil && is[schema.Name] { // The other end, declared with it.
				edges = append(edges, edge{e.Type, e.Ref.Name, schema.Name})
			}
		}
	}
	require.ElementsMatch(t, []string{"Area", "Landmark", "Unlock", "User"}, entities)
	require.NotEmpty(t, edges)
	return entities, edges
}

// world makes one of everything that leads to what can be deleted.
func (b bundle) world() {
	b.inTx(func(ctx context.Context, tx *store.Tx) {
		user := tx.User.Create().SetUsername("ada").SetEmail("ada@example.org").SetPasswordHash("x").SetRole("user").SaveX(ctx)
		area := tx.Area.Create().SetName("above").SetCreatedBy(user.ID).SaveX(ctx)
		beneath := tx.Area.Create().SetName("beneath").SetCreatedBy(user.ID).SetParent(area).SaveX(ctx)
		landmark := tx.Landmark.Create().SetName("stone").SetArea(beneath).SetCreatedBy(user.ID).SetLocation(geo.Point{}).SaveX(ctx)
		attempt := tx.Attempt.Create().SetUser(user).SetLandmark(landmark).SetLocation(geo.Point{}).SetPhoto(&photo.Original{Key: "a"}).SaveX(ctx)
		tx.Unlock.Create().SetUser(user).SetLandmark(landmark).SetAttempt(attempt).ExecX(ctx)
		tx.Session.Create().SetUser(user).SetRefreshHash([]byte("x")).SetIdleExpiresAt(time.Now()).SetExpiresAt(time.Now()).ExecX(ctx)
		tx.MailToken.Create().SetUser(user).SetPurpose(mailtoken.PurposeVerifyEmail).SetEmail("ada@example.org").
			SetTokenHash([]byte("x")).SetExpiresAt(time.Now()).ExecX(ctx)
		tx.Authenticator.Create().SetUser(user).SetSealedSecret([]byte("x")).ExecX(ctx)
		tx.RecoveryCode.Create().SetUser(user).SetCodeHash([]byte("x")).ExecX(ctx)
		tx.Report.Create().SetReporter(user).SetSubjectType(entreport.SubjectTypeArea).SetSubjectID(area.ID).
			SetReason(entreport.ReasonSpam).ExecX(ctx)
		tx.ImportRun.Create().SetUser(user).SetKind(importrun.KindLandmarks).SetOptions(importfile.Options{}).ExecX(ctx)
		tx.Upload.Create().SetUser(user).SetBytes(1).SetExpiresAt(time.Now()).ExecX(ctx)
	})
}

// call calls a method of generated code and returns its first result; an error
// ends the test.
func call(t *testing.T, on reflect.Value, method string, args ...any) reflect.Value {
	t.Helper()
	m := on.MethodByName(method)
	require.True(t, m.IsValid(), "%s has no %s", on.Type(), method)
	in := make([]reflect.Value, len(args))
	for i, arg := range args {
		in[i] = reflect.ValueOf(arg)
	}
	out := m.Call(in)
	if last := out[len(out)-1]; last.Type() == reflect.TypeFor[error]() {
		require.True(t, last.IsNil(), "%s: %v", method, last)
	}
	return out[0]
}

func clientOf(client *ent.Client, entity string) reflect.Value {
	return reflect.ValueOf(client).Elem().FieldByName(entity)
}

var errUndo = errors.New("undo")

// TestNothingShowsDeletedRows goes over every entity with the mixin and every edge
// to one, as the schema has them.
func TestNothingShowsDeletedRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.world()
	entities, edges := softDeleted(t)
	// undone runs in a transaction that is rolled back.
	undone := func(t *testing.T, fn func(ctx context.Context, tx *store.Tx)) {
		t.Helper()
		require.ErrorIs(t, b.store.InTx(b.ctx, func(ctx context.Context, tx *store.Tx) error {
			fn(ctx, tx)
			return errUndo
		}), errUndo)
	}

	for _, entity := range entities {
		t.Run("of "+entity, func(t *testing.T) {
			undone(t, func(ctx context.Context, tx *store.Tx) {
				client := clientOf(tx.Client, entity)
				n := call(t, call(t, client, "Query"), "Count", ctx).Int()
				require.NotZero(t, n, "the world has none")
				id := call(t, call(t, client, "Query"), "FirstID", ctx).Interface().(uuid.UUID)
				was := call(t, client, "Get", ctx, id).Elem().FieldByName("UpdatedAt").Interface()
				call(t, call(t, client, "DeleteOneID", id), "Exec", ctx)

				require.Equal(t, n-1, call(t, call(t, client, "Query"), "Count", ctx).Int())
				require.Equal(t, n > 1, call(t, call(t, client, "Query"), "Exist", ctx).Bool())
				require.Equal(t, int(n-1), call(t, call(t, client, "Query"), "All", ctx).Len())
				require.NotContains(t, call(t, call(t, client, "Query"), "IDs", ctx).Interface(), id)
				out := client.MethodByName("Get").Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(id)})
				require.True(t, ent.IsNotFound(out[1].Interface().(error)))

				require.Equal(t, n-1, call(t, call(t, client, "Update"), "Save", ctx).Int(), "a bulk update leaves it alone")
				require.Equal(t, n-1, call(t, call(t, client, "Delete"), "Exec", ctx).Int(), "a bulk deletion too")
				seen := mixin.WithDeleted(ctx)
				row := call(t, client, "Get", seen, id).Elem()
				require.NotNil(t, row.FieldByName("DeletionID").Interface())
				require.Equal(t, n, call(t, call(t, client, "Query"), "Count", seen).Int(), "who asks for them sees them")
				require.NotEqual(t, was, row.FieldByName("UpdatedAt").Interface(), "its deletion was its last change")
			})
		})
	}

	for _, e := range edges {
		t.Run("through "+e.String(), func(t *testing.T) {
			undone(t, func(ctx context.Context, tx *store.Tx) {
				// loaded returns the rows with what the edge leads to.
				loaded := func(ctx context.Context) reflect.Value {
					return call(t, call(t, call(t, clientOf(tx.Client, e.from), "Query"), "With"+e.pascal()), "All", ctx)
				}
				targets := func(row reflect.Value) (found []uuid.UUID) {
					value := row.Elem().FieldByName("Edges").FieldByName(e.pascal())
					switch {
					case value.Kind() == reflect.Slice:
						for i := range value.Len() {
							found = append(found, value.Index(i).Elem().FieldByName("ID").Interface().(uuid.UUID))
						}
					case !value.IsNil():
						found = append(found, value.Elem().FieldByName("ID").Interface().(uuid.UUID))
					}
					return found
				}
				var from, target uuid.UUID
				rows := loaded(ctx)
				for i := range rows.Len() {
					if found := targets(rows.Index(i)); len(found) > 0 {
						from, target = rows.Index(i).Elem().FieldByName("ID").Interface().(uuid.UUID), found[0]
					}
				}
				require.NotZero(t, target, "the world has no such edge")
				call(t, call(t, clientOf(tx.Client, e.to), "DeleteOneID", target), "Exec", ctx)

				rows = loaded(ctx)
				seen := false
				for i := range rows.Len() {
					row := rows.Index(i)
					require.NotContains(t, targets(row), target, "eager loading")
					if row.Elem().FieldByName("ID").Interface() == from {
						seen = true
						require.NotContains(t, call(t, call(t, row, "Query"+e.pascal()), "IDs", ctx).Interface(), target, "the edge")
						require.Zero(t, call(t, call(t, row, "Query"+e.pascal()), "Count", ctx).Int(), "the count")
						require.NotZero(t, call(t, call(t, row, "Query"+e.pascal()), "Count", mixin.WithDeleted(ctx)).Int())
					}
				}
				require.True(t, seen)
			})
		})
	}
}

func TestUniqueAmongTheLivingOnly(t *testing.T) {
	t.Parallel()
	n := 0
	for _, table := range migrate.Tables {
		if !table.HasColumn("deleted_at") {
			continue
		}
		n++
		var trash int
		for _, index := range table.Indexes {
			where := ""
			if index.Annotation != nil {
				where = index.Annotation.Where
			}
			if index.Unique {
				require.Contains(t, where, "deleted_at IS NULL", "%s is unique among the deleted too", index.Name)
			}
			if where == "deleted_at IS NOT NULL" && (strings.HasSuffix(index.Name, "_deleted_at_id") || strings.HasSuffix(index.Name, "_deletion_id")) {
				trash++
			}
		}
		require.GreaterOrEqual(t, trash, 2, "the trash of %s has its indexes", table.Name)
	}
	require.Equal(t, 4, n)
}

// TestNoPredicateLooksPastTheInterceptor finds uses of what ent does not put the
// interceptor into (ent issue 4450): HasX predicates, and orders by an edge.
func TestNoPredicateLooksPastTheInterceptor(t *testing.T) {
	t.Parallel()
	_, edges := softDeleted(t)
	forbidden := map[string]edge{}
	for _, e := range edges {
		for _, name := range []string{"Has" + e.pascal(), "Has" + e.pascal() + "With", "By" + e.pascal(), "By" + e.pascal() + "Count", "By" + e.pascal() + "Field"} {
			forbidden[strings.ToLower(e.from)+"."+name] = e
		}
	}
	files := 0
	for _, root := range []string{"../../internal", "../../cmd", "../mixin", "../schema"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			for _, use := range past(t, path, forbidden) {
				t.Errorf("%s sees deleted rows: say DeletedAtIsNil there", use)
			}
			return nil
		}))
	}
	require.Greater(t, files, 50)

	sample := filepath.Join(t.TempDir(), "sample.go")
	require.NoError(t, os.WriteFile(sample, []byte(`package sample
import (
	a "github.com/picaspot/picaspot/ent/area"
	"github.com/picaspot/picaspot/ent/landmark"
)
var _ = a.HasLandmarks()
var _ = a.HasLandmarksWith(landmark.Name("x"))
var _ = a.HasLandmarksWith(landmark.DeletedAtIsNil())
var _ = a.ByLandmarksCount()
var _ = landmark.HasAttempts()`), 0o600))
	require.Len(t, past(t, sample, forbidden), 3)
}

// past returns where a file uses one of the forbidden names and does not say itself
// that it wants the living.
func past(t *testing.T, path string, forbidden map[string]edge) (uses []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	require.NoError(t, err)
	imports := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		entity, ours := strings.CutPrefix(imported, "github.com/picaspot/picaspot/ent/")
		if !ours {
			continue
		}
		name := entity
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = entity
	}
	ast.Inspect(file, func(node ast.Node) bool {
		used, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := used.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		if _, is := forbidden[imports[name.Name]+"."+selector.Sel.Name]; !is {
			return true
		}
		living := false
		for _, arg := range used.Args {
			ast.Inspect(arg, func(inner ast.Node) bool {
				if s, ok := inner.(*ast.SelectorExpr); ok && s.Sel.Name == "DeletedAtIsNil" {
					living = true
				}
				return true
			})
		}
		if !living {
			uses = append(uses, set.Position(used.Pos()).String()+" "+selector.Sel.Name)
		}
		return true
	})
	return uses
}
