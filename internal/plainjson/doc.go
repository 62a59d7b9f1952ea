// Package plainjson reads and writes the plain part of JSON quickly: objects
// without white space whose strings are valid UTF-8 with at most the short escapes.
// It gives up at everything else, and its user then asks the full parser, which
// has the last word on what is wrong. So nothing is accepted here that the full
// parser refuses, and nothing is read differently; fuzz targets of its users hold
// the two against each other.
package plainjson
