package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// constant is a string constant of a Go file.
type constant struct{ name, value, comment string }

// constants returns the string constants of a Go file in their order.
func constants(file string) ([]constant, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", file, err)
	}
	var found []constant
	ast.Inspect(parsed, func(node ast.Node) bool {
		spec, isSpec := node.(*ast.ValueSpec)
		if !isSpec || len(spec.Values) != 1 {
			return true
		}
		literal, isText := spec.Values[0].(*ast.BasicLit)
		if !isText {
			return true
		}
		value, err := strconv.Unquote(literal.Value)
		if err != nil {
			return true
		}
		comment := spec.Comment // the comment on the same line; one above may describe a whole group
		if comment == nil {
			comment = spec.Doc
		}
		found = append(found, constant{spec.Names[0].Name, value, line(comment.Text())})
		return true
	})
	return found, nil
}

// writeReasons writes the tables of conditions and reasons.
func writeReasons(out *strings.Builder) error {
	conditions, err := constants(conditionsFile)
	if err != nil {
		return err
	}
	reported, err := constants(reasonsFile)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\n## Conditions\n\n| type | meaning |\n|---|---|\n")
	writeTable(out, conditions, "Condition")
	fmt.Fprint(out, "\n## Reasons\n\nReasons that the operator sets:\n\n| reason | meaning |\n|---|---|\n")
	writeTable(out, conditions, "Reason")
	fmt.Fprint(out, "\nReasons that the processes report in `/status`, which become reasons of conditions:\n\n"+
		"| reason | meaning |\n|---|---|\n")
	writeTable(out, reported, "Reason")
	return nil
}

// writeTable writes the rows of the constants whose names have a prefix.
func writeTable(out *strings.Builder, all []constant, prefix string) {
	for _, one := range all {
		if strings.HasPrefix(one.name, prefix) {
			fmt.Fprintf(out, "| `%s` | %s |\n", one.value, escapeCell(strings.TrimPrefix(one.comment, one.name+" is ")))
		}
	}
}
