// Package dashboard makes the Grafana dashboard of the router,
// charts/router/files/dashboard.json and deploy/grafana/dashboard.json. The JSON
// of Grafana says each thing many times; here a panel is its question, its
// queries and its unit. After a change:
//
//	go test ./dashboard -update
package dashboard
