package relational

import (
	"fmt"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/config"
)

// size returns an expression for the size of a row in bytes: that of its columns of text, which may be NULL, and
// config.RowOverhead. The migrations that fill kv_usage contain it, too.
func size(columns ...string) string {
	var expression strings.Builder
	for _, column := range columns {
		expression.WriteString("coalesce(octet_length(" + column + "), 0) + ")
	}
	return expression.String() + strconv.Itoa(config.RowOverhead)
}

// cut returns an expression for a column of text of which at most config.MaxTextBytes are read. A character has at most
// four bytes.
func cut(column string) string {
	return fmt.Sprintf(`CASE WHEN octet_length(%[1]s) > %[2]d THEN substr(%[1]s, 1, %[3]d) || '…' ELSE %[1]s END`,
		column, config.MaxTextBytes, config.MaxTextBytes/4)
}

// fit returns how many of sizes are within limit bytes together, but at least one.
func fit(sizes []int64, limit int64) int {
	var sum int64
	for i, size := range sizes {
		if sum += size; sum > limit && i > 0 {
			return i
		}
	}
	return len(sizes)
}
