package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// constant is one of a Go file, with its comment.
type constant struct{ name, value, comment string }

func constants(file string) ([]constant, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
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
		comment := spec.Comment // behind the constant; a comment in front may be about several
		if comment == nil {
			comment = spec.Doc
		}
		found = append(found, constant{spec.Names[0].Name, value, line(comment.Text())})
		return true
	})
	return found, nil
}

func writeReasons(out *strings.Builder) error {
	conditions, err := constants(conditionsFile)
	if err != nil {
		return err
	}
	report, err := constants(reasonsFile)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\n## Conditions\n\n| type | what it says |\n|---|---|\n")
	table(out, conditions, "Condition")
	fmt.Fprint(out, "\n## Reasons\n\nWhat the operator says:\n\n| reason | when |\n|---|---|\n")
	table(out, conditions, "Reason")
	fmt.Fprint(out, "\nWhat the processes say of themselves, in `/status` and so in the conditions:\n\n"+
		"| reason | when |\n|---|---|\n")
	table(out, report, "Reason")
	return nil
}

func table(out *strings.Builder, all []constant, prefix string) {
	for _, one := range all {
		if strings.HasPrefix(one.name, prefix) {
			fmt.Fprintf(out, "| `%s` | %s |\n", one.value, cell(strings.TrimPrefix(one.comment, one.name+" is ")))
		}
	}
}
