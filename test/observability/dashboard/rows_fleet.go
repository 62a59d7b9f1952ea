package dashboard

func backlog() []panel {
	return []panel{
		{
			title: "Waiting", kind: graph, unit: "short", width: 6,
			help:    "Messages that no worker has taken yet, by consumer. More than a moment's worth means that workers or commits are too slow.",
			queries: []query{{`max by (consumer) (voicerouter_consumer_messages{state="pending",NS})`, "{{consumer}}"}},
			alerts:  []string{"VoiceRouterBacklogGrowing"},
		},
		{
			title: "Unacknowledged, of what is allowed", kind: graph, unit: "percentunit", width: 6, colours: colours(green, from(0.8, red)),
			help: "At 100 % the server delivers nothing more.",
			queries: []query{{
				`max by (consumer) (voicerouter_consumer_messages{state="ack_pending",NS}) / max by (consumer) (voicerouter_consumer_max_ack_pending{NS})`, "{{consumer}}",
			}},
			alerts: []string{"VoiceRouterAckPendingNearLimit"},
		},
		{
			title: "Redelivered and pulling", kind: graph, unit: "short", width: 4,
			help: "Messages on their second delivery or later, and pull requests that wait for messages: none of the latter means that no worker asks.",
			queries: []query{
				{`max by (consumer) (voicerouter_consumer_messages{state="redelivered",NS})`, "{{consumer}} redelivered"},
				{`max by (consumer) (voicerouter_consumer_messages{state="waiting",NS})`, "{{consumer}} pulls"},
			},
			alerts: []string{"VoiceRouterRedeliveries"},
		},
		{
			title: "Timers", kind: graph, unit: "cps", width: 4,
			help: "Timers that ended a call, timers that no longer counted, and timers that had died in the server and were written anew.",
			queries: []query{
				{`sum by (result) (rate(voicerouter_timers_total{NS}[RATE]))`, "{{result}}"},
				rateOf("voicerouter_timers_mended_total", "mended"),
			},
			alerts: []string{"VoiceRouterTimersMended"},
		},
		{
			title: "Lateness of timers", kind: graph, unit: "s", width: 4,
			help:    "From the deadline to the delivery of the timeout. A quarter of a second is normal.",
			queries: quantiles("voicerouter_timer_lateness_seconds"),
			alerts:  []string{"VoiceRouterTimersLate"},
		},
	}
}

func fleet() []panel {
	return []panel{
		{
			title: "Ready", kind: graph, unit: "short", width: 6,
			help:    "1 for each process that is ready; the command says what it does.",
			queries: []query{{`voicerouter_ready{NS}`, "{{command}} {{instance}}"}},
			alerts:  []string{"VoiceRouterNotReady", "VoiceRouterFewWorkers"},
		},
		{
			title: "Time since last progress", kind: graph, unit: "s", width: 6, colours: colours(green, from(120, red)),
			help:    "How long ago each worker settled a batch or saw that nothing waits. One of low priority may rest; harm is done when all do.",
			queries: []query{{`time() - voicerouter_last_progress_timestamp_seconds{NS}`, "{{instance}}"}},
			alerts:  []string{"VoiceRouterNoProgress"},
		},
		{
			title: "Reconnects and troubles", kind: graph, unit: "cps", width: 6,
			help: "Connections to NATS that were made anew, and failures that kept a worker from its work; its log says which.",
			queries: []query{
				{`sum by (instance) (rate(voicerouter_reconnects_total{NS}[RATE]))`, "{{instance}} reconnects"},
				{`sum by (instance) (rate(voicerouter_troubles_total{NS}[RATE]))`, "{{instance}} troubles"},
			},
			alerts: []string{"VoiceRouterReconnecting", "VoiceRouterTroubles"},
		},
		{
			title: "Versions", kind: table, width: 6,
			help:    "Which build each process is. Two versions side by side are fine for the time of an update.",
			queries: []query{{`sum by (version, revision, goversion, instance) (voicerouter_build_info{NS})`, ""}},
			alerts:  []string{"VoiceRouterVersionSkew"},
			hide:    map[string]bool{"Time": true, "Value": true, "__name__": true},
			names:   map[string]string{"version": "Version", "revision": "Revision", "goversion": "Go", "instance": "Instance"},
		},
		{
			title: "Share of the work", kind: areas, unit: "mps", width: 6,
			help:    "Messages settled by each worker. The one with the best priority takes nearly all until it is busy.",
			queries: []query{{`sum by (instance) (rate(voicerouter_messages_total{NS}[RATE]))`, "{{instance}}"}},
		},
		{
			title: "CPU", kind: graph, unit: "short", width: 6,
			help:    "Cores in use, by process.",
			queries: []query{{`rate(process_cpu_seconds_total{NS}[RATE]) and on (namespace, instance) voicerouter_build_info`, "{{instance}}"}},
		},
		{
			title: "Memory", kind: graph, unit: "bytes", width: 6,
			help:    "Resident memory, by process. A worker keeps a fixed number of call records (ROUTER_CACHE_SIZE).",
			queries: []query{{`process_resident_memory_bytes{NS} and on (namespace, instance) voicerouter_build_info`, "{{instance}}"}},
		},
		{
			title: "Records: cache, second looks", kind: graph, unit: "cps", width: 6,
			help: "Look-ups in the cache of call records, records read from the leader because nothing was to be written, and decisions taken again after a lost race.",
			queries: []query{
				{`sum by (result) (rate(voicerouter_record_cache_total{NS}[RATE]))`, "cache {{result}}"},
				rateOf("voicerouter_leader_reads_total", "read from the leader"),
				rateOf("voicerouter_redecided_total", "decided again"),
			},
			alerts: []string{"VoiceRouterConflictStorm"},
		},
	}
}

