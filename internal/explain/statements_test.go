package explain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the module's folder, seen from this package.
const root = "../.."

// sources are the folders that statements are written in by hand. What tests, the
// bench and picaspot dev say to the servers that they start is nobody's query.
var (
	sources = []string{"cmd", "internal", "ent/mixin", "ent/schema"}
	tools   = []string{"internal/apptest", "internal/bench", "internal/localstack", "internal/testenv"}
)

var (
	// begins tells a string that is a statement from one that is a part of it; a part
	// that would begin like this stands in parentheses.
	begins = regexp.MustCompile(`^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|MERGE INTO|TRUNCATE|CALL|LOCK TABLE|REFRESH)\s`)
	named  = regexp.MustCompile(`^-- name: ([a-z][a-z0-9_]*)\n`)
	word   = regexp.MustCompile(`[a-z][a-z0-9]*(_[a-z0-9]+)+`)
)

// statement is one that is written by hand.
type statement struct {
	name string
	// place is its file and line.
	place string
	// declaration is where the declaration that it stands in begins.
	declaration string
	// words are those of the comments on that declaration, and in it, that may be
	// names of indexes.
	words []string
}

// scan finds the statements in the source, and what is wrong with the names of some.
func scan(t *testing.T) (found []statement, faults []string) {
	t.Helper()
	for _, folder := range sources {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inModule, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			inModule = filepath.ToSlash(inModule)
			if entry.IsDir() && slices.Contains(tools, inModule) {
				return fs.SkipDir
			}
			if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			in := source{path: inModule, files: token.NewFileSet(), goesOn: map[any]bool{}}
			if in.file, err = parser.ParseFile(in.files, path, nil, parser.ParseComments|parser.SkipObjectResolution); err != nil {
				return err
			}
			of, wrong := in.scan()
			found, faults = append(found, of...), append(faults, wrong...)
			return nil
		})
		require.NoError(t, err)
	}
	return found, faults
}

// source is a file with Go code.
type source struct {
	path  string
	files *token.FileSet
	file  *ast.File
	// goesOn has what stands right of a plus, literals and names of constants: it
	// goes on with a statement that began left of it.
	goesOn map[any]bool
}

func (s *source) place(at token.Pos) string {
	return s.path + ":" + strconv.Itoa(s.files.Position(at).Line)
}

func (s *source) scan() (found []statement, faults []string) {
	ast.Inspect(s.file, func(node ast.Node) bool {
		if sum, ok := node.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
			s.goesOn[sum.Y] = true
			if name, ok := sum.Y.(*ast.Ident); ok {
				s.goesOn[name.Name] = true
			}
		}
		return true
	})
	for _, declaration := range s.file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok {
			of, wrong := s.declaration(declaration, declaration.(*ast.FuncDecl).Doc)
			found, faults = append(found, of...), append(faults, wrong...)
			continue
		}
		for _, spec := range general.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok || s.goesOn[value.Names[0].Name] {
				continue
			}
			comment := value.Doc
			if comment == nil {
				comment = general.Doc
			}
			of, wrong := s.declaration(spec, comment)
			found, faults = append(found, of...), append(faults, wrong...)
		}
	}
	return found, faults
}

// declaration scans a function, or a constant or variable.
func (s *source) declaration(declaration ast.Node, doc *ast.CommentGroup) (found []statement, faults []string) {
	var words []string
	for _, comment := range s.file.Comments {
		if comment == doc || comment.Pos() >= declaration.Pos() && comment.End() <= declaration.End() {
			words = append(words, word.FindAllString(comment.Text(), -1)...)
		}
	}
	ast.Inspect(declaration, func(node ast.Node) bool {
		literal, ok := node.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			return true
		}
		switch match := named.FindStringSubmatch(text); {
		case match != nil && !strings.HasPrefix(match[1], s.file.Name.Name+"_"):
			faults = append(faults, s.place(literal.Pos())+": the name "+match[1]+" has to begin with its package's, "+s.file.Name.Name+"_")
		case match != nil:
			found = append(found, statement{name: match[1], place: s.place(literal.Pos()), declaration: s.place(declaration.Pos()), words: words})
		case strings.HasPrefix(text, "-- name:") && text != "-- name: ":
			faults = append(faults, s.place(literal.Pos())+": the line has to read: -- name: package_and_what_it_does")
		case begins.MatchString(text) && !s.goesOn[literal]:
			faults = append(faults, s.place(literal.Pos())+": a statement without a name; a part of one stands in parentheses")
		}
		return true
	})
	return found, faults
}

// Logs and metrics call a statement by the name that it begins with, so each has one,
// and no two the same.
func TestEachStatementHasAName(t *testing.T) {
	t.Parallel()
	found, faults := scan(t)
	places := map[string]string{}
	for _, s := range found {
		if other, taken := places[s.name]; taken {
			faults = append(faults, s.place+": the name "+s.name+" is that of the statement at "+other)
		}
		places[s.name] = s.place
	}
	require.NotEmpty(t, found)
	require.Empty(t, faults, strings.Join(faults, "\n"))
}
