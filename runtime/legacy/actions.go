package legacy

import (
	"context"
	"maps"
	"slices"

	"rosey.dev/rosey/runtime/store"
)

// actions imports the commands that users gave. The Python bot stored each twice, but others may lie between the two:
// if it did so with all, there is an even number of each.
func (i *importer) actions(ctx context.Context) error {
	const name = "user_actions"
	before, err := i.Target.Actions(ctx, i.Channel, unlimited)
	if err != nil {
		return err
	}
	existing := map[store.PastAction]int{}
	for _, action := range before {
		existing[action]++
	}
	var rows []store.PastAction
	table, err := i.read(ctx, name, "id", []string{"timestamp", "username", "action_type", "details"},
		func(table *Table, r row) error {
			at, ok := r.past("timestamp")
			action := store.PastAction{At: at, Action: store.Action{
				Username: r.text("username"), Type: r.text("action_type"), Details: r.text("details"),
			}}
			switch problem := i.nameProblem(action.Username); {
			case problem != "":
				table.skip(problem)
			case !ok:
				table.skip(badTime)
			default:
				rows = append(rows, action)
			}
			return nil
		})
	if err != nil {
		return err
	}
	rows, table.Duplicates = withoutCopies(rows)
	var events []store.Event
	inSecond := map[store.PastAction]int{}
	for _, row := range rows {
		number := inSecond[row]
		inSecond[row]++
		if number < existing[row] {
			table.Existing++
			continue
		}
		table.Imported++
		events = append(events, i.event(row.At, row.Action, number))
	}
	return i.apply(ctx, name, events)
}

// withoutCopies returns every second one of equal actions if there is an even number of each.
func withoutCopies(rows []store.PastAction) (kept []store.PastAction, copies int) {
	number := map[store.Action]int{}
	for _, row := range rows {
		number[row.Action]++
	}
	if slices.ContainsFunc(slices.Collect(maps.Values(number)), func(n int) bool { return n%2 != 0 }) {
		return rows, 0
	}
	clear(number)
	for _, row := range rows {
		if number[row.Action]++; number[row.Action]%2 != 0 {
			kept = append(kept, row)
		}
	}
	return kept, len(rows) - len(kept)
}
