package importer_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/ent"
	entarea "github.com/picaspot/picaspot/ent/area"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/importer"
	"github.com/picaspot/picaspot/internal/store"
)

// TestAreaThatWasMovedDown has the area of a file moved so deep that another one does not
// fit beneath it: its row is rejected, and the others of the batch are taken.
func TestAreaThatWasMovedDown(t *testing.T) {
	t.Parallel()
	s := open(t)
	var rejected []importer.Rejected
	run := func(content string, isStrict bool) (importer.Report, error) {
		rejected = nil
		src, err := importer.Open(file(t, "places.csv", content), importer.SourceOptions{})
		require.NoError(t, err)
		defer src.Close()
		return importer.Import(t.Context(), s, src, importer.Options{
			Namespace: "places", Area: "Places", Owner: uuid.New(), IsStrict: isStrict,
			Rejected: func(r importer.Rejected) { rejected = append(rejected, r) },
		})
	}
	const content = "id,name,lat,lon,area_path\n1,Stone,1,2,[]\n"
	_, err := run(content, false)
	require.NoError(t, err)
	world{s, t}.edit(func(ctx context.Context, tx *store.Tx) error {
		var above *ent.Area
		for range area.MaxDepth - 1 {
			create := tx.Area.Create().SetName("Above").SetCreatedBy(uuid.New())
			if above != nil {
				create.SetParent(above)
			}
			above = create.SaveX(ctx)
		}
		return tx.Area.Update().Where(entarea.Name("Places")).SetParentID(above.ID).Exec(ctx)
	})

	const more = content + "2,Tower,1,3,\"[\"\"Coast\"\"]\"\n3,Wall,1,4,[]\n"
	_, err = run(more, true)
	require.ErrorIs(t, err, importer.ErrRejected)
	require.Equal(t, 1, s.Ent.Landmark.Query().CountX(t.Context()))
	report, err := run(more, false)
	require.NoError(t, err)
	require.Equal(t, importer.Report{Read: 3, Created: 1, Unchanged: 1, Rejected: 1}, report)
	require.Equal(t, []importer.Rejected{{Line: 3, Name: "Tower", Reasons: []string{"its areas would lie more than 10 levels deep"}}}, rejected)
	require.False(t, s.Ent.Landmark.Query().Where(entlandmark.Name("Tower")).ExistX(t.Context()))
}
