package postgres

import (
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/store/relational"
)

// arrays are the arguments of a statement whose rows are sent as one array for each column, which takes about half the
// time of a statement for each row (BenchmarkInsert).
type arrays struct{ arguments []any }

// add adds the first columns of rows, which have types, and returns their parameters for unnest.
func (a *arrays) add(types []string, rows [][]any) string {
	parameters := make([]string, len(types))
	for i, columnType := range types {
		parameters[i] = a.addColumn(columnType, columnOf(columnType, rows, i))
	}
	return strings.Join(parameters, ", ")
}

func (a *arrays) addColumn(columnType string, values any) string {
	a.arguments = append(a.arguments, values)
	return fmt.Sprintf("$%d::%s[]", len(a.arguments), columnType)
}

// insert returns a statement that inserts the rows of a table that do not exist.
func (a *arrays) insert(table relational.Table, rows [][]any) string {
	return "INSERT INTO " + table.Name + " (" + strings.Join(table.Columns, ", ") + ") SELECT * FROM unnest(" +
		a.add(table.Types, rows) + ") ON CONFLICT (" + table.KeyColumns() + ") DO NOTHING"
}

// insertCounted returns a statement that inserts rows and merges those of counters, and its arguments.
func insertCounted(table relational.Table, rows [][]any, counters []relational.Counter) (string, []any) {
	if len(rows) == 1 && !slices.ContainsFunc(counters, func(c relational.Counter) bool { return len(c.Rows) != 1 }) {
		return insertOneCounted(table, rows[0], counters)
	}
	var all arrays
	insert := all.insert(table, rows)
	if len(counters) == 0 {
		return insert, all.arguments
	}
	// added are the rows that did not exist, and counted the numbers of those that count them: of0 is that of the first
	// counter. The first two arguments are the keys of all rows.
	with := []string{"added AS (" + insert + " RETURNING " + table.KeyColumns() + ")", ""}
	var of []string
	keys := []string{"$1::" + table.Types[0] + "[]", "$2::" + table.Types[1] + "[]"}
	for i, counter := range counters {
		keys = append(keys, all.addColumn("bigint", counter.Of))
		of = append(of, fmt.Sprintf("of%d", i))
		with = append(with, fmt.Sprintf("merged%d AS (%s)", i, all.merge(counter, of[i])))
	}
	with[1] = "counted AS (SELECT * FROM unnest(" + strings.Join(keys, ", ") + ") AS every (" + table.KeyColumns() + ", " +
		strings.Join(of, ", ") + ") JOIN added USING (" + table.KeyColumns() + "))"
	return "WITH " + strings.Join(with, ", ") + " SELECT 1", all.arguments
}

// merge returns a statement that merges the rows of a counter, each with the number of rows that it counts: those of
// counted whose column of has its index. They are merged in their order, in which other transactions lock them too.
func (a *arrays) merge(counter relational.Counter, of string) string {
	table := counter.Table
	last := len(table.Columns) - 1
	columns := strings.Join(table.Columns[:last], ", ")
	return "INSERT INTO " + table.Name + " (" + columns + ", " + table.Columns[last] + ") SELECT " + columns +
		", coalesce(n, 0) FROM unnest(" + a.add(table.Types[:last], counter.Rows) + ") WITH ORDINALITY AS each (" + columns +
		", number) LEFT JOIN (SELECT " + of + ", count(*) AS n FROM counted GROUP BY 1) AS counts ON " + of +
		" = number - 1 ORDER BY number ON CONFLICT " + table.Merge()
}

// insertOneCounted is insertCounted for one row, and one row of each counter, as where little happens. The server plans
// a statement with arrays and joins each time anew, which takes it longer than executing it.
func insertOneCounted(table relational.Table, row []any, counters []relational.Counter) (string, []any) {
	var arguments []any
	values := func(types []string, row []any) string {
		parameters := make([]string, len(types))
		for i, columnType := range types {
			arguments = append(arguments, row[i])
			parameters[i] = fmt.Sprintf("$%d::%s", len(arguments), columnType)
		}
		return strings.Join(parameters, ", ")
	}
	with := []string{"added AS (INSERT INTO " + table.Name + " (" + strings.Join(table.Columns, ", ") + ") VALUES (" +
		values(table.Types, row) + ") ON CONFLICT (" + table.KeyColumns() + ") DO NOTHING RETURNING 1)"}
	for i, counter := range counters {
		into := counter.Table
		count := "(SELECT count(*) FROM added)"
		if counter.Of[0] < 0 {
			count = "0"
		}
		with = append(with, fmt.Sprintf("merged%d AS (INSERT INTO %s (%s) VALUES (%s, %s) ON CONFLICT %s)", i, into.Name,
			strings.Join(into.Columns, ", "), values(into.Types[:len(into.Types)-1], counter.Rows[0]), count, into.Merge()))
	}
	return "WITH " + strings.Join(with, ", ") + " SELECT 1", arguments
}

// columnOf returns a column of rows as a slice of its type: behind a pooler of transactions, the driver does not ask
// the server for the types of parameters, and takes them from the arguments.
func columnOf(columnType string, rows [][]any, column int) any {
	switch columnType {
	case "bigint":
		return typed[int64](rows, column)
	case "boolean":
		return typed[bool](rows, column)
	case "bytea":
		return typed[[]byte](rows, column)
	default:
		return typed[string](rows, column)
	}
}

// typed returns a column of rows. A nil is NULL.
func typed[T any](rows [][]any, column int) []*T {
	values := make([]*T, len(rows))
	for i, row := range rows {
		if value, ok := row[column].(T); ok {
			values[i] = &value
		}
	}
	return values
}
