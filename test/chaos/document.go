package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed reliability.md.tmpl
var documentText string

var documentTemplate = template.Must(template.New("reliability.md").Funcs(template.FuncMap{
	"join":  strings.Join,
	"short": short,
	"mib":   func(bytes uint64) uint64 { return bytes >> 20 },
	"kinds": kindRows,
}).Parse(documentText))

// document renders docs/reliability.md from runs, the first of which is the one
// that the document is about.
func document(all runs) ([]byte, error) {
	var b bytes.Buffer
	if err := documentTemplate.Execute(&b, all); err != nil {
		return nil, fmt.Errorf("chaos: report: %w", err)
	}
	return b.Bytes(), nil
}

// runs are what a document is about.
type runs []*outcome

// Goals lists those of all runs.
func (r runs) Goals() []goalRow {
	var all []goalRow
	for _, o := range r {
		for _, g := range o.Goals {
			all = append(all, goalRow{o.Scenario, g})
		}
	}
	return all
}

type goalRow struct {
	Run string
	goal
}

// kindRow is a kind of fault as the document names it.
type kindRow struct{ Name, Does, Lasting string }

func kindRows() []kindRow {
	var rows []kindRow
	for _, k := range kinds() {
		lasting := fmt.Sprintf("%s to %s", k.least, k.most)
		if k.most == 0 {
			lasting = "a moment"
		}
		rows = append(rows, kindRow{k.name, k.does, lasting})
	}
	return rows
}

// Durations are written as they are read: "1.5s".
var (
	writeDuration = json.WithMarshalers(json.MarshalFunc(func(d time.Duration) ([]byte, error) {
		return strconv.AppendQuote(nil, d.String()), nil
	}))
	readDuration = json.WithUnmarshalers(json.UnmarshalFunc(func(text []byte, d *time.Duration) (err error) {
		*d, err = time.ParseDuration(strings.Trim(string(text), `"`))
		return err
	}))
)

// save writes an outcome as JSON, for a document of several runs.
func (o *outcome) save(name string) error {
	text, err := json.Marshal(o, jsontext.WithIndent("\t"), writeDuration)
	if err != nil {
		return fmt.Errorf("chaos: %s: %w", name, err)
	}
	return os.WriteFile(name, append(text, '\n'), 0o600)
}

func loadOutcome(name string) (*outcome, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var o outcome
	if err := json.Unmarshal(text, &o, readDuration); err != nil {
		return nil, fmt.Errorf("chaos: %s: %w", name, err)
	}
	return &o, nil
}
