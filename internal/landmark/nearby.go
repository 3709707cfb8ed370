package landmark

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/page"
)

// Nearby asks for landmarks around a point.
type Nearby struct {
	Center       geo.Point
	RadiusMeters float64
	AreaID       *uuid.UUID
	IsVerified   *bool
	// Unlocked keeps what the caller has, or has not, unlocked.
	Unlocked *bool
	// RequireAllInRadius keeps landmarks of areas that lie within the radius entirely.
	RequireAllInRadius bool
	// LoadFromSameArea adds those beyond the radius that share an area with one inside it.
	LoadFromSameArea bool
}

// Near is a landmark with what depends on who asks from where.
type Near struct {
	ID uuid.UUID
	// Body is what the service renders. It must not be changed.
	Body []byte
	// DistanceMeters is the length of the geodesic on the WGS 84 ellipsoid, to the
	// centimetre.
	DistanceMeters float64
	// Unlocked says whether the caller has unlocked it.
	Unlocked bool
}

var nearbyList = page.List{
	Name: "landmarks/nearby", Default: "distance",
	SortBy: map[string]page.Column{"distance": {Name: "distance", Type: page.Float}},
}

// nearKey is what a list of what is near is sorted by.
func nearKey(n Near, column string) any {
	if column == "distance" {
		return n.DistanceMeters
	}
	return n.ID
}

// Nearby returns living landmarks within a radius, nearest first. What is asked for
// often is answered from copies of the map's cells, the rest by PostGIS; the two
// say the same.
func (s *Service) Nearby(ctx context.Context, in Nearby, params page.Params) (page.Result[Near], error) {
	caller, _ := authz.CallerFrom(ctx)
	q, err := nearbyList.Resolve(params, s.cursors, in)
	if err != nil {
		return page.Result[Near]{}, err
	}
	if cells, words := s.cover(in); s.cache.Note(words) && len(cells) > 0 {
		result, ok, err := s.nearbyInCells(ctx, in, q, caller.UserID, cells, words)
		if ok || err != nil {
			return result, err
		}
	}
	return s.nearbyInPostGIS(ctx, in, q, caller.UserID)
}

// NearbyWords returns the words whose generations [Service.Nearby] will want, if it
// will want any.
func (s *Service) NearbyWords(in Nearby, user uuid.UUID) []string {
	_, words := s.cover(in)
	if len(words) == 0 || !s.cache.Popular(words) {
		return nil
	}
	return append(words, userWord(user))
}

// cover returns the cells of a circle and their words; none when what is asked for
// does not end with the circle, or there are too many.
func (s *Service) cover(in Nearby) ([]geo.Cell, []string) {
	if s.cache == nil || in.RequireAllInRadius || in.LoadFromSameArea {
		return nil, nil
	}
	cells, ok := geo.Cover(nil, in.Center, in.RadiusMeters, maxCells)
	if !ok {
		return nil, nil
	}
	return cells, cellWords(cells)
}

// edge is how far in metres from the radius a distance along a chord decides; what
// is nearer to it is measured exactly.
const edge = 0.01

// hit is a place within the circle.
type hit struct {
	distance float64
	cell     *cell
	place    *place
}

func (h hit) compare(other hit) int {
	if order := cmp.Compare(h.distance, other.distance); order != 0 {
		return order
	}
	return bytes.Compare(h.place.id[:], other.place.id[:])
}

// hitRooms are slices of hits to be used again.
var hitRooms = sync.Pool{New: func() any { return new([]hit) }}

// nearbyInCells answers from the map's cells. It reports false when it can't.
func (s *Service) nearbyInCells(
	ctx context.Context, in Nearby, q page.Query, user uuid.UUID, cells []geo.Cell, words []string,
) (page.Result[Near], bool, error) {
	unlocked, err := s.unlocked(ctx, user)
	if err != nil || unlocked.tooMany() {
		return page.Result[Near]{}, false, err
	}
	copies, err := cache.GetAll(ctx, s.cache, cellKind, words, words, func(ctx context.Context, missing []int) ([]*cell, error) {
		wanted := make([]geo.Cell, len(missing))
		for n, i := range missing {
			wanted[n] = cells[i]
		}
		return s.loadCells(ctx, wanted)
	})
	if err != nil {
		return page.Result[Near]{}, false, err
	}
	if slices.ContainsFunc(copies, func(c *cell) bool { return c.crowded }) {
		return page.Result[Near]{}, false, nil
	}
	room := hitRooms.Get().(*[]hit) //nolint:forcetypeassert // It holds nothing else.
	hits := inCircle(*room, copies, in, unlocked)
	defer func() {
		clear(hits)
		*room = hits[:0]
		hitRooms.Put(room)
	}()
	slices.SortFunc(hits, hit.compare)
	result, err := page.Fetch(ctx, q, page.Source[Near]{
		List: func(_ context.Context, limit, offset int) ([]Near, error) {
			if after := q.After(); after != nil {
				last := hit{distance: after[0].(float64), place: &place{id: after[1].(uuid.UUID)}} //nolint:forcetypeassert // The types of the list's columns.
				offset, _ = slices.BinarySearchFunc(hits, last, hit.compare)
				if offset < len(hits) && hits[offset].compare(last) == 0 {
					offset++
				}
			}
			rest := hits[min(offset, len(hits)):]
			near := make([]Near, min(limit, len(rest)))
			for i := range near {
				h := &rest[i]
				near[i] = Near{ID: h.place.id, Body: h.cell.body(h.place), DistanceMeters: h.distance, Unlocked: unlocked.has(h.place.id)}
			}
			return near, nil
		},
		Count: func(context.Context) (int, error) { return len(hits), nil },
		Key:   nearKey,
	})
	return result, true, err
}

// inCircle appends the places of the circle that pass the filters.
func inCircle(hits []hit, copies []*cell, in Nearby, unlocked unlockedSet) []hit {
	center, curvature := in.Center.Vector(), in.Center.Curvature()
	limit := in.RadiusMeters + edge
	for _, c := range copies {
		for i := range c.places {
			p := &c.places[i]
			squared := center.ChordSquared(p.vector)
			// No chord is longer than its geodesic.
			if squared > limit*limit {
				continue
			}
			meters, ok := curvature.Meters(squared)
			if !ok || math.Abs(meters-in.RadiusMeters) < edge {
				meters = in.Center.DistanceMeters(p.point)
			}
			if meters > in.RadiusMeters || in.AreaID != nil && p.area != *in.AreaID ||
				in.IsVerified != nil && p.isVerified != *in.IsVerified ||
				in.Unlocked != nil && unlocked.has(p.id) != *in.Unlocked {
				continue
			}
			hits = append(hits, hit{distance: toCentimeter(meters), cell: c, place: p})
		}
	}
	return hits
}

// toCentimeter rounds as PostgreSQL's round does.
func toCentimeter(meters float64) float64 { return math.RoundToEven(meters*100) / 100 }
