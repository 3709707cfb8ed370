package tile

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// The levels of cells that landmarks are counted in (table landmark_cells): every
// third one, from the coarsest to that of mercator_cell.
const (
	firstLevel = 4
	baseLevel  = 16
	levelStep  = 3
)

// Statements, with words in braces for what a zoom makes of them.
const (
	// cellID names the cell of a position as the tile that it is.
	cellID = `{cellZoom} || '/' || (x >> {cellShift}) || '/' || (y >> {cellShift})`

	// layers makes the two layers of the relations clusters, one row for each cell with
	// how many landmarks it holds (n) and the middle of them (x, y), and singles.
	layers = `
SELECT (
  SELECT ST_AsMVT(layer, 'clusters', 4096, 'geom' ORDER BY layer.id) FROM (
    SELECT ` + cellID + ` AS id, n AS count, mercator_bbox({cellZoom}, x >> {cellShift}, y >> {cellShift}) AS bbox, {point} AS geom
    FROM clusters
  ) layer
) || (
  SELECT ST_AsMVT(layer, 'landmarks', 4096, 'geom' ORDER BY layer.id) FROM (
    SELECT id, name, difficulty, is_verified, area_id, {point} AS geom FROM singles
  ) layer
)`

	// counted adds up what is counted, in at most 1,024 rows whatever the map holds, and
	// what is not counted yet (landmark_cells_pkey, landmark_cell_change_cell). $1 to $2
	// and $3 to $4 are the tile's cells at the two levels.
	//
	// A cell with a single landmark leads to it, as the middle is its position: the box
	// of some decimetres around it is looked up in landmark_position.
	counted = `-- name: tile_landmarks_counted
WITH cells AS (
  SELECT sum(n)::bigint AS n, div(sum(x), sum(n))::bigint AS x, div(sum(y), sum(n))::bigint AS y
  FROM (
    SELECT cell >> {levelShift} AS cell, n, x, y FROM landmark_cells WHERE level = {level} AND cell >= $1 AND cell < $2
    UNION ALL
    SELECT cell >> {baseShift}, n, x, y FROM landmark_cell_changes WHERE cell >= $3 AND cell < $4
  ) counts
  GROUP BY cell HAVING sum(n) > 0
), clusters AS (
  SELECT n, x, y FROM cells WHERE n > 1
), singles AS (
  SELECT l.id, l.name, l.difficulty, l.is_verified, l.area_id, c.x, c.y
  FROM (
    SELECT x, y, x / 4294967296::float8 * 360 - 180 AS longitude, degrees(atan(sinh(pi() * (1 - y / 2147483648::float8)))) AS latitude
    FROM cells WHERE n = 1
  ) c
  JOIN landmarks l ON l.deleted_at IS NULL
    AND l.location::geometry && ST_MakeEnvelope(
      c.longitude - {slack}, CASE WHEN c.y = 4294967295 THEN -90 ELSE c.latitude - {slack} END,
      c.longitude + {slack}, CASE WHEN c.y = 0 THEN 90 ELSE c.latitude + {slack} END, 4326)
    AND mercator_x(l.location::geometry) >> {cellShift} = c.x >> {cellShift}
    AND mercator_y(l.location::geometry) >> {cellShift} = c.y >> {cellShift}
)` + layers

	// read reads all landmarks of the tile (landmark_position). $1 to $4 are its box,
	// $5 and $6 its column and row.
	read = `-- name: tile_landmarks
WITH hits AS (
  SELECT id, name, difficulty, is_verified, area_id, mercator_x(location::geometry) AS x, mercator_y(location::geometry) AS y
  FROM landmarks WHERE deleted_at IS NULL AND location::geometry && ST_MakeEnvelope($1, $2, $3, $4, 4326)
), inside AS (
  SELECT *, count(*) OVER (PARTITION BY x >> {cellShift}, y >> {cellShift}) AS n
  FROM hits WHERE x >> {tileShift} = $5 AND y >> {tileShift} = $6
), clusters AS (
  SELECT count(*) AS n, div(sum(x), count(*))::bigint AS x, div(sum(y), count(*))::bigint AS y
  FROM inside WHERE n > {single} GROUP BY x >> {cellShift}, y >> {cellShift}
), singles AS (
  SELECT * FROM inside WHERE n <= {single}
)` + layers

	// unlocked asks for what the user $3 has unlocked in the tile of column $1 and row
	// $2. Up to streetZoom it begins with what the user has unlocked anywhere
	// (unlock_user_id_landmark_id, landmarks_pkey): for a tile of half the earth the
	// index of positions has nothing to offer, and the planner does not know it.
	unlocked = `-- name: tile_unlocks
SELECT ` + cellID + `, n, ids FROM (
  SELECT min(x) AS x, min(y) AS y, count(*) AS n, CASE WHEN count(*) <= {single} THEN array_agg(id ORDER BY id) END AS ids
  FROM (
    SELECT l.id, mercator_x(l.location::geometry) AS x, mercator_y(l.location::geometry) AS y
    FROM unlocks u JOIN landmarks l ON l.id = u.landmark_id
    WHERE u.user_id = $3 AND u.deleted_at IS NULL AND l.deleted_at IS NULL{nearby}
  ) hits
  WHERE x >> {tileShift} = $1 AND y >> {tileShift} = $2
  GROUP BY x >> {cellShift}, y >> {cellShift}
) cells
ORDER BY y >> {cellShift}, x >> {cellShift}`

	// nearby makes unlocked choose between that and landmark_position.
	nearby = "\n      AND l.location::geometry && ST_MakeEnvelope($4, $5, $6, $7, 4326)"
)

