package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/reqctx"
)

// RenderLandmark writes a landmark as the contract has it, with times in UTC.
func RenderLandmark(l *ent.Landmark) ([]byte, error) {
	return json.Marshal(toAPILandmark(context.Background(), l))
}

// RenderArea writes an area as the contract has it, with times in UTC.
func RenderArea(a *ent.Area) ([]byte, error) {
	return json.Marshal(toAPIArea(context.Background(), a))
}

// written is a resource that stands there as JSON already.
type written struct {
	body []byte
	etag string
}

func (a written) write(w http.ResponseWriter) error {
	w.Header()["Etag"] = []string{a.etag}
	return writeJSON(w, a.body)
}

// VisitGetLandmarkResponse implements [api.GetLandmarkResponseObject].
func (a written) VisitGetLandmarkResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetAreaResponse implements [api.GetAreaResponseObject].
func (a written) VisitGetAreaResponse(w http.ResponseWriter) error { return a.write(w) }

// writtenList is a page of a list that stands there as JSON already.
type writtenList []byte

// VisitListLandmarksResponse implements [api.ListLandmarksResponseObject].
func (a writtenList) VisitListLandmarksResponse(w http.ResponseWriter) error { return writeJSON(w, a) }

// VisitListAreasResponse implements [api.ListAreasResponseObject].
func (a writtenList) VisitListAreasResponse(w http.ResponseWriter) error { return writeJSON(w, a) }

var lists = cache.Bytes("list")

// copied answers from a copy of the page that parameters ask for, as long as nothing of
// what the word stands for changes.
func copied[L any](ctx context.Context, s *Server, word string, params any, list func(context.Context) (L, error)) (writtenList, error) {
	write := func(ctx context.Context) ([]byte, error) {
		// An address would expire while the copy is kept.
		page, err := list(picture.WithAddresses(ctx, nil))
		if err != nil {
			return nil, err
		}
		return json.Marshal(page)
	}
	text, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	key := word + string(text)
	var body []byte
	if hasZone(ctx) || !s.Cache.Note([]string{key}) {
		body, err = write(ctx)
	} else {
		body, err = cache.Get(ctx, s.Cache, lists, key, word, write)
	}
	body, _ = signed(ctx, body)
	return body, err
}

var jsonType = []string{"application/json"}

func writeJSON(w http.ResponseWriter, body []byte) error {
	w.Header()["Content-Type"] = jsonType
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, err := w.Write(body)
	return err
}

// hasZone reports whether a request wants times in another zone than a body has them.
func hasZone(ctx context.Context) bool { return reqctx.From(ctx).Location != nil }

// landmarkInZone reads a body that [RenderLandmark] wrote, for the zone of a request.
func landmarkInZone(ctx context.Context, body []byte) (api.Landmark, error) {
	var l api.Landmark
	if err := json.Unmarshal(body, &l); err != nil {
		return api.Landmark{}, fmt.Errorf("read what was written of a landmark: %w", err)
	}
	l.CreatedAt, l.UpdatedAt = reqctx.In(ctx, l.CreatedAt), reqctx.In(ctx, l.UpdatedAt)
	return l, nil
}

// areaInZone reads a body that [RenderArea] wrote, for the zone of a request.
func areaInZone(ctx context.Context, body []byte) (api.Area, error) {
	var a api.Area
	if err := json.Unmarshal(body, &a); err != nil {
		return api.Area{}, fmt.Errorf("read what was written of an area: %w", err)
	}
	a.CreatedAt, a.UpdatedAt = reqctx.In(ctx, a.CreatedAt), reqctx.In(ctx, a.UpdatedAt)
	return a, nil
}

// nearbyPage is a page of what is near, whose landmarks stand there as JSON already:
// only what depends on who asks from where is written.
type nearbyPage struct {
	ctx   context.Context // The request's.
	items []landmark.Near
	info  api.PageInfo
}

// buffers are for bodies that are put together.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled bounds the buffers that are kept.
const maxPooled = 256 << 10

// VisitListNearbyLandmarksResponse implements [api.ListNearbyLandmarksResponseObject].
func (p nearbyPage) VisitListNearbyLandmarksResponse(w http.ResponseWriter) error {
	b := buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // It holds nothing else.
	b.Reset()
	defer func() {
		if b.Cap() <= maxPooled {
			buffers.Put(b)
		}
	}()
	b.WriteString(`{"items":[`)
	for i := range p.items {
		item := &p.items[i]
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(item.Body[:len(item.Body)-1])
		b.WriteString(`,"distance_meters":`)
		b.Write(strconv.AppendFloat(b.AvailableBuffer(), item.DistanceMeters, 'f', -1, 64))
		b.WriteString(`,"unlocked":`)
		b.Write(strconv.AppendBool(b.AvailableBuffer(), item.Unlocked))
		b.WriteByte('}')
	}
	b.WriteByte(']')
	info, err := json.Marshal(p.info)
	if err != nil {
		return err
	}
	if len(info) > len("{}") {
		b.WriteByte(',')
	}
	b.Write(info[1:])
	body, _ := signed(p.ctx, b.Bytes())
	return writeJSON(w, body)
}

// Wants tells by operation, as the generated server names it, the words whose
// generations it will want,
// from requests that nobody has validated yet.
func (s *Server) Wants() map[string]operation.Wants {
	return map[string]operation.Wants{
		"GetLandmark": func(r *http.Request, _ uuid.UUID) []string {
			return s.idWords(r.PathValue("landmark_id"), landmark.Word)
		},
		"ListLandmarks": func(*http.Request, uuid.UUID) []string { return []string{landmark.AnyWord} },
		"ListAreas":     func(*http.Request, uuid.UUID) []string { return []string{area.AnyWord} },
		"GetArea":       func(r *http.Request, _ uuid.UUID) []string { return s.idWords(r.PathValue("area_id"), area.Word) },
		"ListNearbyLandmarks": func(r *http.Request, user uuid.UUID) []string {
			in, ok := nearbyIn(r)
			if !ok {
				return nil
			}
			return s.Landmarks.NearbyWords(in, user)
		},
	}
}

func (s *Server) idWords(text string, word func(uuid.UUID) string) []string {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil
	}
	words := []string{word(id)}
	if !s.Cache.Popular(words) {
		return nil
	}
	return words
}

// nearbyIn reads the circle of a request, if it has one that is written as clients do.
func nearbyIn(r *http.Request) (landmark.Nearby, bool) {
	var latitude, longitude, radius float64
	found := 0
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		var to *float64
		switch name {
		case "latitude":
			to = &latitude
		case "longitude":
			to = &longitude
		case "radius_meters":
			to = &radius
		default:
			continue
		}
		var err error
		if *to, err = strconv.ParseFloat(value, 64); err != nil {
			return landmark.Nearby{}, false
		}
		found++
	}
	center, err := geo.New(latitude, longitude)
	ok := found == 3 && err == nil && radius > 0 && radius <= maxRadiusMeters
	return landmark.Nearby{Center: center, RadiusMeters: radius}, ok
}

// maxRadiusMeters is the largest radius that the contract knows.
const maxRadiusMeters = 50_000
