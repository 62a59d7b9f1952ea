// Package chart tests the Helm chart in charts/router: it is loaded, linted and
// rendered with Helm's own library, and what comes out is read as strictly as an
// API server reads it. A module of its own keeps these dependencies out of the
// router's.
package chart
