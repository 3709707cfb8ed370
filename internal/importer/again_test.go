package importer_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/store"
)

// world has what an import made, and people who change it.
type world struct {
	*store.Store
	t *testing.T
}

func (w world) run(content string) importer.Report {
	w.t.Helper()
	src, err := importer.Open(file(w.t, "places.csv", content), importer.SourceOptions{})
	require.NoError(w.t, err)
	defer src.Close()
	report, err := importer.Import(w.t.Context(), w.Store, src, importer.Options{Namespace: "places", Area: "Places", Owner: uuid.New()})
	require.NoError(w.t, err)
	return report
}

func (w world) edit(fn func(ctx context.Context, tx *store.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.InTx(w.t.Context(), fn))
}

func (w world) landmark(id string) *ent.Landmark {
	w.t.Helper()
	return w.Ent.Landmark.Query().Where(entlandmark.ExternalID("places:" + id)).WithArea().OnlyX(w.t.Context())
}

// TestImportAgain imports a file twice, with people's edits in between.
func TestImportAgain(t *testing.T) {
	t.Parallel()
	const content = "id,name,lat,lon,area,description\n1,Stone,53.8,8.7,Coast,Old.\n2,Tower,53.9,8.8,Coast,Tall.\n"
	elsewhere := geo.Point{Latitude: 53.81, Longitude: 8.71}
	start := func(t *testing.T) world {
		t.Helper()
		w := world{open(t), t}
		require.Equal(t, importer.Report{Read: 2, Created: 2}, w.run(content))
		w.edit(func(ctx context.Context, tx *store.Tx) error {
			return tx.Landmark.Update().Where(entlandmark.ExternalID("places:1")).
				SetName("Old Stone").SetDescription("Very old.").SetHint("Behind the dyke.").SetLocation(elsewhere).Exec(ctx)
		})
		return w
	}

	t.Run("edits stay where the file is as it was", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		edited := w.landmark("1")
		require.Equal(t, importer.Report{Read: 2, Unchanged: 2}, w.run(content))
		require.Equal(t, edited.String(), w.landmark("1").String())
	})

	t.Run("a column that changed in the file wins, the others stay", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		changed := strings.Replace(content, "Stone", "Boulder", 1)
		require.Equal(t, importer.Report{Read: 2, Updated: 1, Unchanged: 1}, w.run(changed))
		stone := w.landmark("1")
		require.Equal(t, []string{"Boulder", "Very old.", "Behind the dyke."}, []string{stone.Name, stone.Description, stone.Hint})
		require.Equal(t, elsewhere, stone.Location)
		w.edit(func(ctx context.Context, tx *store.Tx) error {
			return tx.Landmark.UpdateOne(stone).SetName("Rock").Exec(ctx)
		})
		require.Equal(t, importer.Report{Read: 2, Unchanged: 2}, w.run(changed))
		require.Equal(t, "Rock", w.landmark("1").Name)
	})

	t.Run("an empty value clears, a missing column does not", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		require.Equal(t, importer.Report{Read: 2, Unchanged: 2}, w.run("id,name,lat,lon\n1,Stone,53.8,8.7\n2,Tower,53.9,8.8\n"))
		require.Equal(t, "Tall.", w.landmark("2").Description)
		require.Equal(t, "Coast", w.landmark("2").Edges.Area.Name)
		require.Equal(t, importer.Report{Read: 2, Updated: 2}, w.run("id,name,lat,lon,description,hint\n1,Stone,53.8,8.7,,\n2,Tower,53.9,8.8,,\n"))
		require.Empty(t, w.landmark("1").Description)
		require.Empty(t, w.landmark("2").Description)
		require.Empty(t, w.landmark("1").Hint, "the file has a column of hints now")
		require.Equal(t, "Old Stone", w.landmark("1").Name)
	})

	t.Run("areas that were renamed and moved are found", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		w.edit(func(ctx context.Context, tx *store.Tx) error {
			if err := tx.Area.Update().Where(entarea.Name("Coast")).SetName("Shore").ClearParentAreaID().Exec(ctx); err != nil {
				return err
			}
			return tx.Area.Update().Where(entarea.Name("Places")).SetName("World").Exec(ctx)
		})
		require.Equal(t, importer.Report{Read: 4, Created: 2, Unchanged: 2}, w.run(content+"3,Mill,54,8,Coast,\n4,Pier,54,9,,\n"))
		require.Equal(t, "Shore", w.landmark("3").Edges.Area.Name)
		require.Equal(t, "World", w.landmark("4").Edges.Area.Name)
		require.Equal(t, 2, w.Ent.Area.Query().CountX(t.Context()))
	})

	t.Run("a landmark that was moved to another area stays, and the emptied area is not made again", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		w.edit(func(ctx context.Context, tx *store.Tx) error {
			other := tx.Area.Create().SetName("Other").SetCreatedBy(uuid.New()).SaveX(ctx)
			if err := tx.Landmark.Update().SetAreaID(other.ID).Exec(ctx); err != nil {
				return err
			}
			_, err := tx.Area.Delete().Where(entarea.Name("Coast")).Exec(ctx)
			return err
		})
		require.Equal(t, importer.Report{Read: 2, Unchanged: 2}, w.run(content))
		require.Equal(t, "Other", w.landmark("1").Edges.Area.Name)
		require.Zero(t, w.Ent.Area.Query().Where(entarea.Name("Coast")).CountX(t.Context()))
		require.Equal(t, importer.Report{Read: 2, Updated: 2}, w.run(strings.ReplaceAll(content, "Coast", "Hills")))
		require.Equal(t, "Hills", w.landmark("1").Edges.Area.Name)
	})

	t.Run("of landmarks from before it was kept, the row wins unless they were changed", func(t *testing.T) {
		t.Parallel()
		w := start(t)
		_, err := w.Pool.Exec(t.Context(), "TRUNCATE import_landmarks, import_areas")
		require.NoError(t, err)
		changed := strings.NewReplacer("Stone", "Boulder", "Tower", "Mast").Replace(content)
		require.Equal(t, importer.Report{Read: 2, Updated: 1, Unchanged: 1}, w.run(changed))
		require.Equal(t, "Old Stone", w.landmark("1").Name)
		require.Equal(t, "Mast", w.landmark("2").Name)
		require.Equal(t, importer.Report{Read: 2, Updated: 1, Unchanged: 1}, w.run(strings.Replace(content, "Tower", "Mast", 1)))
		require.Equal(t, "Stone", w.landmark("1").Name)
	})
}
