// A stand-in for a Terraform provider that knows nothing but its schema (schema.json beside the binary, made by
// schema.py): init, validate, plan and `terraform test` with mocks work offline. Nothing can be applied with it.
//
// It finds unknown resources and attributes, missing arguments and wrong types. It does not judge values, and does not
// know which arguments exclude each other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type attribute struct {
	Type any  `json:"type"`
	Req  bool `json:"req"`
	Comp bool `json:"comp"`
}

type nestedBlock struct {
	Mode  string `json:"mode"`
	Min   int64  `json:"min"`
	Block block  `json:"block"`
}

type block struct {
	Attrs  map[string]attribute   `json:"attrs"`
	Blocks map[string]nestedBlock `json:"blocks"`
}

type schemaFile struct {
	Resource map[string]block `json:"resource"`
	Data     map[string]block `json:"data"`
	Provider block            `json:"provider"`
}

// What an account would answer where configurations compute with it: the account number of AWS's own examples.
var answers = map[string]map[string]any{
	"aws_caller_identity": {
		"account_id": "111122223333",
		"arn":        "arn:aws:iam::111122223333:user/planner",
	},
	"aws_partition":          {"partition": "aws", "dns_suffix": "amazonaws.com"},
	"aws_availability_zones": {"names": []string{"ap-southeast-2a", "ap-southeast-2b", "ap-southeast-2c"}},
}

func primitive(name string) tftypes.Type {
	switch name {
	case "string":
		return tftypes.String
	case "number":
		return tftypes.Number
	case "bool":
		return tftypes.Bool
	}
	return tftypes.DynamicPseudoType
}

func typeOf(declared any) tftypes.Type {
	switch v := declared.(type) {
	case string:
		return primitive(v)
	case []any:
		element := primitive(v[1].(string))
		if v[0] == "map" {
			return tftypes.Map{ElementType: element}
		}
		return tftypes.List{ElementType: element}
	}
	return tftypes.DynamicPseudoType
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for name := range m {
		keys = append(keys, name)
	}
	sort.Strings(keys)
	return keys
}

func hasDynamic(b block) bool {
	for _, a := range b.Attrs {
		if typeOf(a.Type).Is(tftypes.DynamicPseudoType) {
			return true
		}
	}
	for _, n := range b.Blocks {
		if hasDynamic(n.Block) {
			return true
		}
	}
	return false
}

// The bindings do not say which optional attributes are computed too: at the top level all may be.
func convert(b block, top bool) *tfprotov6.SchemaBlock {
	out := &tfprotov6.SchemaBlock{}
	for _, name := range sortedKeys(b.Attrs) {
		a := b.Attrs[name]
		out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: typeOf(a.Type), Required: a.Req, Optional: !a.Req && !a.Comp,
			Computed: top && !a.Req || a.Comp,
		})
	}
	for _, name := range sortedKeys(b.Blocks) {
		nested := b.Blocks[name]
		mode := tfprotov6.SchemaNestedBlockNestingModeList
		if nested.Mode == "set" && !hasDynamic(nested.Block) {
			mode = tfprotov6.SchemaNestedBlockNestingModeSet
		}
		if nested.Mode == "single" {
			mode = tfprotov6.SchemaNestedBlockNestingModeSingle
		}
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Nesting: mode, MinItems: nested.Min, Block: convert(nested.Block, false),
		})
	}
	return out
}

type server struct {
	tfprotov6.ProviderServer // the calls that validate and plan do not make
	schema                   *tfprotov6.GetProviderSchemaResponse
	region                   string // from the provider's configuration
}

func newServer(path string) (*server, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file schemaFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &tfprotov6.GetProviderSchemaResponse{
		Provider:           &tfprotov6.Schema{Block: convert(file.Provider, false)},
		ResourceSchemas:    map[string]*tfprotov6.Schema{},
		DataSourceSchemas:  map[string]*tfprotov6.Schema{},
		ServerCapabilities: &tfprotov6.ServerCapabilities{},
	}
	for name, b := range file.Resource {
		s.ResourceSchemas[name] = &tfprotov6.Schema{Block: convert(b, true)}
	}
	for name, b := range file.Data {
		s.DataSourceSchemas[name] = &tfprotov6.Schema{Block: convert(b, true)}
	}
	return &server{schema: s}, nil
}

