package dashboard

import (
	"fmt"
	"strings"
)

// row is a heading and the panels below it.
type row struct {
	title  string
	panels []panel
}

// kind is how a panel shows its queries.
type kind uint8

const (
	graph kind = iota // lines over time
	areas             // the same, stacked
	stat              // the present value, in the colour of its threshold
	table             // the present labels
	bars              // the present values side by side
	note              // text
)

// panel is a question and the queries that answer it.
type panel struct {
	title string
	// help says what is shown, what is normal and what is not.
	help    string
	kind    kind
	unit    string
	width   int // of 24 columns
	height  int // default by kind
	queries []query
	colours []step
	// alerts are those whose runbook begins with a look at this panel.
	alerts []string
	text   string            // of a note
	hide   map[string]bool   // columns of a table that are not shown
	names  map[string]string // and what the others are called
}

type query struct {
	expr   string
	legend string
}

// short writes what every query has in common: NS restricts to the namespace
// that was chosen, RATE is the range over which a rate is taken.
var short = strings.NewReplacer("NS", `namespace=~"$namespace"`, "RATE", "$__rate_interval")

const (
	green  = "green"
	orange = "orange"
	red    = "red"
)

// from returns a threshold.
func from(value float64, colour string) step { return step{Color: colour, Value: &value} }

// colours returns thresholds that begin with a colour.
func colours(first string, steps ...step) []step {
	return append([]step{{Color: first}}, steps...)
}

// quantiles returns the queries for the median, the 95th and the 99th percentile
// of a histogram.
func quantiles(histogram string) []query {
	var qs []query
	for _, q := range []struct{ value, name string }{{"0.5", "median"}, {"0.95", "p95"}, {"0.99", "p99"}} {
		qs = append(qs, query{
			fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(%s_bucket{NS}[RATE])))", q.value, histogram), q.name,
		})
	}
	return qs
}

// rateBy returns the query for the rate of a counter by some label.
func rateBy(label, counter string) []query {
	return []query{{fmt.Sprintf("sum by (%s) (rate(%s{NS}[RATE])) > 0", label, counter), "{{" + label + "}}"}}
}

// rateOf returns the query for the rate of a counter of the whole fleet.
func rateOf(counter, legend string) query {
	return query{fmt.Sprintf("sum(rate(%s{NS}[RATE]))", counter), legend}
}
