package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// exportTimeout bounds how long the last spans may take to leave at the end.
const exportTimeout = 5 * time.Second

// startTracing exports spans as the standard variables of OpenTelemetry say, over
// OTLP with HTTP and protobuf, until stop is called. The provider is nil, and
// nothing runs, unless an endpoint or the exporter is chosen.
func startTracing(ctx context.Context, log *slog.Logger) (provider trace.TracerProvider, stop func(), err error) {
	on, err := tracingWanted()
	if err != nil || !on {
		return nil, func() {}, err
	}
	sampler, err := samplerWanted()
	if err != nil {
		return nil, nil, err
	}
	// What goes wrong with an export is told to a global handler and to nobody else.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces cannot be exported", "error", err) }))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, usagef("configuration:\nOTEL_EXPORTER_OTLP_*: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "voice-router"), attribute.String("service.version", buildVersion().Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, usagef("configuration:\nOTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about), sdktrace.WithSampler(sampler))
	log.Info("exporting traces", "sampler", sampler.Description())
	return p, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exportTimeout)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			log.Warn("last traces not exported", "error", err)
		}
	}, nil
}

// tracingWanted reports whether the environment asks for traces, in a way that can
// be had.
func tracingWanted() (bool, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if value := strings.TrimSpace(os.Getenv(name)); value != "" {
				return value
			}
		}
		return ""
	}
	exporter := first("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(first("OTEL_SDK_DISABLED"), "true"), exporter == "none":
		return false, nil
	case exporter == "" && first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, usagef("configuration:\nOTEL_TRACES_EXPORTER: want otlp or none")
	}
	protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/protobuf" {
		return false, usagef("configuration:\nOTEL_EXPORTER_OTLP_PROTOCOL: want http/protobuf, the only one that is spoken here (port 4318 of most collectors)")
	}
	return true, nil
}

// samplerWanted returns the sampler that OTEL_TRACES_SAMPLER names. One that goes by
// the parent goes by what clients say: it is taken for what it would do without one,
// so that no client decides what is exported here.
func samplerWanted() (sdktrace.Sampler, error) {
	switch strings.TrimPrefix(strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER"))), "parentbased_") {
	case "", "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		text := os.Getenv("OTEL_TRACES_SAMPLER_ARG")
		if text == "" {
			return sdktrace.TraceIDRatioBased(1), nil
		}
		ratio, err := strconv.ParseFloat(text, 64)
		if err != nil || ratio < 0 || ratio > 1 {
			return nil, usagef("configuration:\nOTEL_TRACES_SAMPLER_ARG: want a number from 0 to 1")
		}
		return sdktrace.TraceIDRatioBased(ratio), nil
	default:
		return nil, usagef("configuration:\nOTEL_TRACES_SAMPLER: want always_on, always_off or traceidratio, with or without parentbased_")
	}
}
