// Runs the stages of a log pipeline, which Alloy's loki.process and Loki's own module have in common, over
// the lines of standard input, and writes what Loki's push API takes (JSON) to standard output.
//
//	stages STAGES.yaml '{"namespace": "podsense", …}' < LINES
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/loki/v3/clients/pkg/logentry/stages"
	"github.com/grafana/loki/v3/clients/pkg/promtail/api"
	"github.com/grafana/loki/v3/pkg/logproto"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v2"
)

const maxLine = 1 << 20

type stream struct {
	Labels model.LabelSet `json:"stream"`
	Values [][]any        `json:"values"`
}

func load(path string, labels string) (*stages.Pipeline, model.LabelSet, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var config stages.PipelineStages
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return nil, nil, err
	}
	var given model.LabelSet
	if err := json.Unmarshal([]byte(labels), &given); err != nil {
		return nil, nil, err
	}
	logger := log.NewLogfmtLogger(os.Stderr)
	pipeline, err := stages.NewPipeline(logger, config, nil, prometheus.NewRegistry())
	return pipeline, given, err
}

func run(pipeline *stages.Pipeline, labels model.LabelSet) (map[string][]stream, error) {
	in := make(chan stages.Entry)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	go func() {
		defer close(in)
		for lines.Scan() {
			in <- stages.Entry{
				Extracted: map[string]any{},
				Entry: api.Entry{
					Labels: labels.Clone(),
					Entry:  logproto.Entry{Timestamp: time.Now(), Line: lines.Text()},
				},
			}
		}
	}()
	streams := []stream{}
	for entry := range pipeline.Run(in) {
		metadata := map[string]string{}
		for _, one := range entry.StructuredMetadata {
			metadata[one.Name] = one.Value
		}
		value := []any{strconv.FormatInt(entry.Timestamp.UnixNano(), 10), entry.Line, metadata}
		streams = append(streams, stream{Labels: entry.Labels, Values: [][]any{value}})
	}
	return map[string][]stream{"streams": streams}, lines.Err()
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: stages STAGES.yaml LABELS.json < LINES")
		os.Exit(2)
	}
	pipeline, labels, err := load(os.Args[1], os.Args[2])
	if err == nil {
		var pushed map[string][]stream
		if pushed, err = run(pipeline, labels); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(pushed)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stages:", err)
		os.Exit(1)
	}
}
