package dashboard

// rows is the dashboard from top to bottom.
func rows() []row {
	return []row{
		{"What is wrong?", wrong()},
		{"Traffic", traffic()},
		{"Outcomes", outcomes()},
		{"Set-up and route time", times()},
		{"Backlog and timers", backlog()},
		{"Fleet", fleet()},
		{"Reasons of end", ends()},
		{"Security", security()},
	}
}

// wrong answers at a glance, in the order in which one thing hides the next: who
// is not there cannot be connected, who is not connected cannot commit.
func wrong() []panel {
	return []panel{
		{
			title: "Workers ready", kind: stat, width: 3, colours: colours(red, from(1, orange), from(2, green)),
			help:    "Workers that take messages. None: nothing is passed on. One: no spare.",
			queries: []query{{`sum(voicerouter_ready{command=~"serve|dev",NS})`, ""}},
			alerts:  []string{"VoiceRouterNoReadyWorker", "VoiceRouterFewWorkers", "VoiceRouterNotReady"},
		},
		{
			title: "Callouts ready", kind: stat, width: 3, colours: colours(red, from(1, orange), from(2, green)),
			help:    "Auth callout services that decide who may connect. None: nobody new gets in. Empty in operator mode, which has no callout.",
			queries: []query{{`sum(voicerouter_ready{command=~"auth|dev",NS})`, ""}},
			alerts:  []string{"VoiceRouterNoReadyCallout"},
		},
		{
			title: "Without NATS", kind: stat, width: 3, colours: colours(green, from(1, red)),
			help:    "Processes without a connection to NATS.",
			queries: []query{{`sum(1 - voicerouter_connected{NS})`, ""}},
			alerts:  []string{"VoiceRouterDisconnected", "VoiceRouterReconnecting"},
		},
		{
			title: "Commits failing for", kind: stat, unit: "s", width: 3, colours: colours(green, from(5, orange), from(30, red)),
			help:    "The longest time for which a worker's commits have been failing without one success.",
			queries: []query{{`max(voicerouter_stalled_seconds{NS})`, ""}},
			alerts:  []string{"VoiceRouterStalled", "VoiceRouterStoreFull"},
		},
		{
			title: "Messages waiting", kind: stat, unit: "short", width: 3, colours: colours(green, from(1000, orange), from(10000, red)),
			help:    "Messages and timeouts that no worker has taken yet.",
			queries: []query{{`sum(max by (namespace, consumer) (voicerouter_consumer_messages{state="pending",NS}))`, ""}},
			alerts:  []string{"VoiceRouterBacklogGrowing"},
		},
		{
			title: "Route time p99", kind: stat, unit: "s", width: 3, colours: colours(green, from(0.25, orange), from(1, red)),
			help:    "From the broker's receipt of a message to the commit of what follows from it, for all but one of a hundred.",
			queries: []query{{`histogram_quantile(0.99, sum by (le) (rate(voicerouter_route_seconds_bucket{NS}[5m])))`, ""}},
			alerts:  []string{"VoiceRouterRouteTimeHigh"},
		},
		{
			title: "Our own fault", kind: stat, unit: "percentunit", width: 3, colours: colours(green, from(0.001, orange), from(0.0144, red)),
			help: "Share of the messages of the last hour that were refused with code internal. The objective is at most one of 1000.",
			queries: []query{{
				`sum(rate(voicerouter_rejected_total{code="internal",NS}[1h])) / sum(rate(voicerouter_messages_total{NS}[1h]))`, "",
			}},
			alerts: []string{"VoiceRouterErrorBudgetBurnFast", "VoiceRouterErrorBudgetBurnSlow"},
		},
		{
			title: "Connections not judged", kind: stat, unit: "percentunit", width: 3, colours: colours(green, from(0.01, orange), from(0.05, red)),
			help: "Share of the connections that the callout could not judge: directory unreadable, overload, wrong keys.",
			queries: []query{{
				`sum(rate(voicerouter_auth_decisions_total{result=~"unavailable|late|malformed",NS}[5m])) / sum(rate(voicerouter_auth_decisions_total{NS}[5m]))`, "",
			}},
			alerts: []string{"VoiceRouterCalloutFailing"},
		},
		{
			title: "Firing alerts", kind: table, width: 14, height: 7,
			help:    "What Prometheus says. Each alert has a section in the runbook.",
			queries: []query{{`ALERTS{alertname=~"VoiceRouter.+",alertstate="firing",NS}`, ""}},
			hide:    map[string]bool{"Time": true, "Value": true, "__name__": true, "alertstate": true, "job": true},
			names:   map[string]string{"alertname": "Alert", "severity": "Severity", "instance": "Instance", "consumer": "Consumer", "namespace": "Namespace"},
		},
		{title: "How to read this", kind: note, width: 10, height: 7, text: `Read the figures from left to right; the first that is red is where to begin.

| Red | Look at |
|---|---|
| Workers, Callouts, Without NATS | *Fleet*, then ` + "`/readyz`" + ` of a process |
| Commits failing | *Outcomes*, Commits: **starved** is no space, **transient** is a stream without a leader |
| Messages waiting, Route time | *Set-up and route time*, Where the time goes |
| Our own fault | the log line "message cannot be committed" |
| Connections not judged | *Security*, Connections |

[Runbook](` + runbook + `)`},
	}
}

