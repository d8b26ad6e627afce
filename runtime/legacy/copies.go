package legacy

// The Python bot handles each event twice: it stores and counts each line of chat twice, one row right after the other,
// and the two rows can have different seconds. So in the order of their IDs all runs of equal rows have an even length,
// also where somebody repeats a line, and half of each run is exact. A bot that stores each line once, as this
// program's does for a database service of the Python bot, makes runs of odd length. One file can have parts of both
// kinds, because one bot replaced the other.

// Costs of the explanations of a run. Their order is what matters: somebody repeats a line more often than one of the
// two copies is missing, which takes a crash between the two, and the bot is replaced more rarely still.
const (
	repeatedLine = 1
	missingCopy  = 7
	replacedBot  = 10
)

// copiesPerLine returns for each run of equal rows how often each of its lines was stored, 1 or 2: the cheapest
// explanation of all runs together. The oldest run may have lost a copy, because the Python bot removes old rows.
func copiesPerLine(runs []int) []int {
	// best[i][k] is the least cost of runs 0 to i if run i has k+1 copies; from[i][k] is run i-1's k in it.
	best, from := make([][2]int, len(runs)), make([][2]int, len(runs))
	for i, length := range runs {
		once, twice := 0, 0
		if length > 1 {
			once = repeatedLine
		}
		if length%2 != 0 {
			twice = missingCopy
			if i == 0 {
				twice = repeatedLine
			}
		}
		best[i] = [2]int{once, twice}
		if i == 0 {
			continue
		}
		for k := range 2 {
			stay, change := best[i-1][k], best[i-1][1-k]+replacedBot
			if from[i][k] = k; change < stay {
				from[i][k] = 1 - k
			}
			best[i][k] += min(stay, change)
		}
	}
	copies := make([]int, len(runs))
	k := 1 // of equal costs: the Python bot is what usually wrote the file
	for i := len(runs) - 1; i >= 0; i-- {
		if i == len(runs)-1 && best[i][0] < best[i][1] {
			k = 0
		}
		copies[i] = k + 1
		k = from[i][k]
	}
	return copies
}

// chatRow is a row of recent_chat.
type chatRow struct {
	line

	timed bool // its time is valid
}

// pythonLine is a line of chat and the rows that it was stored in.
type pythonLine struct {
	line

	timed bool
	rows  int
	// incomplete is set if the first of two rows was removed, so that the time is that of the second.
	incomplete bool
}

// counted returns how often the Python bot counted the line: rows that it removed were counted.
func (l pythonLine) counted() int {
	if l.incomplete {
		return l.rows + 1
	}
	return l.rows
}

// linesOf returns the lines that rows, in the order of their IDs, were made from, and whether the oldest of them were
// stored twice.
func linesOf(rows []chatRow) (lines []pythonLine, oldestTwice bool) {
	var runs []int
	for i, row := range rows {
		if i > 0 && row.sameText(rows[i-1].line) {
			runs[len(runs)-1]++
			continue
		}
		runs = append(runs, 1)
	}
	copies := copiesPerLine(runs)
	for i, length := range runs {
		run := rows[:length]
		rows = rows[length:]
		if i == 0 && copies[i] == 2 && length%2 != 0 {
			one := newPythonLine(run[:1])
			one.incomplete = true
			lines, run = append(lines, one), run[1:]
		}
		for len(run) > 0 {
			size := min(copies[i], len(run))
			lines, run = append(lines, newPythonLine(run[:size])), run[size:]
		}
	}
	return lines, len(copies) > 0 && copies[0] == 2
}

// newPythonLine returns the line that all rows are copies of. It has the first valid time.
func newPythonLine(rows []chatRow) pythonLine {
	for _, row := range rows {
		if row.timed {
			return pythonLine{line: row.line, timed: true, rows: len(rows)}
		}
	}
	return pythonLine{line: rows[0].line, rows: len(rows)}
}
