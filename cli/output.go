package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/edgewright/edgewright/client"
	"github.com/edgewright/edgewright/fault"
)

// show prints a value as -o asks: JSON or YAML with the API's names, or by
// human, which writes to a.out.
func (a *app) show(value any, human func()) error {
	switch a.flags.Output {
	case "json":
		return writeJSON(a.out, value)
	case "yaml":
		return writeYAML(a.out, value)
	}
	human()
	return nil
}

func writeJSON(w io.Writer, value any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(value); err != nil {
		return fault.New(fault.Internal, "the answer cannot be written as JSON: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeYAML goes by way of JSON, so that names and omissions are the same.
func writeYAML(w io.Writer, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fault.New(fault.Internal, "the answer cannot be written as YAML: %w", err)
	}
	node, err := yamlFromJSON(raw)
	if err != nil {
		return fault.New(fault.Internal, "the answer cannot be written as YAML: %w", err)
	}
	return encodeYAML(w, node)
}

func encodeYAML(w io.Writer, node *yaml.Node) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return err
	}
	return enc.Close()
}

// yamlFromJSON reads JSON, which is YAML, keeping the order of keys, and takes
// its flow style and quotes away.
func yamlFromJSON(raw []byte) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return yamlValue(dec)
}

func yamlValue(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if t == '[' {
			node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		}
		for dec.More() {
			if t == '{' {
				key, err := dec.Token()
				if err != nil {
					return nil, err
				}
				node.Content = append(node.Content, yamlString(key.(string)))
			}
			value, err := yamlValue(dec)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, value)
		}
		if len(node.Content) == 0 {
			node.Style = yaml.FlowStyle
		}
		_, err := dec.Token() // the closing delimiter
		return node, err
	case string:
		return yamlString(t), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(t.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// yamlString quotes what YAML 1.1 would read as something else than a text.
func yamlString(s string) *yaml.Node {
	node := new(yaml.Node)
	if err := node.Encode(s); err != nil {
		node.SetString(s) // not possible for a string
	}
	return node
}

// problem is an error with -o json or yaml.
type problem struct {
	Error problemBody `json:"error"`
}

type problemBody struct {
	Code      fault.Code    `json:"code"`
	Message   string        `json:"message"`
	Resource  string        `json:"resource,omitempty"`
	RequestID string        `json:"request_id,omitempty"`
	Fields    []fault.Field `json:"errors,omitempty"`
	Advice    string        `json:"advice,omitempty"`
}

// explain prints an error and what to do about it.
func (a *app) explain(err error) {
	body := problemBody{Code: fault.CodeOf(err), Message: err.Error(), Advice: advice(err)}
	var f *fault.Error
	if errors.As(err, &f) {
		body.Resource, body.Fields = f.Resource, f.Fields
	}
	var api *client.Error
	if errors.As(err, &api) {
		body.RequestID = api.RequestID
	}
	switch a.flags.Output {
	case "json":
		_ = writeJSON(a.err, problem{body})
		return
	case "yaml":
		_ = writeYAML(a.err, problem{body})
		return
	}
	fmt.Fprintf(a.err, "%s %s\n", a.note.red("edgewright:"), cleanLines(body.Message))
	for _, field := range body.Fields {
		// The message of a single fault says it already.
		if !strings.Contains(body.Message, field.Detail) {
			where := ""
			if field.Pointer != "" {
				where = a.note.bold(clean(field.Pointer)) + ": "
			}
			fmt.Fprintf(a.err, "  %s%s\n", where, clean(field.Detail))
		}
		if !strings.Contains(body.Message, field.Fix) {
			fmt.Fprintf(a.err, "    %s %s\n", a.note.dim("->"), clean(field.Fix))
		}
	}
	if body.Advice != "" {
		fmt.Fprintf(a.err, "  %s %s\n", a.note.dim("->"), body.Advice)
	}
	if body.RequestID != "" && (body.Code == fault.Internal || body.Code == fault.Unavailable) {
		fmt.Fprintf(a.err, "  request %s\n", clean(body.RequestID))
	}
}

// adviser is an error that knows what to do next.
type adviser interface{ Advice() string }

type advised struct {
	error
	advice string
}

func (e advised) Unwrap() error  { return e.error }
func (e advised) Advice() string { return e.advice }

// withAdvice adds what to do next to an error.
func withAdvice(err error, text string) error {
	if err == nil {
		return nil
	}
	return advised{err, text}
}

// advice is what to do about an error whose message, coming from the server,
// cannot know this program.
func advice(err error) string {
	var known adviser
	if errors.As(err, &known) {
		return known.Advice()
	}
	var api *client.Error
	if !errors.As(err, &api) {
		return ""
	}
	switch api.Code {
	case fault.Unauthenticated:
		return "sign in with \"edgewright login --url URL --token -\", or set EDGEWRIGHT_TOKEN"
	case fault.Forbidden:
		return "ask an owner of the project for a token with more rights"
	case fault.Stale:
		return "someone changed it meanwhile: look again and repeat the command"
	case fault.RateLimited:
		if api.RetryAfter > 0 {
			return "try again in " + api.RetryAfter.Round(time.Second).String()
		}
		return "try again in a minute"
	}
	return ""
}

// hint prints a line for people on stderr, and nothing when a machine reads.
func (a *app) hint(format string, args ...any) {
	if a.flags.Output == "table" {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// ago words how long ago a time was.
func (a *app) ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	d := a.now().Sub(*t)
	if d < 0 {
		return "in " + span(-d)
	}
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// span words a duration with its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d/time.Hour))
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}

// date is a time for people, in their zone.
func date(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}
