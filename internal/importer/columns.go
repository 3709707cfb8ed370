package importer

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// How far a file is read ahead to see its columns: formats but CSV have them in
// each record, and not all in each.
const (
	aheadRecords = 200
	aheadBytes   = 1 << 20
)

// named are the columns that a mapping names, with the flags that name them.
func (m Mapping) named() map[string]string {
	named := map[string]string{}
	for flag, column := range map[string]string{
		"id": m.ID, "name": m.Name, "description": m.Description, "hint": m.Hint, "area": m.Area, "latitude": m.Latitude, "longitude": m.Longitude,
		"area-path": m.AreaPath, "difficulty": m.Difficulty, "unlock-radius": m.UnlockRadius, "photo-latitude": m.PhotoLatitude,
		"photo-longitude": m.PhotoLongitude, "photo-radius": m.PhotoRadius, "verified": m.Verified, "created-at": m.CreatedAt, "updated-at": m.UpdatedAt,
	} {
		if column != "" && column != None {
			named[strings.ToLower(column)] = "--" + flag + "-field"
		}
	}
	return named
}

// checkColumns reads ahead and fails if the columns can't be told.
func (s *Source) checkColumns() error {
	columns := s.Columns()
	found := map[string]bool{}
	for _, column := range columns {
		found[column] = true
	}
	isTable, hasPlace := columns != nil, false
	// A record with a fault may be something else than the others.
	hasSound := isTable
	size := 0
	for !isTable && len(s.ahead) < aheadRecords && size < aheadBytes && s.aheadErr == nil {
		record, err := s.File.Next()
		if err != nil {
			s.aheadErr = err
			break
		}
		s.ahead = append(s.ahead, record)
		hasPlace = hasPlace || record.Geometry != nil
		hasSound = hasSound || len(record.Faults) == 0
		for column, value := range record.Fields {
			found[column] = true
			size += len(column) + len(value)
		}
		for column := range record.Lists {
			found[column] = true
		}
	}
	if !isTable {
		columns = slices.Sorted(maps.Keys(found))
	}
	for column := range found {
		delete(s.unseen, column)
	}
	isWhole := isTable || errors.Is(s.aheadErr, io.EOF)
	if len(s.unseen) > 0 && isWhole {
		return s.missing(columns)
	}
	if !hasSound {
		return nil
	}
	var faults []string
	expect := func(what, named string, usual []string, hints ...string) {
		if named != "" || slices.ContainsFunc(usual, func(name string) bool { return found[name] }) {
			return
		}
		fault := fmt.Sprintf("no column is known as the %s: --%s-field names it", what, what)
		if i := slices.IndexFunc(columns, func(column string) bool { return looksLike(column, hints) }); i >= 0 {
			fault += fmt.Sprintf(" (perhaps --%s-field %q)", what, columns[i])
		}
		faults = append(faults, fault)
	}
	m := s.opts.Mapping
	expect("name", m.Name, usualName, "name", "title", "label", "nom", "nombre", "naam", "bezeichnung", "ort")
	if !hasPlace {
		expect("latitude", m.Latitude, usualLatitude, "lat", "breite", "north", "nord")
		expect("longitude", m.Longitude, usualLongitude, "lon", "lng", "laenge", "länge", "east", "ost")
	}
	if len(faults) == 0 {
		return nil
	}
	if isTable && len(s.opts.Columns) == 0 {
		faults = append(faults, "a file without a header needs --columns")
	}
	return fmt.Errorf("%s. The file has the columns %s", strings.Join(faults, "; "), list(columns))
}

// looksLike reports whether a column's name has one of some parts.
func looksLike(column string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(column, part) })
}

// missing is the error of columns that are named and not there.
func (s *Source) missing(columns []string) error {
	var faults []string
	for _, column := range slices.Sorted(maps.Keys(s.unseen)) {
		faults = append(faults, fmt.Sprintf("no column is %q (%s)", column, s.unseen[column]))
	}
	message := strings.Join(faults, "; ")
	if columns != nil {
		message += ". The file has the columns " + list(columns)
	}
	return errors.New(message)
}

// list is some names as text.
func list(names []string) string {
	const most = 40
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
