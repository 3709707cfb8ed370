package apidoc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ProblemType is what the type of a problem means (RFC 9457, section 3.1.1).
type ProblemType struct {
	// Code is the last part of the type's address, /problems/{code}.
	Code string `json:"code"`
	// Type is the address, relative to the server.
	Type string `json:"type"`
	// Cases say when the problem comes, one for each status.
	Cases []ProblemCase `json:"cases"`
}

// ProblemCase is a status of a problem and when it comes.
type ProblemCase struct {
	Status int    `json:"status"`
	When   string `json:"when"`
}

var (
	problemRow  = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| ([0-9]{3}) \\| (.*) \\|$")
	problemCode = regexp.MustCompile("`([a-z0-9_]+)`")
	// link is a Markdown link; its text stays.
	link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// Catalog reads the table of docs/problems.md: the problem types by their code.
func Catalog(markdown []byte) (map[string]ProblemType, error) {
	types := map[string]ProblemType{}
	for _, row := range problemRow.FindAllStringSubmatch(string(markdown), -1) {
		status, err := strconv.Atoi(row[2])
		if err != nil {
			return nil, fmt.Errorf("docs/problems.md: %w", err)
		}
		when := strings.ReplaceAll(link.ReplaceAllString(row[3], "$1"), "`", "")
		for _, code := range problemCode.FindAllStringSubmatch(row[1], -1) {
			t := types[code[1]]
			t.Code, t.Type = code[1], "/problems/"+code[1]
			t.Cases = append(t.Cases, ProblemCase{Status: status, When: when})
			slices.SortFunc(t.Cases, func(a, b ProblemCase) int { return a.Status - b.Status })
			types[code[1]] = t
		}
	}
	if len(types) == 0 {
		return nil, errors.New("docs/problems.md has no table of problems")
	}
	return types, nil
}
