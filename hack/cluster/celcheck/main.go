// Command celcheck compiles the CEL expressions of CustomResourceDefinitions and ValidatingAdmissionPolicies as the API
// server of a version of Kubernetes does when they are created: with the functions that it permits then. It reads the
// objects as YAML documents from standard input, ignores others, and prints how many expressions each one has.
//
//	celcheck 1.30 < objects.yaml
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	admissioncel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: celcheck KUBERNETES_VERSION < objects.yaml")
		os.Exit(2)
	}
	kubernetes, err := version.ParseGeneric(os.Args[1])
	if err == nil {
		// An API server refuses what the minor version before it could not read, so that it can be rolled back.
		c := checker{env: environment.MustBaseEnvSet(kubernetes.OffsetMinor(-1))}
		err = c.readAll(os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type checker struct {
	env   *environment.EnvSet
	count int
}

// readAll checks every object, and returns all errors.
func (c *checker) readAll(documents io.Reader) error {
	var problems []error
	reader := utilyaml.NewYAMLReader(bufio.NewReader(documents))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(problems...)
		}
		if err == nil {
			err = c.check(document)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
}

func (c *checker) check(document []byte) error {
	var meta metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return fmt.Errorf("decoding an object: %w", err)
	}
	c.count = 0
	var err error
	switch meta.Kind {
	default:
		return nil
	case "CustomResourceDefinition":
		err = c.definition(document)
	case "ValidatingAdmissionPolicy":
		err = c.policy(document)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", meta.Kind, meta.Name, err)
	}
	fmt.Printf("%s %s: %d expressions\n", meta.Kind, meta.Name, c.count)
	return nil
}

func (c *checker) definition(document []byte) error {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(document, &crd); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	var problems []error
	for _, each := range crd.Spec.Versions {
		var properties apiextensions.JSONSchemaProps
		err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
			each.Schema.OpenAPIV3Schema, &properties, nil)
		if err != nil {
			return fmt.Errorf("converting the schema: %w", err)
		}
		structural, err := schema.NewStructural(&properties)
		if err != nil {
			return fmt.Errorf("reading the schema: %w", err)
		}
		problems = append(problems, c.rules(structural, each.Name, true))
	}
	return errors.Join(problems...)
}

// rules compiles the rules of a schema and of the schemas inside it.
func (c *checker) rules(s *schema.Structural, path string, isRoot bool) error {
	var problems []error
	if len(s.XValidations) > 0 {
		results, err := schemacel.Compile(s, model.SchemaDeclType(s, isRoot), celconfig.PerCallLimit, c.env,
			schemacel.NewExpressionsEnvLoader())
		problems = append(problems, err)
		for i, result := range results {
			c.count++
			for _, failed := range []error{asError(result.Error), asError(result.MessageExpressionError)} {
				if failed != nil {
					problems = append(problems, fmt.Errorf("%s: %s: %w", path, s.XValidations[i].Rule, failed))
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		problems = append(problems, c.rules(&property, path+"."+name, s.XEmbeddedResource))
	}
	if s.Items != nil {
		problems = append(problems, c.rules(s.Items, path+"[]", s.Items.XEmbeddedResource))
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		problems = append(problems, c.rules(s.AdditionalProperties.Structural, path+"{}", false))
	}
	return errors.Join(problems...)
}

func (c *checker) policy(document []byte) error {
	var policy admissionregistration.ValidatingAdmissionPolicy
	if err := yaml.UnmarshalStrict(document, &policy); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	compiler, err := admissioncel.NewCompositedCompiler(c.env)
	if err != nil {
		return fmt.Errorf("preparing the compiler: %w", err)
	}
	declared := admissioncel.OptionalVariableDeclarations{HasParams: policy.Spec.ParamKind != nil, HasAuthorizer: true}
	var problems []error
	note := func(name string, result admissioncel.CompilationResult) {
		c.count++
		if result.Error != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, result.Error))
		}
	}
	for _, each := range policy.Spec.Variables {
		note(each.Name, compiler.CompileAndStoreVariable(
			&validating.Variable{Name: each.Name, Expression: each.Expression}, declared, environment.NewExpressions))
	}
	for i := range policy.Spec.MatchConditions {
		condition := (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i])
		note(condition.Name, compiler.CompileCELExpression(condition, declared, environment.NewExpressions))
	}
	withoutAuthorizer := admissioncel.OptionalVariableDeclarations{HasParams: declared.HasParams}
	for _, each := range policy.Spec.Validations {
		note(each.Expression, compiler.CompileCELExpression(
			&validating.ValidationCondition{Expression: each.Expression}, declared, environment.NewExpressions))
		if each.MessageExpression != "" {
			note(each.MessageExpression, compiler.CompileCELExpression(
				&validating.MessageExpressionCondition{MessageExpression: each.MessageExpression}, withoutAuthorizer,
				environment.NewExpressions))
		}
	}
	for _, each := range policy.Spec.AuditAnnotations {
		note(each.Key, compiler.CompileCELExpression(
			&validating.AuditAnnotationCondition{Key: each.Key, ValueExpression: each.ValueExpression}, declared,
			environment.NewExpressions))
	}
	return errors.Join(problems...)
}

// asError returns nil for the absence of a compiler's error, which is a pointer.
func asError[E interface {
	comparable
	error
}](err E) error {
	var none E
	if err == none {
		return nil
	}
	return err
}