func ends() []panel {
	return []panel{
		{
			title: "Calls ended, by reason", kind: areas, unit: "cps", width: 16,
			help:    "hangup is how answered calls end. no_answer and cancelled are people; error, ice_failed, ice_timeout and user_media_failed are calls that failed.",
			queries: rateBy("reason", "voicerouter_calls_ended_total"),
		},
		{
			title: "Share of each reason", kind: bars, unit: "percentunit", width: 8,
			help: "Over the time that is shown.",
			queries: []query{{
				`sum by (reason) (rate(voicerouter_calls_ended_total{NS}[$__range])) / on () group_left () sum(rate(voicerouter_calls_ended_total{NS}[$__range])) > 0`, "{{reason}}",
			}},
		},
	}
}

func security() []panel {
	return []panel{
		{
			title: "Connections, by result", kind: graph, unit: "cps", width: 6,
			help: "allowed is normal. unavailable, late and malformed are ours; all others are refusals, and many of them mean an attack or clients with wrong keys.",
			queries: []query{{
				`sum by (result) (rate(voicerouter_auth_decisions_total{NS}[RATE])) > 0`, "{{result}}",
			}},
			alerts: []string{"VoiceRouterCalloutFailing"},
		},
		{
			title: "Time to judge a connection", kind: graph, unit: "s", width: 6,
			help: "Without the fixed delay of refusals.",
			queries: append(quantiles("voicerouter_auth_decision_seconds"),
				query{`sum(voicerouter_auth_in_flight{NS})`, "being decided"}),
			alerts: []string{"VoiceRouterCalloutSlow"},
		},
		{
			title: "Revocation", kind: graph, unit: "cps", width: 6,
			help: "Connections cut and calls ended because of changes in the directory. Errors mean that somebody revoked may still listen.",
			queries: []query{
				rateOf("voicerouter_auth_connections_cut_total", "connections cut"),
				rateOf("voicerouter_auth_calls_ended_total", "calls ended"),
				rateOf("voicerouter_auth_enforcement_errors_total", "errors"),
			},
			alerts: []string{"VoiceRouterRevocationNotEnforced"},
		},
		{
			title: "Syncs, signatures refused", kind: graph, unit: "cps", width: 6,
			help: "Requests of clients for what they missed, and messages refused for who signed them.",
			queries: []query{
				{`sum by (result) (rate(voicerouter_syncs_total{NS}[RATE]))`, "sync {{result}}"},
				{`sum(rate(voicerouter_rejected_total{code=~"bad_signature|unknown_key|unknown_identity|revoked",NS}[RATE]))`, "signatures refused"},
			},
			alerts: []string{"VoiceRouterSignaturesRefused"},
		},
	}
}
