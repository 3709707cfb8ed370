package bench

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/geo"
)

// The JSON of the contract, written by hand.
type plainPosition struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

type plainLandmark struct {
	AreaID             uuid.UUID      `json:"area_id"`
	CreatedAt          time.Time      `json:"created_at"`
	CreatedBy          uuid.UUID      `json:"created_by"`
	Description        string         `json:"description"`
	Difficulty         int            `json:"difficulty"`
	DistanceMeters     float64        `json:"distance_meters"`
	Hint               string         `json:"hint"`
	ID                 uuid.UUID      `json:"id"`
	Image              *string        `json:"image"`
	IsVerified         bool           `json:"is_verified"`
	Latitude           float64        `json:"latitude"`
	Longitude          float64        `json:"longitude"`
	Name               string         `json:"name"`
	PhotoLocation      *plainPosition `json:"photo_location"`
	PhotoRadiusMeters  float64        `json:"photo_radius_meters"`
	UnlockRadiusMeters float64        `json:"unlock_radius_meters"`
	Unlocked           bool           `json:"unlocked"`
	UpdatedAt          time.Time      `json:"updated_at"`
}

type plainList struct {
	Items []plainLandmark `json:"items"`
	Page  int             `json:"page"`
	Pages int             `json:"pages"`
	Size  int             `json:"size"`
	Total int             `json:"total"`
}

// plainNearby is the page of landmarks around a place as one writes it. The chain's own
// statement asks the same in a way that is planned once.
const plainNearby = `WITH hits AS (
  SELECT l.id, round(ST_Distance(l.location, $1) * 100) / 100 AS distance
  FROM landmarks l WHERE l.deleted_at IS NULL AND ST_DWithin(l.location, $1, $2)
), paged AS (
  SELECT id, distance, count(*) OVER () AS total FROM hits ORDER BY distance, id LIMIT $4
)
SELECT l.id, l.created_at, l.updated_at, l.area_id, l.name, l.description, l.hint, l.difficulty, l.location,
  l.unlock_radius_meters, l.photo_location, l.photo_radius_meters, l.created_by, l.is_verified, l.image,
  p.distance, u.id IS NOT NULL, p.total
FROM paged p JOIN landmarks l ON l.id = p.id
LEFT JOIN unlocks u ON u.user_id = $3 AND u.landmark_id = l.id AND u.deleted_at IS NULL
ORDER BY p.distance, p.id`

// Plain is nearby and a landmark by its id as somebody would write them by hand with
// net/http and pgx: one statement and the same JSON, and nothing around it. Under
// /fixed it returns the same bytes each time.
func Plain(pool *pgxpool.Pool, user uuid.UUID, fixed []byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fixed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(fixed) // The client is gone.
	})
	mux.HandleFunc("GET /api/v1/landmarks/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := uuid.Parse(r.PathValue("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var l plainLandmark
		var at geo.Point
		var photo *geo.Point
		err = pool.QueryRow(r.Context(), `SELECT id, created_at, updated_at, area_id, name, description, hint, difficulty, location,
  unlock_radius_meters, photo_location, photo_radius_meters, created_by, is_verified, image
FROM landmarks WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&l.ID, &l.CreatedAt, &l.UpdatedAt, &l.AreaID, &l.Name, &l.Description,
			&l.Hint, &l.Difficulty, &at, &l.UnlockRadiusMeters, &photo, &l.PhotoRadiusMeters, &l.CreatedBy, &l.IsVerified, &l.Image)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		l.CreatedAt, l.UpdatedAt = l.CreatedAt.UTC(), l.UpdatedAt.UTC()
		l.Latitude, l.Longitude = at.Latitude, at.Longitude
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(l) // The client is gone.
	})
	mux.HandleFunc("GET /api/v1/landmarks/nearby", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		number := func(name string) float64 {
			value, err := strconv.ParseFloat(query.Get(name), 64)
			if err != nil {
				http.Error(w, name, http.StatusBadRequest)
			}
			return value
		}
		size := int(number("size"))
		center := geo.Point{Latitude: number("latitude"), Longitude: number("longitude")}
		rows, err := pool.Query(r.Context(), plainNearby, center, number("radius_meters"), user, size)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		list := plainList{Page: 1, Size: size}
		list.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l plainLandmark, err error) {
			var at geo.Point
			var photo *geo.Point
			err = row.Scan(&l.ID, &l.CreatedAt, &l.UpdatedAt, &l.AreaID, &l.Name, &l.Description, &l.Hint, &l.Difficulty, &at,
				&l.UnlockRadiusMeters, &photo, &l.PhotoRadiusMeters, &l.CreatedBy, &l.IsVerified, &l.Image, &l.DistanceMeters,
				&l.Unlocked, &list.Total)
			l.CreatedAt, l.UpdatedAt = l.CreatedAt.UTC(), l.UpdatedAt.UTC()
			l.Latitude, l.Longitude = at.Latitude, at.Longitude
			return l, err
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		list.Pages = (list.Total + size - 1) / size
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) // The client is gone.
	})
	return mux
}
