package cli

import (
	"bytes"
	"encoding/json"

	"go.yaml.in/yaml/v3"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// noSteering is the value of --steering that answers everybody the same.
const noSteering = "none"

// steering reads how answers are chosen: YAML or JSON as the API has it.
func (a *app) steering(file string) (*client.RecordSteering, error) {
	text, err := a.input(file, "the steering file")
	if err != nil {
		return nil, err
	}
	var loose any
	if err := yaml.Unmarshal([]byte(text), &loose); err != nil {
		return nil, fault.New(fault.Invalid, "%s is no YAML: %w", file, err)
	}
	strict, err := json.Marshal(loose)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", file, err)
	}
	var s client.RecordSteering
	d := json.NewDecoder(bytes.NewReader(strict))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fault.New(fault.Invalid, "%s does not say how to steer: %w; it has answers, each with values or a target and countries, continents, regions, order, weight or check, and checks by name; see \"edgewright dns set --help\"", file, err)
	}
	if len(s.Answers) == 0 && s.Policy == "" {
		return nil, fault.New(fault.Invalid, "%s says nothing of answers; give --steering %s to answer everybody the same", file, noSteering)
	}
	return &s, nil
}
