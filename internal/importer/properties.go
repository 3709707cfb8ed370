package importer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/importer/source"
	"github.com/picaspot/picaspot/internal/landmark"
)

// The columns of landmarks that [Row.values] has.
const (
	columnDifficulty    = "difficulty"
	columnUnlockRadius  = "unlock_radius_meters"
	columnPhotoLocation = "photo_location"
	columnPhotoRadius   = "photo_radius_meters"
	columnVerified      = "is_verified"
)

// readProperties reads what the export has beside names, texts and positions, and returns
// what can't be taken. A column that is there and empty says the default.
func (r *Row) readProperties(m Mapping, record source.Record) (reasons []string) {
	f := fields(record.Fields)
	r.values = map[string]string{}
	number := func(column, named string, usual []string, low, high, missing float64, isWhole bool) {
		if !f.has(named, usual) {
			return
		}
		value := missing
		if text := f.get(named, usual); text != "" {
			if record.DecimalComma && !strings.Contains(text, ".") {
				text = strings.Replace(text, ",", ".", 1)
			}
			var err error
			value, err = strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil || !(low <= value && value <= high) || isWhole && value != math.Trunc(value) {
				kind := "a number"
				if isWhole {
					kind = "a whole number"
				}
				reasons = append(reasons, fmt.Sprintf("%s is %.40q, and has to be %s from %v to %v", column, text, kind, low, high))
				return
			}
		}
		r.values[column] = strconv.FormatFloat(value, 'f', -1, 64)
	}
	number(columnDifficulty, m.Difficulty, usualDifficulty, 1, 5, landmark.DefaultDifficulty, true)
	number(columnUnlockRadius, m.UnlockRadius, usualUnlockRadius, 1, 10_000, landmark.DefaultUnlockRadiusMeters, false)
	number(columnPhotoRadius, m.PhotoRadius, usualPhotoRadius, 1, 10_000, landmark.DefaultPhotoRadiusMeters, false)
	reasons = append(reasons, r.readPhotoLocation(m, record)...)
	if f.has(m.Verified, usualVerified) {
		text := f.get(m.Verified, usualVerified)
		value, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil && text != "" {
			reasons = append(reasons, fmt.Sprintf("is_verified is %.40q, and has to be true or false", text))
		}
		r.values[columnVerified] = strconv.FormatBool(value)
	}
	reasons = append(reasons, r.readTimes(m, f)...)
	return append(reasons, r.readAreaPath(m, record)...)
}

// readPhotoLocation reads two numbers, or none of them.
func (r *Row) readPhotoLocation(m Mapping, record source.Record) []string {
	f := fields(record.Fields)
	isNull := m.PhotoLatitude == "" && f.has("", []string{columnPhotoLocation})
	if !isNull && !f.has(m.PhotoLatitude, usualPhotoLatitude) && !f.has(m.PhotoLongitude, usualPhotoLongitude) {
		return nil
	}
	latitude, longitude := f.get(m.PhotoLatitude, usualPhotoLatitude), f.get(m.PhotoLongitude, usualPhotoLongitude)
	if latitude == "" && longitude == "" {
		r.values[columnPhotoLocation] = ""
		return nil
	}
	north, errNorth := latitudes.parse(latitude, record.DecimalComma)
	east, errEast := longitudes.parse(longitude, record.DecimalComma)
	var reasons []string
	if errNorth != nil {
		reasons = append(reasons, "the photo's latitude "+errNorth.Error())
	}
	if errEast != nil {
		reasons = append(reasons, "the photo's longitude "+errEast.Error())
	}
	if reasons != nil {
		return reasons
	}
	at, reasons := point(north, east)
	r.values[columnPhotoLocation] = at.EWKT()
	return reasons
}

// readTimes reads when a landmark was made and last changed, which no later row changes.
func (r *Row) readTimes(m Mapping, f fields) (reasons []string) {
	read := func(what, named string, usual []string) time.Time {
		text := f.get(named, usual)
		if text == "" {
			return time.Time{}
		}
		at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text))
		switch {
		case err != nil:
			reasons = append(reasons, fmt.Sprintf("%s is %.40q, and has to be a time as 2026-11-01T09:30:00Z (RFC 3339)", what, text))
		case at.Year() < 1 || at.After(time.Now()):
			reasons = append(reasons, what+" has to lie in the past")
		}
		return at.Truncate(time.Microsecond)
	}
	r.createdAt = read("created_at", m.CreatedAt, usualCreatedAt)
	r.updatedAt = read("updated_at", m.UpdatedAt, usualUpdatedAt)
	if r.createdAt.IsZero() {
		r.updatedAt = time.Time{}
	}
	if !r.updatedAt.IsZero() && r.updatedAt.Before(r.createdAt) {
		reasons = append(reasons, "updated_at lies before created_at")
	}
	return reasons
}

// readAreaPath reads an array of names, which is a text of JSON where the format has no
// arrays.
func (r *Row) readAreaPath(m Mapping, record source.Record) (reasons []string) {
	usual := usualAreaPath
	if m.AreaPath != "" {
		usual = []string{strings.ToLower(m.AreaPath)}
	}
	var path []string
	for _, column := range usual {
		if list, ok := record.Lists[column]; ok {
			path = list
			break
		}
		text := strings.TrimSpace(record.Fields[column])
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &path); err != nil {
			return []string{fmt.Sprintf("%s is %.40q, and has to be an array of names in JSON", column, text)}
		}
		break
	}
	if path == nil {
		return nil
	}
	r.AreaPath = make([]string, 0, len(path))
	for _, called := range slices.Clone(path) {
		clean, faults := cleanName("a name in the path of areas", called)
		if clean == "" && len(faults) == 0 {
			faults = []string{"a name in the path of areas is empty"}
		}
		reasons = append(reasons, faults...)
		r.AreaPath = append(r.AreaPath, clean)
	}
	if len(path) > area.MaxDepth {
		reasons = append(reasons, fmt.Sprintf("the path of areas has more than %d names", area.MaxDepth))
	}
	return reasons
}