// level is the coarsest level that is counted and that has the cells of a zoom's grid.
func level(zoom int) int {
	return firstLevel + (zoom+cellZooms-firstLevel+levelStep-1)/levelStep*levelStep
}

// statements are what the zooms make of the statements, so that the database sees as
// few different ones as possible.
var statements = func() (all [MaxZoom + 1]struct{ landmarks, unlocked string }) {
	for z := range all {
		cell := z + cellZooms
		tileShift := strconv.Itoa(mapBits - z)
		within := func(axis string) string {
			return "((" + axis + " & " + strconv.Itoa(1<<(mapBits-z)-1) + ") * 4096) >> " + tileShift
		}
		fill := strings.NewReplacer(
			"{cellZoom}", strconv.Itoa(cell), "{cellShift}", strconv.Itoa(mapBits-cell), "{tileShift}", tileShift,
			"{point}", "ST_MakePoint("+within("x")+", "+within("y")+")",
			"{level}", strconv.Itoa(level(z)), "{levelShift}", strconv.Itoa(2*(level(z)-cell)), "{baseShift}", strconv.Itoa(2*(baseLevel-cell)),
			"{single}", strconv.Itoa(Tile{Z: z}.single()), "{slack}", strconv.FormatFloat(slack, 'g', -1, 64),
		).Replace
		landmarks, place := read, nearby
		if z < streetZoom {
			landmarks, place = counted, ""
		}
		all[z].landmarks, all[z].unlocked = fill(landmarks), strings.Replace(fill(unlocked), "{nearby}", place, 1)
	}
	return all
}()

// landmarksQuery is the statement that makes the tile, and its arguments.
func (t Tile) landmarksQuery() (string, []any) {
	if t.Z < streetZoom {
		first, end := t.cells(level(t.Z))
		baseFirst, baseEnd := t.cells(baseLevel)
		return statements[t.Z].landmarks, []any{first, end, baseFirst, baseEnd}
	}
	west, south, east, north := t.box()
	return statements[t.Z].landmarks, []any{west, south, east, north, t.X, t.Y}
}

// unlockedQuery is the statement that tells what a user has unlocked, and its arguments.
func (t Tile) unlockedQuery(user uuid.UUID) (string, []any) {
	args := []any{t.X, t.Y, user}
	if t.Z >= streetZoom {
		west, south, east, north := t.box()
		args = append(args, west, south, east, north)
	}
	return statements[t.Z].unlocked, args
}

// cells returns the first of the tile's cells at a level, and the one after the last,
// as mercator_cell numbers them.
func (t Tile) cells(level int) (first, end int64) {
	var code int64
	for bit := range t.Z {
		code |= int64(t.X>>bit&1)<<(2*bit) | int64(t.Y>>bit&1)<<(2*bit+1)
	}
	shift := 2 * (level - t.Z)
	return code << shift, (code + 1) << shift
}
