package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// onlyWith refuses flags that do nothing unless one of others is set: whoever
// sets them believes that they do.
func onlyWith(f *pflag.FlagSet, others []string, names ...string) error {
	if slices.ContainsFunc(others, f.Changed) {
		return nil
	}
	var errs []error
	for _, name := range names {
		if f.Changed(name) {
			errs = append(errs, fmt.Errorf("--%s does nothing without --%s: leave it out, or add that", name, strings.Join(others, " or --")))
		}
	}
	return joinUsage(errs)
}

// notWith refuses flags that do nothing, or mean the opposite, when one is set.
func notWith(f *pflag.FlagSet, one string, names ...string) error {
	if !f.Changed(one) {
		return nil
	}
	var errs []error
	for _, name := range names {
		if f.Changed(name) {
			errs = append(errs, fmt.Errorf("--%s and --%s cannot be used together: leave one out", one, name))
		}
	}
	return joinUsage(errs)
}

func joinUsage(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return usageError{errors.Join(errs...)}
}
