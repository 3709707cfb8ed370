package search

import (
	"strings"
	"unicode/utf8"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// NameKey is what names are compared by in lists that are sorted by name, for
// [page.Column.Through]: without accents and case, the same in every locale.
const NameKey = `name_key(%s) COLLATE "C"`

func through(column string) string { return strings.ReplaceAll(NameKey, "%s", column) }

// Predicates are those of an entity as plain ones.
func Predicates[P ~func(*sql.Selector)](of []P) []func(*sql.Selector) {
	plain := make([]func(*sql.Selector), len(of))
	for i, p := range of {
		plain[i] = p
	}
	return plain
}

// builder begins a statement.
func builder(text string) *sql.Builder {
	b := &sql.Builder{}
	b.SetDialect(dialect.Postgres)
	return b.WriteString(text)
}

// contains is true of rows that have the words of a tsquery in a text.
func contains(text, query string) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		b.WriteString("search_vector(" + text + ") @@ ").Arg(query).WriteString("::tsquery")
	})
}

// described is the text that the indexes of a [Table] have the words of.
func described(s *sql.Selector) string { return s.C("name") + " || ' ' || " + s.C("description") }

// Words is true of rows that have all words, of which the last one may go on. An index
// on search_vector of the text serves it. text writes the expression that the index has.
func (t Text) Words(text func(*sql.Selector) string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if query := t.Query(); query != "" {
			s.Where(contains(text(s), query))
		} else {
			s.Where(sql.False())
		}
	}
}

// begins is true of rows whose names begin with what was typed.
func begins(s *sql.Selector, text Text) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		name := through(s.C("name"))
		b.WriteString(name + " >= ").Arg(text.key).WriteString(" AND " + name + " < ").Arg(text.key + "\U0010FFFF")
	})
}

// matching is true of rows that match a tsquery of a text, or whose names begin with it.
func matching(s *sql.Selector, text Text, query string) *sql.Predicate {
	if query != "" {
		return sql.Or(contains(described(s), query), begins(s, text))
	}
	return begins(s, text)
}

// Within is true of rows whose text contains what was typed, whatever its case and
// accents; what is shorter than three characters begins a word of it. Only then has it
// trigrams, and an index of them on search_fold of the text serves it. text writes the
// expression that the index has.
func Within(text func(*sql.Selector) string, typed string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		pattern := func(b *sql.Builder, before string) {
			b.WriteString("search_fold(" + text(s) + ") LIKE '" + before + `' || regexp_replace(search_fold(`).Arg(typed).
				WriteString(`), '([\\%_])', '\\\1', 'g') || '%'`)
		}
		s.Where(sql.P(func(b *sql.Builder) {
			if utf8.RuneCountInString(typed) >= trigram {
				pattern(b, "%")
				return
			}
			b.WriteByte('(')
			pattern(b, "")
			b.WriteString(" OR ")
			pattern(b, "% ")
			b.WriteByte(')')
		}))
	}
}

const trigram = 3
