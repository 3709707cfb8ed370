package sweep

// Columns are all that name files.
func Columns() []struct{ Table, Name string } {
	all := make([]struct{ Table, Name string }, len(columns))
	for i, c := range columns {
		all[i] = struct{ Table, Name string }(c)
	}
	return all
}
