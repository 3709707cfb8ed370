package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/reqctx"
	"github.com/picaspot/picaspot/internal/tile"
)

// GetLandmarkTile implements GET /api/v1/tiles/landmarks/{z}/{x}/{y}.
func (s *Server) GetLandmarkTile(ctx context.Context, request api.GetLandmarkTileRequestObject) (api.GetLandmarkTileResponseObject, error) {
	t, faults := tile.New(request.Z, request.X, request.Y)
	if len(faults) > 0 {
		return nil, invalidRequest(faults)
	}
	data, err := s.Tiles.Landmarks(ctx, t)
	if err != nil {
		return nil, err
	}
	tag, notModified := etag(contentTag(data), request.Params.IfNoneMatch)
	if notModified {
		return api.GetLandmarkTile304Response{}, nil
	}
	return api.GetLandmarkTile200ApplicationVndMapboxVectorTileResponse{
		Body: bytes.NewReader(data), ContentLength: int64(len(data)), Headers: api.GetLandmarkTile200ResponseHeaders{ETag: tag},
	}, nil
}

// GetUnlockTile implements GET /api/v1/tiles/unlocks/{z}/{x}/{y}.
func (s *Server) GetUnlockTile(ctx context.Context, request api.GetUnlockTileRequestObject) (api.GetUnlockTileResponseObject, error) {
	t, faults := tile.New(request.Z, request.X, request.Y)
	if len(faults) > 0 {
		return nil, invalidRequest(faults)
	}
	caller, _ := authz.CallerFrom(ctx)
	unlocked, err := s.Tiles.Unlocked(ctx, t, caller.UserID)
	if err != nil {
		return nil, err
	}
	body := toAPIUnlockTile(unlocked)
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("unlock tile: %w", err)
	}
	tag, notModified := etag(contentTag(data), request.Params.IfNoneMatch)
	if notModified {
		return api.GetUnlockTile304Response{}, nil
	}
	return api.GetUnlockTile200JSONResponse{Body: body, Headers: api.GetUnlockTile200ResponseHeaders{ETag: tag}}, nil
}

// fromAPIPlace reads the two filters by place, and names the faults of both.
func fromAPIPlace(bbox, cell *string) (*geo.BBox, *tile.Tile, error) {
	box, err := fromAPIBBox(bbox)
	if cell == nil {
		return box, nil, err
	}
	in, cellErr := tile.ParseCell(*cell)
	if cellErr == nil {
		return box, &in, err
	}
	wrong := fault.Field{Parameter: "cell", Code: "range", Message: cellErr.Error()}
	if found := (*fault.Error)(nil); errors.As(err, &found) {
		return nil, nil, found.With(wrong)
	}
	return nil, nil, invalidRequest([]fault.Field{wrong})
}

// contentTag is the entity tag of what has no version: the same bytes have the same.
func contentTag(data []byte) string {
	digest := sha256.Sum256(data)
	return `"` + hex.EncodeToString(digest[:16]) + `"`
}

func toAPIUnlockTile(u tile.Unlocked) api.UnlockTile {
	body := api.UnlockTile{LandmarkIds: append([]uuid.UUID{}, u.LandmarkIDs...), Cells: make([]api.UnlockCell, len(u.Cells))}
	for i, cell := range u.Cells {
		body.Cells[i] = api.UnlockCell{ID: cell.ID, Unlocked: cell.Unlocked}
	}
	return body
}

// ExportLandmarks implements GET /api/v1/landmarks.geojson.
func (s *Server) ExportLandmarks(ctx context.Context, request api.ExportLandmarksRequestObject) (api.ExportLandmarksResponseObject, error) {
	p := request.Params
	box, cell, err := fromAPIPlace(p.Bbox, p.Cell)
	if err != nil {
		return nil, err
	}
	filter := landmark.Filter{
		AreaID: p.AreaID, IncludeDescendants: deref(p.IncludeDescendants, false), Difficulty: p.Difficulty,
		IsVerified: p.IsVerified, CreatedBy: p.CreatedBy, BBox: box, Cell: cell, Search: deref(p.Search, ""),
	}
	return landmarkExport{ctx: ctx, each: func(ctx context.Context, fn func([]landmark.Exported) error) error {
		return s.Landmarks.Each(ctx, filter, fn)
	}}, nil
}

// landmarkExport is the answer of an export.
type landmarkExport struct {
	ctx  context.Context // The request's, for an answer that is still made while it is sent.
	each func(context.Context, func([]landmark.Exported) error) error
}

// VisitExportLandmarksResponse sends the document, a batch of landmarks at a time.
func (e landmarkExport) VisitExportLandmarksResponse(w http.ResponseWriter) error {
	answer := stream{
		ctx: e.ctx, what: "landmark export", contentType: "application/geo+json", filename: datedName("landmarks", ".geojson"),
	}
	return answer.write(w, func(send func([]byte) error) error {
		var part bytes.Buffer
		part.WriteString(`{"type":"FeatureCollection","features":[`)
		separator := "\n"
		err := e.each(e.ctx, func(landmarks []landmark.Exported) error {
			for _, l := range landmarks {
				feature, err := json.Marshal(toAPILandmarkFeature(e.ctx, l))
				if err != nil {
					return fmt.Errorf("landmark %s: %w", l.ID, err)
				}
				part.WriteString(separator)
				part.Write(feature)
				separator = ",\n"
			}
			defer part.Reset()
			return send(part.Bytes())
		})
		if err != nil {
			return err
		}
		part.WriteString("\n]}\n")
		return send(part.Bytes())
	})
}

// toAPILandmarkFeature translates a landmark and where it stands.
func toAPILandmarkFeature(ctx context.Context, l landmark.Exported) api.LandmarkFeature {
	return api.LandmarkFeature{
		Type: api.LandmarkFeatureTypeFeature, ID: l.ID,
		Geometry: api.PointGeometry{Type: api.PointGeometryTypePoint, Coordinates: []float64{l.Location.Longitude, l.Location.Latitude}},
		Properties: api.LandmarkProperties{
			Name: l.Name, Description: l.Description, Hint: l.Hint, Difficulty: l.Difficulty, Area: l.AreaPath[len(l.AreaPath)-1], AreaID: l.AreaID,
			AreaPath:           l.AreaPath,
			UnlockRadiusMeters: l.UnlockRadiusMeters, PhotoLocation: toAPIPosition(l.PhotoLocation), PhotoRadiusMeters: l.PhotoRadiusMeters,
			CreatedBy: l.CreatedBy, IsVerified: l.IsVerified,
			CreatedAt: reqctx.In(ctx, l.CreatedAt), UpdatedAt: reqctx.In(ctx, l.UpdatedAt),
		},
	}
}