func traffic() []panel {
	return []panel{
		{
			title: "Messages by type", kind: areas, unit: "mps", width: 8,
			help:    "Messages settled, by type. Timeouts are timers that fired.",
			queries: rateBy("type", "voicerouter_messages_total"),
		},
		{
			title: "Calls begun and ended", kind: graph, unit: "cps", width: 8,
			help: "Masked calls that began to ring, that were answered, and that ended. Begun and ended drift apart only while live calls grow.",
			queries: []query{
				rateOf("voicerouter_calls_started_total", "begun"),
				rateOf("voicerouter_call_setup_seconds_count", "answered"),
				rateOf("voicerouter_calls_ended_total", "ended"),
			},
		},
		{
			title: "Live calls", kind: graph, unit: "short", width: 4,
			help:    "Masked calls that ring or are active, of the whole fleet; every worker counts all of them.",
			queries: []query{{`sum(max by (namespace) (voicerouter_calls_active{NS}))`, "live"}},
		},
		{
			title: "Messages committed together", kind: graph, unit: "short", width: 4,
			help:    "Mean size of a batch. It grows with the load: the cost of a commit is shared.",
			queries: []query{{`sum(rate(voicerouter_batch_messages_sum{NS}[RATE])) / sum(rate(voicerouter_batch_messages_count{NS}[RATE]))`, "messages"}},
		},
	}
}

func outcomes() []panel {
	return []panel{
		{
			title: "Results", kind: areas, unit: "mps", width: 6,
			help: "What became of messages: applied; repeat (known already); nothing (nothing follows); deferred (comes again); refused.",
			queries: []query{{
				`sum by (result) (rate(voicerouter_messages_total{NS}[RATE])) > 0`, "{{result}}",
			}},
		},
		{
			title: "Refused, by code", kind: graph, unit: "mps", width: 6,
			help:    "Why messages are refused; docs/protocol.md explains the codes. internal is our own fault.",
			queries: rateBy("code", "voicerouter_rejected_total"),
			alerts:  []string{"VoiceRouterErrorBudgetBurnFast", "VoiceRouterRoutesBroken", "VoiceRouterSignaturesRefused"},
		},
		{
			title: "Commits", kind: graph, unit: "cps", width: 6,
			help: "Batches by what the server said: stored; conflict (lost a race, decided again); starved (no space); poison (content " +
				"refused, split up); transient (no answer, or not now).",
			queries: []query{{`sum by (result) (rate(voicerouter_commits_total{NS}[RATE]))`, "{{result}}"}},
			alerts:  []string{"VoiceRouterConflictStorm", "VoiceRouterStoreFull", "VoiceRouterStalled"},
		},
		{
			title: "Deferred, over the limits", kind: graph, unit: "mps", width: 6,
			help: "Deferred: ahead of what they belong to. Over a limit: refused for ROUTER_LIMITS_*. Sent back: not stored. Delivered again: all of that and dead workers.",
			queries: []query{
				rateOf("voicerouter_deferred_total", "deferred"),
				rateOf("voicerouter_rate_limited_total", "over a limit"),
				rateOf("voicerouter_postponed_total", "sent back"),
				rateOf("voicerouter_redelivered_total", "delivered again"),
			},
			alerts: []string{"VoiceRouterRedeliveries", "VoiceRouterAckPendingNearLimit"},
		},
	}
}

func times() []panel {
	return []panel{
		{
			title: "Route time", kind: graph, unit: "s", width: 6,
			help:    "From the broker's receipt of a message to the commit, waiting in the stream included.",
			queries: quantiles("voicerouter_route_seconds"),
			alerts:  []string{"VoiceRouterRouteTimeHigh"},
		},
		{
			title: "Where the time goes", kind: areas, unit: "s", width: 6,
			help: "Mean time of a batch in each stage. fetch is waiting in the stream, commit the server's disks and replicas, verify and sign are CPU.",
			queries: []query{{
				`sum by (stage) (rate(voicerouter_stage_seconds_sum{NS}[RATE])) / sum by (stage) (rate(voicerouter_stage_seconds_count{NS}[RATE]))`, "{{stage}}",
			}},
			alerts: []string{"VoiceRouterRouteTimeHigh", "VoiceRouterBacklogGrowing"},
		},
		{
			title: "Set-up: start to accept", kind: graph, unit: "s", width: 4,
			help:    "What callers wait until somebody answers; mostly people.",
			queries: quantiles("voicerouter_call_setup_seconds"),
		},
		{
			title: "Ringing", kind: graph, unit: "s", width: 4,
			help:    "How long calls rang until they were answered or ended.",
			queries: quantiles("voicerouter_call_ring_seconds"),
		},
		{
			title: "Duration", kind: graph, unit: "s", width: 4,
			help:    "How long answered calls lasted.",
			queries: quantiles("voicerouter_call_duration_seconds"),
		},
	}
}
