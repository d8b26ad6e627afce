package legacy

// Summary is what became of a source's rows.
type Summary struct {
	Generation Generation `json:"generation"`
	Tables     []*Table   `json:"tables"`
}

// Table is what became of a table's rows. Each is one of Taken, Here, Corrected and Left.
type Table struct {
	Name string `json:"table"`
	Rows int    `json:"rows"`
	// Taken are in the database now and were not before, or replace what an earlier import brought.
	Taken int `json:"taken"`
	// Here were in the database already, or are older than what it has pruned.
	Here int `json:"alreadyHere"`
	// Corrected were repetitions of the row before.
	Corrected int `json:"corrected"`
	// Left are not taken, by reason.
	Left map[string]int `json:"left"`
	// Notes say what was changed in rows that were taken.
	Notes map[string]int `json:"notes"`
}

func (t *Table) leave(reason string) { t.Left[reason]++ }

func (s *Summary) table(name string, rows int) *Table {
	table := &Table{Name: name, Rows: rows, Left: map[string]int{}, Notes: map[string]int{}}
	s.Tables = append(s.Tables, table)
	return table
}