func (s *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	m := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for name := range s.schema.ResourceSchemas {
		m.Resources = append(m.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range s.schema.DataSourceSchemas {
		m.DataSources = append(m.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	return m, nil
}

func (s *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return s.schema, nil
}

func (s *server) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (s *server) ValidateProviderConfig(_ context.Context, q *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: q.Config}, nil
}

func (s *server) ConfigureProvider(_ context.Context, q *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	config, err := q.Config.Unmarshal(s.schema.Provider.ValueType())
	if err != nil {
		return nil, err
	}
	attributes := map[string]tftypes.Value{}
	if err := config.As(&attributes); err != nil {
		return nil, err
	}
	if region, ok := attributes["region"]; ok && region.IsKnown() && !region.IsNull() {
		err = region.As(&s.region)
	}
	return &tfprotov6.ConfigureProviderResponse{}, err
}

func (s *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (s *server) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (s *server) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func stringList(values []string) tftypes.Value {
	list := make([]tftypes.Value, 0, len(values))
	for _, value := range values {
		list = append(list, tftypes.NewValue(tftypes.String, value))
	}
	return tftypes.NewValue(tftypes.List{ElementType: tftypes.String}, list)
}

// A data source's computed attribute: the table's answer, else one that is recognised as made up.
func (s *server) answer(typeName string, a *tfprotov6.SchemaAttribute) (tftypes.Value, bool) {
	if typeName == "aws_region" && a.Name == "region" {
		return tftypes.NewValue(a.Type, s.region), true
	}
	switch v := answers[typeName][a.Name].(type) {
	case string:
		return tftypes.NewValue(a.Type, v), true
	case []string:
		return stringList(v), true
	}
	switch {
	case a.Type.Is(tftypes.String):
		return tftypes.NewValue(a.Type, "stand-in-"+a.Name), true
	case a.Type.Is(tftypes.Number):
		return tftypes.NewValue(a.Type, 1), true
	case a.Type.Is(tftypes.Bool):
		return tftypes.NewValue(a.Type, false), true
	case a.Type.Equal(tftypes.List{ElementType: tftypes.String}):
		return stringList([]string{"stand-in-a", "stand-in-b", "stand-in-c"}), true
	}
	return tftypes.Value{}, false
}

// fill replaces the null computed attributes of a top-level object: unknown in a plan, answers in a data source.
func (s *server) fill(config *tfprotov6.DynamicValue, schema *tfprotov6.Schema, typeName string, plan bool) (*tfprotov6.DynamicValue, error) {
	t := schema.ValueType()
	value, err := config.Unmarshal(t)
	if err != nil || value.IsNull() {
		return config, err
	}
	object := map[string]tftypes.Value{}
	if err := value.As(&object); err != nil {
		return nil, err
	}
	for _, a := range schema.Block.Attributes {
		if current := object[a.Name]; !a.Computed || !current.IsNull() {
			continue
		}
		if plan {
			object[a.Name] = tftypes.NewValue(a.Type, tftypes.UnknownValue)
		} else if v, ok := s.answer(typeName, a); ok {
			object[a.Name] = v
		}
	}
	out, err := tfprotov6.NewDynamicValue(t, tftypes.NewValue(t, object))
	return &out, err
}

func (s *server) ReadDataSource(_ context.Context, q *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	v, err := s.fill(q.Config, s.schema.DataSourceSchemas[q.TypeName], q.TypeName, false)
	return &tfprotov6.ReadDataSourceResponse{State: v}, err
}

func (s *server) ReadResource(_ context.Context, q *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: q.CurrentState}, nil
}

func (s *server) PlanResourceChange(_ context.Context, q *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	v, err := s.fill(q.ProposedNewState, s.schema.ResourceSchemas[q.TypeName], q.TypeName, true)
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: v}, err
}

func (s *server) ApplyResourceChange(context.Context, *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return nil, errors.New("this is a stand-in for checks: it cannot apply")
}

func main() {
	self, err := os.Executable()
	if err == nil {
		var s *server
		s, err = newServer(filepath.Join(filepath.Dir(self), "schema.json"))
		if err == nil {
			err = tf6server.Serve("stand-in", func() tfprotov6.ProviderServer { return s })
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "terraform stand-in:", err)
		os.Exit(1)
	}
}
