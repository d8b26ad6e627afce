package relational

import "context"

// Columns returns the names of all columns of the tables that Move copies row by row, as table.column.
func Columns() (names []string) {
	for _, table := range copiedTables {
		for _, column := range table.Columns {
			names = append(names, table.Name+"."+column)
		}
	}
	return names
}

// QueryStrings returns the rows of a query for one column.
func (s Store) QueryStrings(ctx context.Context, query string) ([]string, error) {
	return Select(ctx, s.db, query, nil, scanValue[string])
}

// Database returns the database of a store.
func (s Store) Database() Database { return s.db }
